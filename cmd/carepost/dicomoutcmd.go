package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newDicomOutCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "out",
		Short: "Studies from mail on their way to a PACS",
		Long: `The [[dicom.out]] tables of carepost.toml name destinations that get the
studies which arrive by mail: a C-STORE SCP or a STOW-RS service. Only a
COMPLETE study is handed over; any other stays in its mail. What a destination
has taken is not sent again, what it had no room for is tried again, and what
it refuses waits for you.`,
		Example: `  carepost dicom out list
  carepost dicom out show 01JD3Z…
  carepost dicom out retry 01JD3Z…
  carepost dicom out test pacs`,
	}
	cmd.AddCommand(newDicomOutListCmd(), newDicomOutShowCmd(), newDicomOutRetryCmd(), newDicomOutDropCmd(), newDicomOutTestCmd())
	return ofInstallation(cmd)
}

func newDicomOutListCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists studies that are not with their destination yet",
		Long: `Lists what waits and what failed, the newest first; with --all also what was
handed over, and what was left in its mail because it is not COMPLETE. TAKEN is
how many instances the destination has, of how many.`,
		Example: `  carepost dicom out list
  carepost dicom out list --all --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			out, err := c.Handovers(cmd.Context(), all)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), out)
			}
			return printHandovers(cmd.OutOrStdout(), out, all)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what was handed over, or was left in its mail")
	return reports(cmd)
}

func printHandovers(out io.Writer, all admind.Handovers, ended bool) error {
	var err error
	switch {
	case len(all.Handovers) > 0:
		now := time.Now()
		var t table
		t.add("ID", "DESTINATION", "ACCOUNT", "STATE", "TAKEN", "SINCE", "NEXT", "REASON")
		for _, h := range all.Handovers {
			next := "–"
			if h.Next != nil && h.State == "waiting" {
				if next = "now"; h.Next.After(now) {
					next = age(*h.Next, now)
				}
			}
			t.add(h.ID, h.Destination, h.Account, h.State, takenOf(h), age(h.Created, now), next, orDash(plain(h.Reason)))
		}
		return t.write(out, columns(os.Stdout))
	case len(all.Destinations) == 0:
		_, err = fmt.Fprintln(out, "no studies are handed over: carepost.toml has no [[dicom.out]]")
	case ended:
		_, err = fmt.Fprintf(out, "no study has come yet for %s\n", strings.Join(all.Destinations, ", "))
	default:
		_, err = fmt.Fprintf(out, "nothing waits for %s, and nothing failed\n", strings.Join(all.Destinations, ", "))
	}
	return err
}

func takenOf(h admind.Handover) string {
	if h.Instances == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", h.Taken, h.Instances)
}

func newDicomOutShowCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "show ID",
		Short: "Shows one study on its way, with the instances that were refused",
		Long: `Shows how far a study is, and names the instances that its destination does not
take, with the answer to each: the first 200 of them. That somebody looked is
in the audit trail.`,
		Example:               "  carepost dicom out show 01JD3Z…",
		Args:                  exactlyOne("the ID that carepost dicom out list shows"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			h, err := c.Handover(cmd.Context(), args[0])
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), h)
			}
			return printHandover(cmd.OutOrStdout(), h)
		}),
	})
}

func printHandover(out io.Writer, h admind.Handover) error {
	now := time.Now()
	p := &dicomPrinter{w: out}
	p.line("%s  to %s, %s", strings.ToUpper(h.State), plain(h.Destination), takenOf(h))
	p.line("  from the mail %d of %s, since %s", h.UID, plain(h.Account), age(h.Created, now))
	if h.Warnings > 0 {
		p.line("  %d instances were taken with a warning", h.Warnings)
	}
	if h.Letters > 0 {
		p.line("  %s the letter of the mail, as a Basic Text SR of its study", letters(h.Letters))
	}
	if h.Note != "" {
		p.line("  %s", plain(h.Note))
	}
	if h.Reason != "" {
		p.line("  %s", plain(h.Reason))
	}
	if h.Next != nil && h.State == "waiting" {
		p.line("  tried %d times; again: %s", h.Attempts, age(*h.Next, now))
	}
	for _, r := range h.Refusals {
		p.line("  refused: %s (class %s): %s", plain(r.SOPInstance), plain(r.SOPClass), plain(r.Reason))
	}
	if more := h.Refused - len(h.Refusals); more > 0 && len(h.Refusals) > 0 {
		p.line("  and %d more", more)
	}
	if h.Letters == 0 && h.State != "left" {
		p.line("What the sender wrote: carepost mail show %s %d", plain(h.Account), h.UID)
	}
	switch h.State {
	case "failed", "idle":
		p.line("When the cause is gone: carepost dicom out retry %s", h.ID)
	case "left":
		p.line("What is wrong with it: carepost mail show %s %d", plain(h.Account), h.UID)
	}
	return p.err
}

func letters(n int) string {
	if n == 1 {
		return "one instance of them is"
	}
	return fmt.Sprintf("%d instances of them are", n)
}

func newDicomOutRetryCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "retry ID | --all",
		Short: "Has studies handed over now, also what was refused",
		Long: `Has one study, or with --all each that waits or failed, tried at once. What its
