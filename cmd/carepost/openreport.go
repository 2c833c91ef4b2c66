package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// damaged is the verdict on what is no whole message, or not for this key: nothing can be said of its signer.
const damaged = "damaged"

// openReport is the verdict of `open`, in JSON as it stands.
type openReport struct {
	Verdict     string           `json:"verdict"` // trusted, undecided, refused, damaged
	Clause      string           `json:"clause"`
	Reason      string           `json:"reason"`
	Remedy      string           `json:"remedy,omitempty"` // what the one who typed the command may do
	Signer      string           `json:"signer"`
	Certificate *openCertificate `json:"certificate,omitempty"`
	Anchor      string           `json:"anchor"`
	Message     *openForm        `json:"message,omitempty"`
	Signatures  []openSignature  `json:"signatures,omitempty"`
	Checks      []trust.Check    `json:"checks"`
}

type openCertificate struct {
	Subject string        `json:"subject"`
	Serial  string        `json:"serial"`
	SHA256  string        `json:"sha256"`
	Binding trust.Binding `json:"binding"`
	Path    []string      `json:"path"`
}

func (r *openReport) add(c trust.Check) { r.Checks = append(r.Checks, c) }

func (r *openReport) close(c trust.Check) *openReport {
	r.Verdict, r.Clause, r.Reason = c.Status.String(), c.Clause, c.Evidence
	return r
}

// judged takes the agent's verdict.
func (r *openReport) judged(j agent.Judged) {
	v := j.Verdict
	r.Signer = j.Address.String()
	r.Verdict, r.Clause, r.Reason = v.Status.String(), v.Clause, v.Reason
	r.Checks = append(r.Checks, v.Checks...)
	if v.Anchor != nil {
		r.Anchor = subject(v.Anchor)
	}
	if v.Certificate != nil {
		sum := sha256.Sum256(v.Certificate.Raw)
		r.Certificate = &openCertificate{
			Subject: subject(v.Certificate), Serial: v.Certificate.SerialNumber.Text(16),
			SHA256: hex.EncodeToString(sum[:]), Binding: v.Binding, Path: subjects(v.Path),
		}
	}
}

// subject is a name out of a certificate, which a stranger may have written: nothing in it moves the cursor of a terminal.
func subject(c *x509.Certificate) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, distinguished(c.Subject.String()))
}

func subjects(path []*x509.Certificate) []string {
	names := []string{}
	for _, c := range path {
		names = append(names, subject(c))
	}
	return names
}

// reportError is the table from what smime.Open says to a verdict; what is not in it is a file or a pipe that failed.
func reportError(err error) *openReport {
	reason := strings.TrimPrefix(err.Error(), "smime: ")
	refusal := func(clause string) *openReport {
		return &openReport{Verdict: trust.Refused.String(), Clause: clause, Reason: reason}
	}
	switch {
	case errors.Is(err, smime.ErrNoKey):
		return &openReport{Verdict: damaged, Clause: "RFC 5652 §6", Reason: reason,
			Remedy: "the message is not encrypted for the certificate in --cert; give the key and certificate that it is for"}
	case errors.Is(err, smime.ErrDecrypt):
		return &openReport{Verdict: damaged, Clause: "RFC 5652 §6", Reason: reason + ": it is cut or changed, or the key is another"}
	case errors.Is(err, smime.ErrPlain):
		r := refusal("Direct 2.4")
		r.Remedy = "a sealed message has Content-Type application/pkcs7-mime; this one is to be read as it is, or lacks the top of its header"
		return r
	case errors.Is(err, smime.ErrUnsigned):
		return refusal("Direct 2.4")
	case errors.Is(err, cms.ErrAlgorithm):
		return refusal("Direct 2.7")
	case errors.Is(err, cms.ErrSyntax), errors.Is(err, message.ErrEncoding): // a cut rather than a trick
		return &openReport{Verdict: damaged, Clause: "RFC 5652 §6", Reason: bare(cause(err))}
	case errors.Is(err, smime.ErrStructure), errors.Is(err, smime.ErrLimit):
		return refusal("Direct 2.5.1")
	}
	return &openReport{Verdict: trust.Undecided.String(), Reason: reason}
}

// cause is what smime wraps beside its own verdict, err itself where there is nothing.
func cause(err error) error {
	if both, ok := err.(interface{ Unwrap() []error }); ok {
		all := both.Unwrap()
		return all[len(all)-1]
	}
	return err
}

// named compares the envelope with the header of the message: a recommendation of Direct 2.2, a rule of v1.3.
func (j *openJob) named(h message.Header) trust.Check {
	c := trust.Check{Name: "envelope", Status: trust.Trusted, Clause: "Direct 2.2", Evidence: "the message names its recipient, and who sent it"}
	switch {
	case !names(h, j.to, "To", "Cc"):
		c.Status, c.Evidence = trust.Undecided, "the recipient is named neither in To nor in Cc of the message"
	case !j.from.IsZero() && !names(h, j.from, "From", "Sender"):
		c.Status, c.Evidence = trust.Undecided, "the sender of the envelope is named neither in From nor in Sender of the message"
	}
	if c.Status != trust.Trusted && j.party.Policy == trust.V13 {
		c.Status, c.Clause = trust.Refused, "Direct v1.3 (envelope)"
	}
	return c
}

func names(h message.Header, a addr.Address, fields ...string) bool {
	for _, field := range fields {
		boxes, err := h.Mailboxes(field)
		if err == nil && slices.ContainsFunc(boxes, func(m message.Mailbox) bool { return m.Address.Equal(a) }) {
			return true
		}
	}
	return false
}

func (r *openReport) write(w io.Writer, asJSON bool) error {
	if r.Checks == nil {
		r.Checks = []trust.Check{}
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "verdict\t%s\n", r.Verdict)
	for _, line := range [][2]string{{"clause", r.Clause}, {"reason", r.Reason}, {"remedy", r.Remedy}, {"signer", r.Signer}, {"anchor", r.Anchor}} {
		if line[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
		}
	}
	if f := r.Message; f != nil {
		fmt.Fprintf(t, "form\t%s\nheader\t%s\nencryption\t%s by %s\n", f.Form, f.header(), f.Cipher, f.Key)
	}
	for _, s := range r.Signatures {
		fmt.Fprintf(t, "signature %d\t%s\n", s.Signer, s)
	}
	if r.Certificate != nil {
		fmt.Fprintf(t, "certificate\t%s, serial %s, %v\n", r.Certificate.Subject, r.Certificate.Serial, r.Certificate.Binding)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	mark := map[trust.Status]string{trust.Trusted: "ok", trust.Undecided: "?", trust.Refused: "no"}
	for _, c := range r.Checks {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", mark[c.Status], c.Name, c.Clause, c.Evidence)
	}
	return t.Flush()
}

// errSaid is for a command that has told everything itself: only the exit code is left.
var errSaid = errors.New("")

func (r *openReport) exit() error {
	switch r.Verdict {
	case trust.Refused.String():
		return refused(errSaid)
	case damaged:
		return incomplete(errSaid)
	}
	return notNow(errSaid)
}
