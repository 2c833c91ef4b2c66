package main

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"carepost/cms"
	"carepost/discovery"
	"carepost/trust"
)

// certReport is what `cert find` says, in JSON as it stands.
type certReport struct {
	Address      string           `json:"address"`
	At           time.Time        `json:"at"`
	Result       string           `json:"result"` // trusted, refused, undecided; found (not judged), not found, no answer
	Error        string           `json:"error,omitempty"`
	Judged       bool             `json:"judged"`
	Steps        []discovery.Step `json:"steps"`
	Certificates []certEntry      `json:"certificates"`

	noLDAP bool
}

type certEntry struct {
	Subject   string       `json:"subject"`
	Issuer    string       `json:"issuer"`
	Serial    string       `json:"serial"`
	Names     []string     `json:"names"`
	NotBefore time.Time    `json:"not_before"`
	NotAfter  time.Time    `json:"not_after"`
	Key       string       `json:"key"`
	SHA256    string       `json:"sha256"`
	Binding   string       `json:"binding"`
	Source    string       `json:"source"`
	Name      string       `json:"name"`
	URL       string       `json:"url,omitempty"`
	Server    string       `json:"server,omitempty"`
	Entry     string       `json:"entry,omitempty"`
	DNSSEC    bool         `json:"dnssec,omitempty"`
	TTL       int64        `json:"ttl_seconds"`
	Verdict   *certVerdict `json:"verdict,omitempty"`
}

type certVerdict struct {
	Status trust.Status  `json:"status"`
	Clause string        `json:"clause"`
	Reason string        `json:"reason"`
	Path   []string      `json:"path,omitempty"`
	Anchor string        `json:"anchor,omitempty"`
	Checks []trust.Check `json:"checks"`
}

func newCertEntry(f discovery.Found) certEntry {
	c := f.Certificate
	sum := sha256.Sum256(c.Raw)
	return certEntry{
		Subject: distinguished(c.Subject.String()), Issuer: distinguished(c.Issuer.String()), Serial: c.SerialNumber.Text(16),
		Names: append(append([]string{}, c.EmailAddresses...), c.DNSNames...), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Key: keyText(c), SHA256: hex.EncodeToString(sum[:]),
		Binding: f.Binding.String(), Source: f.Source, Name: f.Name, URL: f.URL, Server: f.Server, Entry: f.Entry, DNSSEC: f.DNSSEC, TTL: int64(f.TTL / time.Second),
	}
}

func distinguished(s string) string {
	if s == "" {
		return "(empty name)"
	}
	return s
}

func keyText(c *x509.Certificate) string {
	switch k := cms.PublicKey(c).(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *ecdh.PublicKey:
		return "X25519"
	}
	return c.PublicKeyAlgorithm.String()
}

func (e *certEntry) judged(v trust.Verdict) {
	e.Verdict = &certVerdict{Status: v.Status, Clause: v.Clause, Reason: v.Reason, Checks: v.Checks}
	for _, c := range v.Path {
		e.Verdict.Path = append(e.Verdict.Path, distinguished(c.Subject.String()))
	}
	if v.Anchor != nil {
		e.Verdict.Anchor = distinguished(v.Anchor.Subject.String())
	}
}

// conclude sets the result: one trusted certificate is enough, and one without an answer leaves hope.
func (r *certReport) conclude(err error) {
	switch {
	case err != nil:
		r.Result, r.Error = "no answer", err.Error()
		return
	case len(r.Certificates) == 0:
		r.Result = "not found"
		return
	case !r.Judged:
		r.Result = "found"
		return
	}
	r.Result = trust.Refused.String()
	for _, c := range r.Certificates {
		switch c.Verdict.Status {
		case trust.Trusted:
			r.Result = trust.Trusted.String()
			return
		case trust.Undecided:
			r.Result = trust.Undecided.String()
		}
	}
}