destination has taken is not sent again; what it refused is.`,
		Example: `  carepost dicom out retry 01JD3Z…
  carepost dicom out retry --all`,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, ids []string) error {
			if all == (len(ids) > 0) {
				return usage(fmt.Errorf("which study? Name its ID, or all with --all"))
			}
			if all {
				list, err := c.Handovers(cmd.Context(), false)
				if err != nil {
					return clientError(err)
				}
				for _, h := range list.Handovers {
					ids = append(ids, h.ID)
				}
			}
			for _, id := range ids {
				if err := clientError(c.RetryHandover(cmd.Context(), id)); err != nil {
					return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(id), err)}
				}
			}
			return handled(cmd.OutOrStdout(), len(ids), "tried now")
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that wait or failed")
	return cmd
}

// handled tells how many studies something was done with.
func handled(out io.Writer, n int, what string) error {
	noun := "studies are"
	if n == 1 {
		noun = "study is"
	}
	_, err := fmt.Fprintf(out, "%d %s %s\n", n, noun, what)
	return err
}

func newDicomOutDropCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "drop ID…",
		Short: "Gives up handing a study over; it stays in its mail",
		Long: `Ends the way of a study to its destination, whatever its state. What the
destination has taken stays there, and the mail stays in its mailbox.`,
		Example:               "  carepost dicom out drop 01JD3Z…",
		Args:                  atLeastOne("the ID that carepost dicom out list shows"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, ids []string) error {
			for _, id := range ids {
				if err := clientError(c.DropHandover(cmd.Context(), id)); err != nil {
					return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(id), err)}
				}
			}
			return handled(cmd.OutOrStdout(), len(ids), "not handed over")
		}),
	}
}

func newDicomOutTestCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "test [NAME…]",
		Short: "Asks destinations whether they are there and speak with us",
		Long: `Asks each destination that is named, or all: a C-STORE SCP by C-ECHO, a STOW-RS
service by a search for studies. Nothing is stored. What does not answer, or
does not know us, gives exit code 1.`,
		Example: `  carepost dicom out test
  carepost dicom out test pacs --json`,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, names []string) error {
			if len(names) == 0 {
				list, err := c.Handovers(cmd.Context(), false)
				if err != nil {
					return clientError(err)
				}
				names = list.Destinations
			}
			return testDestinations(cmd, c, names)
		}),
	})
}

func testDestinations(cmd *cobra.Command, c *admind.Client, names []string) error {
	if len(names) == 0 {
		return usage(fmt.Errorf("there are no destinations: carepost.toml has no [[dicom.out]]"))
	}
	out := cmd.OutOrStdout()
	var tests []admind.HandoverTest
	var silent []string
	for _, name := range names {
		t, err := c.TestDestination(cmd.Context(), name)
		if err = clientError(err); err != nil {
			return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(name), err)}
		}
		said := "answers"
		if !t.Answers {
			said, silent = "does not: "+t.Error, append(silent, plain(name))
		}
		if tests = append(tests, t); asJSON(cmd) {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", plain(name), plain(said)); err != nil {
			return err
		}
	}
	if asJSON(cmd) {
		if err := writeJSON(out, tests); err != nil {
			return err
		}
	}
	if len(silent) > 0 {
		return notNow(fmt.Errorf("not ready to take studies: %s", strings.Join(silent, ", ")))
	}
	return nil
}
