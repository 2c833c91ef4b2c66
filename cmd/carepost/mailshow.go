package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/message"
)

// mostShown is how much of one text is printed, in bytes.
const mostShown = 256 << 10

func newMailShowCmd(f *mailCmd) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [ACCOUNT] UID",
		Short: "Shows one mail: header, text, what is attached, and who vouches for it",
		Long: `Prints the fields of the header, the plain text, and a list of what is attached. A DICOM File-set is checked: COMPLETE says that
every image is there and unchanged. HTML is not shown; "carepost mail save" writes it to a file.`,
		Example:               `  carepost mail show reception@south.example 7`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			account, uid, _, err := oneMail(args, 0)
			if err != nil {
				return err
			}
			return f.within(cmd, account, func(c *admind.Client, of addr.Address) error { return f.show(cmd, c, of, uid) })
		},
	}
	return reports(cmd)
}

// shownMail is what `mail show --json` prints.
type shownMail struct {
	admind.Outline
	Texts    []string            `json:"texts"`
	Report   *admind.StudyReport `json:"study_report,omitempty"`
	Vouching []string            `json:"vouching,omitempty"` // how it was opened and whom its signer is trusted by
}

func (f *mailCmd) show(cmd *cobra.Command, c *admind.Client, of addr.Address, uid uint32) error {
	ctx := cmd.Context()
	outline, err := c.MailOutline(ctx, of, f.folder, uid)
	if err != nil {
		return clientError(err)
	}
	m := shownMail{Outline: outline, Texts: []string{}}
	for _, p := range outline.Parts {
		if p.Attached || p.Type != "text/plain" {
			continue
		}
		text, err := f.text(ctx, c, of, uid, p)
		if err != nil {
			return err
		}
		m.Texts = append(m.Texts, text)
	}
	if outline.Study {
		report, err := c.CheckStudy(ctx, of, f.folder, uid)
		if err != nil {
			return clientError(err)
		}
		m.Report = &report
	}
	if m.Vouching, err = vouching(ctx, c, of, outline.Message); err != nil {
		return err
	}
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), m)
	}
	return printMail(cmd.OutOrStdout(), m)
}

// text reads one plain text.
func (f *mailCmd) text(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, p admind.Part) (string, error) {
	r, err := c.OpenPart(ctx, of, f.folder, uid, p.N)
	if err != nil {
		return "", clientError(err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, mostShown+1))
	text := message.DecodeCharset(p.Charset, b[:min(len(b), mostShown)])
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF): // the encoding is broken: what there is of it
		text += "\n[the rest cannot be read]"
	case err != nil:
		return "", notNow(err)
	case len(b) > mostShown:
		text += "\n[and so on: carepost mail save writes all of it]"
	}
	return text, nil
}

// vouching is what the timeline says of how a mail was opened and judged for an address.
func vouching(ctx context.Context, c *admind.Client, of addr.Address, id string) ([]string, error) {
	if id == "" {
		return nil, nil
	}
	t, err := c.Message(ctx, id)
	var answer *admind.Error
	if errors.As(err, &answer) && answer.Code == admind.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, clientError(err)
	}
	var out []string
	if t.Direction != "inbound" {
		return nil, nil // a notice of our own about it
	}
	for _, r := range t.Recipients {
		for _, e := range t.Events {
			if r.Address.Equal(of) && e.Recipient == r.ID && e.From == "accepted" {
				for line := range strings.Lines(e.Detail) {
					out = append(out, strings.TrimSpace(line))
				}
			}
		}
	}
	return out, nil
}

func printMail(w io.Writer, m shownMail) error {
	p := &dicomPrinter{w: w}
	for _, f := range m.Fields {
		p.line("%-13s %s", f.Name+":", plain(f.Value))
	}
	for _, v := range m.Vouching {
		what, words, ok := strings.Cut(v, ": ")
		if ok && what != "file-set" {
			p.line("%-13s %s", strings.ToUpper(what[:1])+plain(what[1:])+":", plain(words))
		}
	}
	for _, text := range m.Texts {
		p.line("\n%s", strings.TrimRight(plainLines(text), " \n\t"))
	}
	var t table
	for _, part := range m.Parts {
		if !part.Attached && part.Type == "text/plain" {
			continue
		}
		note := ""
		if part.Study {
			note = "DICOM File-set"
		}
		t.add("  "+fmt.Sprint(part.N), orDash(part.Name), part.Type, byteCount(part.Size), note)
	}
	if len(t.rows) > 0 && p.err == nil {
		p.line("\nattached:")
		if p.err == nil {
			p.err = t.write(w, columns(os.Stdout))
		}
	}
	if r := m.Report; r != nil {
		p.line("\n%-10s  %s", r.Verdict, counts(r.Patients, r.Studies, r.Series, r.Instances, r.Bytes))
		p.list(len(r.Missing), func(i int) string { return "missing " + plain(r.Missing[i]) })
		p.list(len(r.Findings), func(i int) string {
			x := r.Findings[i]
			return plain(joinWords(x.Severity, x.Source, x.Where, x.Text))
		})
	}
	return p.err
}
