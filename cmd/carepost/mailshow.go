package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/admind"
	"carepost/message"
)

// mostShown is how much of one text is printed, in bytes.
const mostShown = 256 << 10

func newMailShowCmd(f *mailCmd) *cobra.Command {
	var receipt bool
	cmd := &cobra.Command{
		Use:   "show [ACCOUNT] UID",
		Short: "Shows one mail: header, text, attachments, and who vouches for it",
		Long: `Prints the fields of the header, the plain text, and a list of what is attached. A DICOM File-set is checked: COMPLETE says that
every image is there and unchanged, UNVERIFIABLE that images came without a DICOMDIR that says so. So is a package of documents (IHE XDM); a Direct Context is read. HTML is not shown; "carepost mail save" writes it to a file.

Where the sender asks to be told that the mail is read, that is said; he is told with --receipt only, and once.`,
		Example: `  carepost mail show reception@south.example 7
  carepost mail show 7 --receipt`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			account, uid, _, err := oneMail(args, 0)
			if err != nil {
				return err
			}
			return f.within(cmd, account, func(c *admind.Client, of addr.Address) error { return f.show(cmd, c, of, uid, receipt) })
		},
	}
	cmd.Flags().BoolVar(&receipt, "receipt", false, "tell the sender, who asks for it, that it is read")
	return reports(cmd)
}

// shownMail is what `mail show --json` prints.
type shownMail struct {
	admind.Outline
	Texts    []string            `json:"texts"`
	Report   *admind.StudyReport `json:"study_report,omitempty"`
	Transfer *admind.Transfer    `json:"transfer,omitempty"` // that the mail is a part of
	Contents *admind.Contents    `json:"contents,omitempty"` // for programs: a package of documents, a context
	Receipt  *admind.Receipt     `json:"receipt,omitempty"`  // that its sender asks for
	Vouching []string            `json:"vouching,omitempty"` // how it was opened and whom its signer is trusted by
}

func (f *mailCmd) show(cmd *cobra.Command, c *admind.Client, of addr.Address, uid uint32, receipt bool) error {
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
	var damaged error
	if outline.Study {
		switch t, err := c.MailTransfer(ctx, of, f.folder, uid); {
		case err != nil:
			return clientError(err)
		case t.Part > 0:
			m.Transfer = &t
		}
		report, err := c.CheckStudy(ctx, of, f.folder, uid)
		switch err = clientError(err); {
		case exitCode(err) == exitIncomplete: // the rest of the mail can be read all the same
			damaged = fmt.Errorf("the File-set cannot be checked: %w", err)
		case err != nil:
			return err
		default:
			m.Report = &report
		}
	}
	if m.Vouching, err = vouching(ctx, c, of, outline.Message); err != nil {
		return err
	}
	if slices.ContainsFunc(m.Vouching, func(v string) bool { return strings.HasPrefix(v, "package: ") || strings.HasPrefix(v, "context: ") }) {
		contents, err := c.MailContents(ctx, of, f.folder, uid)
		if err != nil {
			return clientError(err)
		}
		m.Contents = &contents
	}
	if m.Receipt, err = f.receipt(ctx, c, of, uid, receipt); err != nil {
		return err
	}
	if asJSON(cmd) {
		err = writeJSON(cmd.OutOrStdout(), m)
	} else if err = printMail(cmd.OutOrStdout(), m); err == nil {
		if err = f.hint(cmd, m); err == nil {
			err = f.receiptHint(cmd, m.Receipt)
		}
	}
	if err != nil {
		return err
	}
	return damaged
}

// takeable says that a mail holds a package that can be taken out.
func takeable(c *admind.Contents) bool {
	return c != nil && c.Package != nil && c.Package.Verdict >= fileset.Violations
}

// hint says how what is attached comes to files.
func (f *mailCmd) hint(cmd *cobra.Command, m shownMail) error {
	how := ""
	switch {
	case m.Report != nil && m.Report.Verdict == fileset.Complete.String():
		how = "--study"
	case m.Report != nil && m.Report.Verdict == fileset.Unverifiable.String():
		how = "--study --incomplete"
	case takeable(m.Contents):
		how = "--package"
	case slices.ContainsFunc(m.Parts, func(p admind.Part) bool { return p.Attached && p.Name != "" }):
		how = "--attachments"
	default:
		return nil
	}
	words := []string{}
	for _, arg := range cmd.Flags().Args() {
		words = append(words, quoted(arg))
	}
	if f.folder != "" {
		how += " --folder " + quoted(f.folder)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nTo files:  %s\n", again(cmd, "mail save", strings.Join(append(words, "DIR", how), " ")))
	return err
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

// unprotectedNote is said with every verdict on a set that came so (DCM-32).
const unprotectedNote = "UNPROTECTED: the mail was neither encrypted nor signed. Anybody on its way\ncould read and change it, and nobody vouches for its sender."

func printMail(w io.Writer, m shownMail) error {
	p := &dicomPrinter{w: w, more: "--json"}
	field := func(name, value string) {
		width := columns(os.Stdout) - 14
		if width < 20 {
			width = 1 << 20
		}
		lines := append(fill(plain(value), width), "")
		for _, part := range lines[:max(1, len(lines)-1)] { // an empty field too
			p.line("%-13s %s", name, part)
			name = ""
		}
	}
	for _, f := range m.Fields {
		field(f.Name+":", f.Value)
	}
	for _, v := range m.Vouching {
		what, words, ok := strings.Cut(v, ": ")
		if ok && what != "" && what != "file-set" && what != "transfer" && what != "package" && what != "context" {
			field(strings.ToUpper(what[:1])+plain(what[1:])+":", words)
		}
	}
	if t := m.Transfer; t != nil {
		field("Transfer:", t.Words+" (carepost transfer show "+t.ID+")")
	}
	if m.Contents != nil {
		tellContext(m.Contents, field)
	}
	for _, text := range m.Texts {
		p.line("\n%s", strings.TrimRight(plainLines(text), " \n\t"))
	}
	t := table{indent: "  "}
	for _, part := range m.Parts {
		if !part.Attached && part.Type == "text/plain" {
			continue
		}
		note := ""
		if part.Study {
			note = "DICOM File-set"
		}
		if part.Object {
			note = "DICOM object"
		}
		if m.Contents != nil && part.N == m.Contents.Part {
			note = strings.TrimPrefix(note+", XDM package", ", ")
		}
		t.add(fmt.Sprint(part.N), cut(plain(orDash(part.Name)), 40), cut(plain(part.Type), 40), byteCount(part.Size), note)
	}
	if len(t.rows) > 0 && p.err == nil {
		p.line("\nattached:")
		if p.err == nil {
			p.err = t.write(w, columns(os.Stdout))
		}
	}
	if m.Unreadable != "" {
		p.line("\nnothing can be taken out: %s", m.Unreadable)
	}
	if r := m.Report; r != nil {
		verdict := r.Verdict
		if m.Unprotected {
			verdict += ", UNPROTECTED"
		}
		p.line("\n%-10s  %s", verdict, counts(r.Patients, r.Studies, r.Series, r.Instances, r.Bytes))
		p.list(len(r.Missing), func(i int) string { return "missing " + plain(r.Missing[i]) })
		p.list(len(r.Findings), func(i int) string {
			x := r.Findings[i]
			return plain(joinWords(x.Severity, x.Source, x.Where, x.Text))
		})
	}
	if c := m.Contents; c != nil && c.Package != nil && p.err == nil {
		p.line("")
		p.err = cmp.Or(p.err, printPackage(w, c.Package))
	}
	return p.err
}
