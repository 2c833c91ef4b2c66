package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newQueueCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "What waits to be done: shows it, tries again, gives up",
		Long: `The queue holds what the gateway has still to do: seal and deliver, open what came in, answer, and its own housekeeping. Each row
is done once and goes; what fails is tried again later and later, up to the lifetime in carepost.toml.

States: ready waits for its time; leased is being done; held waits for you; dead is given up.`,
	}
	cmd.AddCommand(newQueueListCmd(), newQueueShowCmd(), newQueueHeldCmd(),
		queueAct("retry", "Tries again now", "tried again now", "Makes work due at once that waits, is held or was given up.", (*admind.Client).RetryWork),
		queueAct("hold", "Lets work rest until it is retried", "held", "Work that is held is not done until \"carepost queue retry\". Its message goes on aging.",
			(*admind.Client).HoldWork),
		queueAct("release", "Lets mail go that waits for you", "released", "Mail that a rule holds (\"carepost queue held\") goes on as if there were no rule.",
			(*admind.Client).ReleaseWork),
		queueAct("cancel", "Gives work up", "cancelled", `Recipients for whom the work is outstanding fail, and the sender gets a notice that says so. Mail that has not been opened yet
is set aside. An answer that is owed to another system cannot be cancelled.`, (*admind.Client).CancelWork))
	return ofInstallation(cmd)
}

func newQueueListCmd() *cobra.Command {
	var state string
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists what waits, soonest first",
		Long: `Lists the mail that waits or is being worked on. Timers and housekeeping show with --all, or when something is wrong with them.

FOR is the domain that mail is delivered to; NEXT is when it is tried next.`,
		Example: `  carepost queue list
  carepost queue list --state dead --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"", "ready", "leased", "held", "dead"}, state) {
				return usage(fmt.Errorf("--state: %q is none of ready, leased, held, dead", state))
			}
			c, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			works, more, err := listQueue(cmd.Context(), c, state)
			if err != nil {
				return clientError(err)
			}
			if !all {
				works = slices.DeleteFunc(works, func(w admind.Work) bool { return state == "" && isTimer(w) })
			}
			return printQueue(cmd, works, more)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "timers and housekeeping too")
	cmd.Flags().StringVar(&state, "state", "", "only rows in this `STATE`: ready, leased, held or dead")
	return reports(cmd)
}

// mostListed is how many rows one answer holds.
const mostListed = 1000

// listQueue reads the queue; more says that it is longer than what is given. Of a long one every state has its rows: thousands of
// timers must not hide what is held or dead.
func listQueue(ctx context.Context, c *admind.Client, state string) (works []admind.Work, more bool, err error) {
	works, err = c.Queue(ctx, state, mostListed)
	if err != nil || len(works) < mostListed || state != "" {
		return works, len(works) == mostListed, err
	}
	works = nil
	for _, state := range []string{"ready", "leased", "held", "dead"} {
		some, err := c.Queue(ctx, state, mostListed)
		if err != nil {
			return nil, false, err
		}
		works = append(works, some...)
	}
	slices.SortStableFunc(works, func(a, b admind.Work) int { return a.Next.Compare(b.Next) })
	return works, true, nil
}

// isTimer says that work is of no interest as long as it does what it should: it waits for a time, and most often finds nothing to do.
func isTimer(w admind.Work) bool {
	switch w.Kind {
	case "deadline", "delay", "purge", "fragments", "sweep", "scrub":
		return w.Error == "" && w.State != "dead" && w.State != "held"
	}
	return false
}

func printQueue(cmd *cobra.Command, works []admind.Work, more bool) error {
	out, now := cmd.OutOrStdout(), time.Now()
	if asJSON(cmd) {
		return writeJSON(out, works)
	}
	if len(works) == 0 && !more {
		_, err := fmt.Fprintln(out, "nothing waits")
		return err
	}
	var t table
	t.add("ID", "KIND", "FOR", "STATE", "TRIES", "NEXT", "LAST ERROR")
	for _, w := range works {
		t.add(w.ID, w.Kind, orDash(w.Dest), w.State, strconv.FormatInt(w.Attempts, 10), due(w, now), w.Error)
	}
	if err := t.write(out, columns(os.Stdout)); err != nil {
		return err
	}
	if more {
		_, err := fmt.Fprintf(out, "\nThere is more: these are of the first %d in each state.\n", mostListed)
		return err
	}
	return nil
}

// due says when work is done next.
func due(w admind.Work, now time.Time) string {
	switch w.State {
	case "leased":
		return "runs"
	case "ready":
		if !w.Next.After(now) {
			return "now"
		}
		return age(w.Next, now)
	}
	return "–"
}

func newQueueShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "show ID",
		Short:                 "Shows one row, and the message behind it",
		Example:               `  carepost queue show 01JD3Z…`,
		Args:                  exactlyOne("the ID of a row, as \"carepost queue list\" shows it"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			w, err := c.Work(cmd.Context(), args[0])
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), w)
			}
			return printWork(cmd, w)
		}),
	}
	return reports(cmd)
}

func printWork(cmd *cobra.Command, w admind.Work) error {
	now := time.Now()
	out := cmd.OutOrStdout()
	for _, x := range [][2]string{
		{"ID", w.ID}, {"Kind", w.Kind}, {"For", w.Dest}, {"State", w.State}, {"Tries", strconv.FormatInt(w.Attempts, 10)}, {"Next", due(w, now)},
		{"Made", age(w.Created, now) + " ago, " + w.Created.Local().Format(time.DateTime)}, {"Last error", w.Error}, {"Message", w.Message},
	} {
		if x[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "%-11s %s\n", x[0]+":", plain(x[1])); err != nil {
			return err
		}
	}
	if w.Message != "" {
		_, err := fmt.Fprintf(out, "\nThe way of the message:  %s\n", again(cmd, "send", "--follow "+plain(w.Message)))
		return err
	}
	return nil
}

// queueAct is a command that does something to rows, one after the other.
func queueAct(verb, short, did, long string, act func(*admind.Client, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:                   verb + " ID…",
		Short:                 short,
		Long:                  long,
		Example:               "  carepost queue " + verb + " 01JD3Z…",
		Args:                  atLeastOne("the ID of a row, as \"carepost queue list\" shows it"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, ids []string) error {
			for _, id := range ids {
				if err := clientError(act(c, cmd.Context(), id)); err != nil {
					return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(id), err)}
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", plain(id), did); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
