package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/audit"
)

func newAuditCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "The audit log: lists it, proves it, exports it",
		Long: `Every act on mail, accounts, trust and keys has its entry in the audit
log, written in the transaction of the act itself. Within about a second
each entry gets its place in the log, for ever, and the gateway signs the
head of the log: a few lines that stand for all entries so far.

Whoever changes, removes, inserts or reorders entries in the database is
found by "carepost audit verify". A whole older database, or another log
in the place of this one, is found by a head that was kept elsewhere: by
the gateway itself ([audit] heads = "FILE" in carepost.toml), or have
"carepost audit head" written to another machine, every hour.`,
	}
	cmd.AddCommand(newAuditListCmd(), newAuditVerifyCmd(), newAuditHeadCmd(), newAuditExportCmd(), newAuditEraseCmd())
	return ofInstallation(cmd)
}

func newAuditListCmd() *cobra.Command {
	var q admind.AuditQuery
	var since, until string
	var first bool
	cmd := reports(&cobra.Command{
		Use:   "list",
		Short: "Lists entries of the log, oldest first",
		Long: `Lists the last entries of the log, or the first with --first. To list
is an act of its own and has its entry.

SEQ is the place in the log; an entry that has none yet gets it within a
second while a gateway runs. STATE is whole, erased (its detail was taken
out by "carepost audit erase") or broken: not what was written.`,
		Example: `  carepost audit list
  carepost audit list --object message:01JD3Z… --json
  carepost audit list --action mail.read --since 2026-12-01T00:00:00Z`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			for text, at := range map[*string]*time.Time{&since: &q.Since, &until: &q.Until} {
				var err error
				if *text == "" {
					continue
				}
				if *at, err = time.Parse(time.RFC3339, *text); err != nil {
					return usage(fmt.Errorf("%q is no time like 2026-12-01T00:00:00Z", *text))
				}
			}
			q.Latest = !first
			list, err := c.Audit(cmd.Context(), q)
			if err != nil {
				return clientError(err)
			}
			return printAudit(cmd, list)
		}),
	})
	f := cmd.Flags()
	f.StringVar(&q.Actor, "actor", "", "only acts of this `ACTOR`: operator:1000, account:01J…, flow")
	f.StringVar(&q.Action, "action", "", "only this `ACTION`: mail.read, message.accept")
	f.StringVar(&q.Object, "object", "", "only entries about this `OBJECT`: message:01J…")
	f.StringVar(&since, "since", "", "only from this `TIME` on: 2026-12-01T00:00:00Z")
	f.StringVar(&until, "until", "", "only before this `TIME`")
	f.StringVar(&q.After, "after", "", "only behind the entry with this `ID`")
	f.IntVar(&q.Limit, "limit", 100, "at most so many, up to 1000")
	f.BoolVar(&first, "first", false, "of more, the first ones instead of the last")
	return cmd
}

func printAudit(cmd *cobra.Command, list []admind.AuditEntry) error {
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		return writeJSON(out, list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "no entries")
		return err
	}
	var t table
	t.add("SEQ", "TIME", "ACTOR", "ACTION", "OBJECT", "STATE", "DETAIL")
	for _, e := range list {
		seq := "–"
		if e.Seq != 0 {
			seq = fmt.Sprint(e.Seq)
		}
		t.add(seq, e.At.Local().Format(time.DateTime), e.Actor, e.Action, e.Object, e.State, details(e.Detail))
	}
	return t.write(out, columns(os.Stdout))
}

