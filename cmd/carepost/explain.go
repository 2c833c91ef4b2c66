package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/certificate"
	"carepost/internal/admind"
	"carepost/internal/flow"
	"carepost/trust"
)

// explainJob holds the flags of `trust explain`.
type explainJob struct {
	judging
	whose, ours, as string
}

func newTrustExplainCmd() *cobra.Command {
	var j explainJob
	cmd := &cobra.Command{
		Use:   "explain FILE",
		Short: "Says why a certificate or a signer is trusted, or not",
		Long: `Judges a certificate, or the signer of a sealed mail, exactly as the gateway would, and tells the way: what was looked for, what was
fetched, which paths were tried, what was checked by which clause, and what decided. FILE is a certificate (PEM or DER, others that
came with it below) or a mail as it crossed the wire; "-" reads standard input.

Without --anchor the installation answers: with its anchors, by what it remembers and may fetch. With --anchor no installation is
needed; then FILE is a certificate ("carepost open" tells the same of a mail).

Exit codes: 0 trusted, 1 undecided, 2 wrong usage, 3 refused.`,
		Example: `  carepost trust explain partner.pem --for dr.lee@south.example
  carepost trust explain partner.pem --for dr.lee@south.example --as recipient --at 2026-07-01T12:00:00Z
  carepost trust explain strange.eml --ours desk@north.example --json
  carepost trust explain partner.pem --for dr.lee@south.example --anchor root.pem --fetch`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("trust explain: one file, please, or - for standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return j.run(cmd, args[0], time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&j.whose, "for", "", "the `ADDRESS` for which the certificate is to speak; of a mail: its sender (default: its From)")
	flags.StringVar(&j.ours, "ours", "", "in the eyes of this `OWNER`: a domain or address of this installation (default: its only domain); of a mail: its recipient")
	flags.StringVar(&j.as, "as", "sender", "judge it as that of a `PARTY`: sender (what it signed) or recipient (what is sealed for it)")
	j.register(cmd, "our own side, in place of the installation's")
	return reports(cmd)
}

func (j *explainJob) run(cmd *cobra.Command, file string, now time.Time) error {
	if j.as != "sender" && j.as != "recipient" {
		return usage(fmt.Errorf("--as: %q is neither sender nor recipient", j.as))
	}
	t, err := j.read(now)
	if err != nil {
		return err
	}
	address, err := parseAddress("for", j.whose)
	if j.whose != "" && err != nil {
		return err
	}
	in, done, err := openInput(cmd, file)
	if err != nil {
		return err
	}
	defer done()
	start, end := in.Peek(maxGlance) // a certificate fits; of a mail it is the beginning
	if end != nil && !errors.Is(end, io.EOF) {
		return notNow(end)
	}
	certs, bad := certificate.ParseAll(start)
	mail := bad != nil || len(certs) == 0
	switch {
	case mail && !looksLikeMail(start):
		return usage(fmt.Errorf("%s is neither a certificate (PEM or DER) nor a mail", file))
	case mail && len(j.anchors) > 0:
		return usage(errors.New("a mail is explained by the installation that has its key, without --anchor; carepost open does it with key files"))
	case !mail && j.whose == "":
		return usage(errors.New("--for: for which address is the certificate to speak?"))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), searchTime)
	defer cancel()
	defer waiting(cmd)()
	var e admind.Explanation
	switch {
	case mail:
		e, err = j.ask(cmd, func(c *admind.Client) (admind.Explanation, error) {
			return c.ExplainMail(ctx, j.ours, j.whose, j.moment(t), in)
		})
	case len(j.anchors) > 0:
		e = j.alone(ctx, t, address, certs)
	default:
		e, err = j.ask(cmd, func(c *admind.Client) (admind.Explanation, error) {
			return c.Explain(ctx, admind.Question{Ours: j.ours, Address: address.String(), As: j.as, At: j.moment(t), PEM: armoured(certs)})
		})
	}
	if err != nil {
		return err
	}
	if err := writeExplanation(cmd.OutOrStdout(), e, j.remedies(e), asJSON(cmd)); err != nil {
		return notNow(err)
	}
	return exitOf(e.Verdict)
}

// moment is the time asked about; zero leaves it to the installation's own clock.
func (j *explainJob) moment(t terms) time.Time {
	if j.at == "" {
		return time.Time{}
	}
	return t.now
}

// ask asks the installation.
func (j *explainJob) ask(cmd *cobra.Command, do func(*admind.Client) (admind.Explanation, error)) (admind.Explanation, error) {
	client, done, err := connect(cmd)
	if err != nil {
		return admind.Explanation{}, err
	}
	defer done()
	e, err := do(client)
	return e, clientError(err)
}

// remedies says what may be done about a certificate that is not trusted.
func (j *explainJob) remedies(e admind.Explanation) string {
	switch {
	case len(j.anchors) > 0 && e.Verdict == trust.Refused.String():
		return j.remedy(trust.Refused, e.Clause)
	case len(j.anchors) > 0 && e.Verdict == trust.Undecided.String():
		return j.remedy(trust.Undecided, e.Clause)
	case e.Verdict == trust.Undecided.String():
		return "the gateway asks again by itself; if it lasts, the server named above is the one to look at"
	case e.Verdict == trust.Refused.String() && e.Clause == "Direct 4.2.3":
		return `if you know its authority: "carepost trust add"; if you know only its owner, and have compared the fingerprint by telephone: "carepost trust pin"`
	}
	return ""
}

// alone judges by the files named on the command line.
func (j *explainJob) alone(ctx context.Context, t terms, address addr.Address, certs []*x509.Certificate) admind.Explanation {
	e := flow.Explanation{Address: address, Use: trust.Signing, At: t.now, Anchors: t.anchors}
	if j.as == "recipient" {
		e.Use = trust.Encryption
	}
	e.Verdict = trust.NewJudge(t.fetcher).Judge(ctx, trust.Question{
		Certificate: certs[0], Address: address, Anchors: t.anchors, Intermediates: append(certs[1:], t.intermediates...), CRLs: t.lists,
		Use: e.Use, Now: t.now, Policy: t.policy, Trace: func(ev trust.Event) { e.Events = append(e.Events, ev) },
	})
	out := admind.Tell(e)
	out.Ours = "the anchors given"
	return out
}

// openInput opens a file for reading from its beginning, or standard input.
func openInput(cmd *cobra.Command, name string) (*bufio.Reader, func(), error) {
	if name == "-" {
		return bufio.NewReaderSize(cmd.InOrStdin(), maxGlance), func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, usage(err)
	}
	return bufio.NewReaderSize(f, maxGlance), func() { f.Close() }, nil
}

// maxGlance is how much of a file is looked at to tell what it is, and how long certificates may be.
const maxGlance = 256 << 10

// looksLikeMail says that a text begins with a header field.
func looksLikeMail(start []byte) bool {
	line, _, _ := strings.Cut(string(start[:min(len(start), 1000)]), "\n")
	name, _, ok := strings.Cut(line, ":")
	return ok && name != "" && !strings.ContainsAny(name, " \t\x00")
}

func armoured(certs []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

// exitOf turns a verdict that has been told into the exit code.
func exitOf(verdict string) error {
	switch verdict {
	case trust.Trusted.String():
		return nil
	case trust.Refused.String():
		return refused(errSaid)
	}
	return notNow(errSaid)
}

func writeExplanation(w io.Writer, e admind.Explanation, remedy string, asJSON bool) error {
	if asJSON {
		return writeJSON(w, e)
	}
	var b strings.Builder
	explainInWords(&b, e)
	if remedy != "" {
		fmt.Fprintf(&b, "What to do: %s.\n", remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explainInWords tells a verdict as a person would: the question, what was done, what was checked, the answer.
func explainInWords(b *strings.Builder, e admind.Explanation) {
	may := "May mail signed with this certificate be believed to come from %s?\n"
	if e.As == "recipient" {
		may = "May mail for %s be sealed with this certificate?\n"
	}
	fmt.Fprintf(b, may, printable(or(e.Address, "its sender")))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(what, words string) {
		if words != "" {
			fmt.Fprintf(t, "  %s\t%s\n", what, printable(words))
		}
	}
	row("in the eyes of", e.Ours)
	row("on", e.At.Format("2006-01-02 15:04:05 UTC"))
	row("trusting", or(strings.Join(e.Anchors, "; "), "nobody: there is no anchor for it"))
	if c := e.Certificate; c != nil {
		row("certificate", c.Subject)
		row("issued by", c.Issuer)
		row("serial", c.Serial)
		row("SHA-256", c.SHA256)
	}
	t.Flush()
	section := func(title string, n int) {
		if n > 0 {
			fmt.Fprintf(b, "\n%s\n", title)
		}
	}
	section("What was done", len(e.Steps))
	for i, s := range e.Steps {
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\n", i+1, s.Kind, printable(s.Subject), printable(clausal(s.Outcome, s.Clause)))
	}
	t.Flush()
	section("What was checked", len(e.Checks))
	for _, c := range e.Checks {
		mark := map[trust.Status]string{trust.Trusted: "ok", trust.Refused: "no", trust.Undecided: "?"}[c.Status]
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", mark, c.Name, c.Clause, printable(c.Evidence))
	}
	t.Flush()
	section("Signatures", len(e.Signatures))
	for _, s := range e.Signatures {
		fmt.Fprintf(b, "  %s\n", printable(s))
	}
	section("Path", len(e.Path))
	for i, name := range e.Path {
		fmt.Fprintf(b, "  %s%s\n", strings.Repeat("  ", i), printable(distinguished(name)))
	}
	fmt.Fprintf(b, "\n%s: %s\n", strings.ToUpper(e.Verdict), printable(clausal(e.Reason, e.Clause)))
}

// clausal puts the clause behind words, where there is one.
func clausal(words, clause string) string {
	if clause == "" {
		return words
	}
	return words + " (" + clause + ")"
}

func or(words, instead string) string {
	if words == "" {
		return instead
	}
	return words
}
