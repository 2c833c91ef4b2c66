package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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

// theAccount is the account that was named, or the only open one.
func theAccount(ctx context.Context, c *admind.Client, named string) (addr.Address, error) {
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
	return one, usage(errors.New("which account? " + strings.Join(names, ", ")))
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