// details is a detail on one line.
func details(m map[string]string) string {
	var parts []string
	for k, v := range m {
		if v != "" {
			parts = append(parts, k+"="+quoted(v))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func newAuditVerifyCmd() *cobra.Command {
	var heads []string
	var key string
	cmd := reports(&cobra.Command{
		Use:   "verify",
		Short: "Proves that the log is what was written",
		Long: `Reads the whole log, compares every entry with its digest and its place,
and all of them with the signed heads. With --head also with a head that
was kept elsewhere (carepost audit head): only that tells of an older
database that was put in the place of this one. With --key the log must
be signed by that key.

What does not fit is named, the first entry first. The gateway may run.

Exit codes:
  0  the log is what was written
  1  it could not be read now
  2  wrong usage
  4  it is not: entries were changed, removed, inserted or reordered, or
     an older log was put in its place`,
		Example: `  carepost audit verify
  carepost audit verify --head /mnt/elsewhere/north.head --key carepost-audit-…`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			var notes []string
			for _, name := range heads {
				some, err := readHeads(name)
				if err != nil {
					return usage(fmt.Errorf("--head: %w", err))
				}
				if notes = append(notes, some...); size(notes) > mostHeads {
					return usage(fmt.Errorf("--head: these are more heads than %s of them: check them in parts", byteCount(mostHeads)))
				}
			}
			bar := newDicomBar(os.Stderr, "verify")
			v, err := c.VerifyAudit(cmd.Context(), notes, key, bar.set)
			bar.stop()
			if err != nil {
				return clientError(err)
			}
			if err := printVerified(cmd, v); err != nil {
				return notNow(err)
			}
			if n := len(v.Findings) + v.More; n > 0 {
				return incomplete(fmt.Errorf("the audit log is not what was written: %s", count(n, "finding")))
			}
			return nil
		}),
	})
	cmd.Flags().StringArrayVar(&heads, "head", nil, "heads kept elsewhere, a `FILE`; may be given again")
	cmd.Flags().StringVar(&key, "key", "", "the public `KEY` of the log, kept elsewhere")
	return cmd
}

// mostHeads is the size of the greatest file of heads that is read.
// Of one each hour, that is three years. The gateway takes as much in one request.
const mostHeads = 8 << 20

// readHeads reads the heads in a file, one after the other.
func readHeads(name string) (heads []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostHeads+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mostHeads || len(text) == 0 {
		return nil, fmt.Errorf("%s holds no heads, or more than %s of them", name, byteCount(mostHeads))
	}
	head, signed := "", false
	for line := range strings.Lines(string(text)) {
		is := strings.HasPrefix(line, "— ") // a line with a signature: the end of a head
		if signed && !is {
			heads = append(heads, head)
			head = ""
		}
		if head == "" && line == "\n" { // between heads, or behind the last
			signed = false
			continue
		}
		head += line
		signed = is
	}
	if head != "" {
		heads = append(heads, head)
	}
	if len(heads) == 0 {
		return nil, fmt.Errorf("%s holds no heads", name)
	}
	return heads, nil
}

func size(heads []string) (n int) {
	for _, h := range heads {
		n += len(h)
	}
	return n
}

func printVerified(cmd *cobra.Command, v audit.Verified) error {
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		return writeJSON(out, v)
	}
	for _, f := range v.Findings {
		if _, err := fmt.Fprintln(out, "✗ "+finding(f)); err != nil {
			return err
		}
	}
	if v.More > 0 {
		fmt.Fprintf(out, "  and %d more\n", v.More)
	}
	var b strings.Builder
	switch {
	case v.Key == "" && len(v.Findings) == 0:
		b.WriteString("The log has not begun: a gateway begins it.\n")
	case len(v.Findings) == 0:
		fmt.Fprintf(&b, "The log is what was written: %s, as of %s, under %s", plural(int(v.Entries), "entry", "entries"), v.At.Local().Format(time.DateTime), plural(v.Heads-v.Kept, "signed head", "signed heads"))
		if v.Kept > 0 {
			fmt.Fprintf(&b, " and %s kept elsewhere", count(v.Kept, "head"))
		}
		b.WriteString(".\n")
	}
	if v.Erased > 0 {
		fmt.Fprintf(&b, "The details of %s were erased, each by an act in the log.\n", plural(int(v.Erased), "entry", "entries"))
	}
	if v.Waiting > 0 {
		fmt.Fprintf(&b, "%s without a place yet, the first of %s: no head stands for them until the gateway has signed one.\n", plural(int(v.Waiting), "entry is", "entries are"), v.Since.Local().Format(time.DateTime))
	}
	if len(v.Findings) == 0 && v.Kept == 0 && v.Key != "" {
		fmt.Fprintf(&b, "No head kept elsewhere was given: an older database in the place of this one is not seen.\n  %s\n", again(cmd, "audit head", "-o FILE"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// finding says for people what does not fit.
func finding(f audit.Finding) string {
	entry := fmt.Sprintf("entry %d", f.Seq)
	if f.Seq == 0 {
		entry = "an entry that waits for its place"
	}
	if f.Entry != "" {
		entry += " (" + plain(f.Entry) + ")"
	}
	span := entry
	if f.To > f.Seq {
		span = fmt.Sprintf("entries %d to %d", f.Seq, f.To)
	}
	whose := "signed head"
	if f.Kept {
		whose = "head kept elsewhere"
	}
	switch f.What {
	case audit.Altered:
		return entry + " was changed: it is not what its digest says"
	case audit.Displaced:
		return entry + " stands in the place of another: replaced, or put out of order"
	case audit.Removed:
		return span + ": removed"
	case audit.Inserted:
		return entry + " was inserted: no head stands for its place"
	case audit.Stripped:
		return entry + ": its detail was taken out, and no entry says by whom"
	case audit.Differs:
		return fmt.Sprintf("%s are not those that the %s was signed for", span, whose)
	case audit.Shorter:
		return fmt.Sprintf("%s are missing, for which there is a head kept elsewhere: an older database stands in the place of the log's", span)
	case audit.BadHead:
		if f.Kept {
			return "a head kept elsewhere is none of this log, or was changed"
		}
		return "the signed head is missing, or was changed"
	case audit.BadKey:
		return "the log's key is missing, or another than the one kept elsewhere: this may be another log"
	case audit.BadTree:
		return "the stored hashes of the log are damaged: the gateway adds nothing to it; restore the database from a backup"
	}
	return string(f.What)
}

func newAuditHeadCmd() *cobra.Command {
	var file string
	cmd := reports(&cobra.Command{
		Use:   "head",
		Short: "Gives the signed head of the log, to be kept elsewhere",
		Long: `Writes the last signed head of the log: how many entries there are and one
hash that stands for all of them. It names nobody. Keep it where whoever
can change the database cannot: on another machine, on paper. The form is
a checkpoint (c2sp.org/tlog-checkpoint).

The key is printed to standard error; keep it once, apart from the heads.`,
		Example: `  carepost audit head -o /mnt/elsewhere/north.head
  carepost audit head | ssh keeper 'cat >> north.heads'`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			h, err := c.AuditHead(cmd.Context())
			if err != nil {
				return auditError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), h)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s, signed %s, by the key\n  %s\n", plural(int(h.Entries), "entry", "entries"), h.At.Local().Format(time.DateTime), plain(h.Key))
			if file == "" {
				_, err = io.WriteString(cmd.OutOrStdout(), h.Note)
				return err
			}
			if err := audit.WriteHead(file, h.Note); err != nil {
				return notNow(err)
			}
			return nil
		}),
	})
	cmd.Flags().StringVarP(&file, "output", "o", "", "write it into this `FILE`, over what was there")
	return cmd
}

// auditError is clientError where the log may not have begun.
func auditError(err error) error {
	var answer *admind.Error
	if errors.As(err, &answer) && answer.Code == admind.NotFound {
		return usage(errors.New("the log has not begun: a gateway that runs begins it (carepost serve)"))
	}
	return clientError(err)
}

func newAuditExportCmd() *cobra.Command {
	var o audit.ExportOptions
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Writes the log, with its proofs, for others to check",
		Long: `Writes the log as lines of JSON that prove themselves to whoever has its
public key, without Carepost: entries, signed heads, and proofs after
RFC 9162. docs/audit.md describes the lines and how they are checked.

The details of entries tell of persons. With --clear they are left out,
and the rest proves itself all the same. To export is an act of its own
and has its entry.`,
		Example: `  carepost audit export -o log.jsonl
  carepost audit export --object message:01JD3Z… --clear`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			if o.From < 0 || o.To < 0 {
				return usage(errors.New("--from, --to: places in the log, from 1"))
			}
			if file == "" {
				return auditError(c.ExportAudit(cmd.Context(), o, cmd.OutOrStdout()))
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, os.ErrExist) {
				return usage(fmt.Errorf("%s is there already", file))
			} else if err != nil {
				return notNow(err)
			}
			if err := c.ExportAudit(cmd.Context(), o, f); err != nil {
				return errors.Join(auditError(err), f.Close(), os.Remove(file))
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return notNow(err)
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.Int64Var(&o.From, "from", 0, "from this `PLACE` in the log on")
	f.Int64Var(&o.To, "to", 0, "up to this `PLACE`")
	f.StringVar(&o.Object, "object", "", "only entries about this `OBJECT`: message:01J…")
	f.BoolVar(&o.Clear, "clear", false, "without the details, which tell of persons")
	f.StringVarP(&file, "output", "o", "", "write into this new `FILE`")
	return cmd
}

func newAuditEraseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "erase ID…",
		Short: "Takes the details out of entries, for good",
		Long: `Takes the detail out of entries: what tells of persons. Who did what to
which object, and when, stays, and the log verifies as before. Each
erasure has its own entry.`,
		Example:               `  carepost audit erase 01JD3Z…`,
		Args:                  atLeastOne("the ID of an entry, as \"carepost audit list --json\" shows it"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, ids []string) error {
			for _, id := range ids {
				if err := clientError(c.EraseAudit(cmd.Context(), id)); err != nil {
					return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(id), err)}
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: its detail is erased\n", plain(id)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
