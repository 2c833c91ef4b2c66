package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is the width of help texts: they are read on terminals of 80 columns.
const helpWidth = 79

// newHelpCmd is cobra's, with an exit code for what there is no help on.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explains a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usage(err)
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			return about.Help()
		},
	}
}

// layOut finishes a command and those below it: texts in columns that fit, wrong arguments as wrong usage.
func layOut(cmd *cobra.Command) {
	cmd.Long = wrap(cmd.Long, helpWidth)
	if !cmd.HasParent() {
		cmd.SetUsageTemplate(strings.NewReplacer(".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth),
			"{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}").Replace(cmd.UsageTemplate()))
	}
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if cmd.HasSubCommands() && len(given) > 0 {
			return unknownCommand(cmd, given[0])
		}
		var coded *exitError
		if args == nil {
			return nil
		}
		err := args(cmd, given)
		if err == nil || errors.As(err, &coded) {
			return err
		}
		return usage(err)
	}
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.DisableFlagsInUseLine = true
	}
	for _, c := range cmd.Commands() {
		layOut(c)
	}
}

func unknownCommand(parent *cobra.Command, name string) error {
	text := fmt.Sprintf("there is no command %q", name)
	if parent.SuggestionsMinimumDistance == 0 {
		parent.SuggestionsMinimumDistance = 2
	}
	if like := parent.SuggestionsFor(name); len(like) > 0 {
		text += "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return usage(errors.New(text))
}

// wrap breaks the paragraphs of text at width. Lines that are indented, and paragraphs of one line that fits, stay as they are.
func wrap(text string, width int) string {
	var out []string
	var par []string
	flush := func() {
		if len(par) == 1 && len(par[0]) <= width {
			out = append(out, par[0])
		} else {
			out = append(out, fill(strings.Join(par, " "), width)...)
		}
		par = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "", strings.HasPrefix(line, " "):
			flush()
			out = append(out, line)
		default:
			par = append(par, line)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// fill breaks one paragraph between words.
func fill(text string, width int) []string {
	var lines []string
	line, n := "", 0
	for word := range strings.FieldsSeq(text) {
		long := len([]rune(word))
		if n > 0 && n+1+long > width {
			lines = append(lines, line)
			line, n = "", 0
		}
		if n > 0 {
			line, n = line+" ", n+1
		}
		line, n = line+word, n+long
	}
	if n > 0 {
		lines = append(lines, line)
	}
	return lines
}

// version names the commit that the program was built from, where the build tells.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
