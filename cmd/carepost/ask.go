package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

// clientError gives what an installation answered its exit code.
func clientError(err error) error {
	var answer *admind.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, admind.ErrSilent):
		return notNow(errors.New("the gateway has taken the call and does not answer: it hangs, or was stopped; its log may tell why"))
	case !errors.As(err, &answer):
		return notNow(err)
	}
	text := errors.New(answer.Error())
	switch answer.Code {
	case admind.Refused:
		return refused(text)
	case admind.NotFound, admind.Usage:
		return usage(text)
	case admind.Damaged:
		return incomplete(text)
	}
	return notNow(text)
}

// asJSON says whether --json was given, here or above.
func asJSON(cmd *cobra.Command) bool {
	v, _ := cmd.Flags().GetBool("json")
	return v
}

// reports adds --json to a command that tells something.
func reports(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "report as JSON on standard output")
	return cmd
}

// again is a command line for the same installation, to be typed: the one who named it will have to name it again.
func again(cmd *cobra.Command, verb, rest string) string {
	line := "carepost " + verb
	if f := cmd.Flag("config"); f != nil && f.Changed {
		line += " --config " + quoted(f.Value.String())
	}
	return strings.TrimSpace(line + " " + rest)
}

// quoted is a word as a shell takes it.
func quoted(s string) string {
	odd := func(r rune) bool {
		return !strings.ContainsRune("/._-+,:@%=", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	if s = plain(s); s != "" && !strings.ContainsFunc(s, odd) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// theAccount is the account that was named, or the only open one; how says how to name it.
func theAccount(ctx context.Context, c *admind.Client, named, how string) (addr.Address, error) {
	if named != "" {
		return parseAddress("", named)
	}
	all, err := c.Accounts(ctx, "")
	if err != nil {
		return addr.Address{}, clientError(err)
	}
	var names []string
	var one addr.Address
	for _, a := range all {
		if a.Closed.IsZero() {
			one = a.Address
			names = append(names, plain(a.Address.String()))
		}
	}
	switch n := len(names); {
	case n == 0:
		return one, usage(errors.New("there is no account yet: carepost account add makes one"))
	case n == 1:
		return one, nil
	case n > 8:
		names = append(names[:8], fmt.Sprintf("%d more", n-8))
	}
	return one, usage(fmt.Errorf("which account? %s (%s)", strings.Join(names, ", "), how))
}

// age says for people how long ago t was, or how far ahead it is.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	ahead := d < 0
	if ahead {
		d = -d
	}
	var text string
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		text = fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	if ahead {
		return "in " + text
	}
	return text
}