// exit turns the result into the exit code and the line on stderr.
func (r *certReport) exit(err error, remedy func(trust.Status, string) string) error {
	switch r.Result {
	case "no answer":
		if errors.Is(err, discovery.ErrNotFetched) {
			return notNow(errors.New("no answer now: the certificate is published by URL, which is fetched with --fetch alone"))
		}
		if errors.Is(err, discovery.ErrDirectory) {
			return notNow(errors.New("no answer now: the domain names LDAP servers, and none of them answers; try again later"))
		}
		return notNow(fmt.Errorf("no answer now: %s; try again later, or another server with --dns", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "discovery: "), "resolver: ")))
	case "not found":
		return refused(errors.New("no certificate is published for this address (Direct 2.3)"))
	case trust.Undecided.String(), trust.Refused.String():
		v := r.decisive()
		text := fmt.Errorf("%s (%s): %s", r.Result, v.Clause, printable(v.Reason))
		if try := remedy(v.Status, v.Clause); try != "" {
			text = fmt.Errorf("%w; %s", text, try)
		}
		if r.Result == trust.Undecided.String() {
			return notNow(text)
		}
		return refused(text)
	}
	return nil
}

// decisive is the first verdict with the status of the result.
func (r *certReport) decisive() *certVerdict {
	for _, c := range r.Certificates {
		if c.Verdict.Status.String() == r.Result {
			return c.Verdict
		}
	}
	return &certVerdict{}
}

func (r *certReport) write(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var b strings.Builder
	r.text(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// text writes for people. What strangers put into certificates is quoted where it is not printable.
func (r *certReport) text(b *strings.Builder) {
	fmt.Fprintf(b, "Certificates of %s\n\n", printable(r.Address))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i, s := range r.Steps {
		name := s.Name
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\n", i+1, s.Source, printable(name), printable(s.Outcome))
	}
	t.Flush()
	for i, c := range r.Certificates {
		fmt.Fprintf(b, "\nCertificate %d of %d: %s\n", i+1, len(r.Certificates), printable(c.Subject))
		c.text(b)
	}
	fmt.Fprintf(b, "\n%s\n", r.summary())
}

func (c *certEntry) text(b *strings.Builder) {
	const day = "2006-01-02"
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	where := c.Source + " at " + c.Name
	if c.Server != "" {
		where = c.Source + " server " + c.Server + ", entry " + c.Entry
	}
	if c.DNSSEC {
		where += " (proven by DNSSEC, as the DNS server says)"
	}
	if c.URL != "" {
		where += ", fetched from " + c.URL
	}
	for _, line := range [][2]string{
		{"published", where},
		{"bound to", strings.Join(c.Names, ", ") + " (" + c.Binding + ")"},
		{"issued by", c.Issuer},
		{"valid", c.NotBefore.UTC().Format(day) + " to " + c.NotAfter.UTC().Format(day)},
		{"key", c.Key},
		{"SHA-256", c.SHA256},
	} {
		fmt.Fprintf(t, "  %s\t%s\n", line[0], printable(line[1]))
	}
	t.Flush()
	if c.Verdict == nil {
		return
	}
	v := c.Verdict
	fmt.Fprintf(b, "  %s (%s): %s\n", strings.ToUpper(v.Status.String()), v.Clause, printable(v.Reason))
	for i, name := range v.Path {
		fmt.Fprintf(b, "    %s%s\n", strings.Repeat("  ", i), printable(name))
	}
	t = tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, check := range v.Checks {
		mark := map[trust.Status]string{trust.Trusted: "ok", trust.Refused: "no", trust.Undecided: "?"}[check.Status]
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", mark, check.Name, check.Clause, printable(check.Evidence))
	}
	t.Flush()
}

func (r *certReport) summary() string {
	switch r.Result {
	case "found":
		return "Found. Trust was not judged: no --anchor was given."
	case "not found":
		if r.noLDAP {
			return "Nothing is published in DNS. LDAP was not asked."
		}
		return "Nothing is published, neither in DNS nor by LDAP."
	case "no answer":
		return "No answer now. What is published there is not known."
	case trust.Trusted.String():
		return "Trusted."
	case trust.Refused.String():
		return "Refused: no certificate found here may be used."
	}
	return "Undecided: no certificate is trusted, and for one at least there is no answer yet."
}

// printable keeps control characters of strangers away from the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}
