package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newMailTimelineCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "timeline ID",
		Short: "Shows what became of a message, and all that happened to it",
		Long: `Prints what is known of a message that was sent or received: for each recipient the result and what is still awaited, then every
event with its evidence, oldest first. ID is the one that "carepost send" printed, or the Message-ID of the mail, in angle brackets.

Results of a message that was sent:
  pending    something is awaited, as the table says
  relayed    the next server took it, and nothing more is expected: the
             partner sends no notices
  processed  the recipient's side has verified it and taken it over; whether
             it was delivered is not known
  delivered  the recipient's side confirms the final delivery, as was asked
  failed     it did not arrive, or nothing was heard in time; the sender has
             been told
Of one that came in: shown, or aside (not trusted, kept away from everybody).

Each look is noted in the audit trail.`,
		Example: `  carepost mail timeline 01JD3Z…
  carepost mail timeline '<5f1c@north.example>' --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("the id of one message, please"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return timeline(cmd, args[0]) },
	}
	return reports(cmd)
}

func newMailFollowCmd() *cobra.Command {
	var f send
	cmd := &cobra.Command{
		Use:   "follow ID",
		Short: "Follows a message until nothing more is awaited of anybody",
		Long: `Prints what happens to a message as it happens, as "carepost send" does, until every recipient has a result. Ctrl-C ends the watching,
not the message. With --json the end is printed alone: a program that sends waits by it for its answer.

Exit codes:
  0  every recipient's system has taken the message over
  1  watching ended before the message did, or it could not be handed over
  2  wrong usage
  3  refused by a rule or by the other side`,
		Example: `  carepost mail follow 01JD3Z…
  carepost mail follow '<5f1c@north.example>' --json --wait 65m`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("the id of one message, please"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.wait < 0 {
				return usage(errors.New("--wait: a time is longer than nothing"))
			}
			return onMessage(cmd, args[0], func(c *admind.Client, ids []string) error {
				if len(ids) > 1 {
					return usage(fmt.Errorf("%d messages have this Message-ID; follow one of them: %s", len(ids), strings.Join(ids, " ")))
				}
				status, err := c.Status(cmd.Context())
				if err != nil {
					return clientError(err)
				}
				return f.watch(cmd, c, ids[0], status.Serving)
			})
		},
	}
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "watch no longer than this `TIME`, for example 65m (default: until it is over)")
	return reports(cmd)
}

// onMessage runs fn with the ids of what is meant: an id of ours, or a Message-ID, which several messages may have.
func onMessage(cmd *cobra.Command, named string, fn func(*admind.Client, []string) error) error {
	c, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	ids := []string{named}
	if strings.ContainsAny(named, "<@") {
		if ids, err = c.Named(cmd.Context(), named); err != nil {
			return clientError(err)
		}
	}
	return fn(c, ids)
}

func timeline(cmd *cobra.Command, named string) error {
	return onMessage(cmd, named, func(c *admind.Client, ids []string) error {
		all := []admind.Timeline{}
		for _, id := range ids {
			t, err := c.Message(cmd.Context(), id)
			if err != nil {
				return clientError(err)
			}
			all = append(all, t)
		}
		if asJSON(cmd) && len(all) == 1 {
			return writeJSON(cmd.OutOrStdout(), all[0])
		}
		if asJSON(cmd) {
			return writeJSON(cmd.OutOrStdout(), all)
		}
		for i, t := range all {
			if i > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
			}
			if err := printTimeline(cmd.OutOrStdout(), t, columns(os.Stdout)); err != nil {
				return err
			}
		}
		return nil
	})
}

// printTimeline prints a message: what it is, what became of it for each recipient, and what happened.
func printTimeline(out io.Writer, t admind.Timeline, columns int) error {
	var head table
	head.add("Message", t.ID+", "+t.Direction+", "+byteCount(t.Size))
	head.add("From", orDash(t.From))
	head.add("Subject", orDash(t.Subject))
	head.add("Message-ID", orDash(t.MessageID))
	head.add("Accepted", clock(t.Received))
	if t.FinalDelivery {
		head.add("Asked for", "a notice of the final delivery")
	}
	if err := head.write(out, columns); err != nil {
		return err
	}
	fmt.Fprintln(out)
	var who table
	who.add("RECIPIENT", "RESULT", "SINCE", "AWAITED")
	for _, r := range t.Recipients {
		awaited := or(r.Awaits, "nothing")
		if r.Awaits != "" && !r.Deadline.IsZero() {
			awaited += " until " + clock(r.Deadline)
		}
		who.add(r.Address.String(), r.Result, clock(since(t, r)), awaited)
	}
	if err := who.write(out, columns); err != nil {
		return err
	}
	fmt.Fprintln(out)
	w := &watcher{out: out, columns: columns}
	w.tell(t)
	return w.err
}

// since is when a recipient came to where he is.
func since(t admind.Timeline, r admind.Recipient) time.Time {
	at := t.Received
	for _, e := range t.Events {
		if e.Recipient == r.ID && e.From != e.To {
			at = e.At
		}
	}
	return at
}

// clock is a moment as the wall here shows it.
func clock(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 -0700") }
