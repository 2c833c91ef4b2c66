package admind

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"carepost/addr"
	"carepost/internal/flow"
	"carepost/trust"
)

// Explanation is a verdict with the way to it.
type Explanation struct {
	Ours        string        `json:"ours"`                 // in whose eyes: an address or domain of this installation
	Address     string        `json:"address"`              // for whom the certificate is to speak
	As          string        `json:"as"`                   // "sender", "recipient"
	At          time.Time     `json:"at"`                   // the moment of the verdict
	Anchors     []string      `json:"anchors"`              // subjects of those that Ours trusts
	Verdict     string        `json:"verdict"`              // trusted, refused, undecided
	Clause      string        `json:"clause"`               // that decides
	Reason      string        `json:"reason"`               //
	Certificate *Explained    `json:"certificate"`          // null where there is none to judge
	Path        []string      `json:"path"`                 // subjects, from the certificate to the anchor
	Steps       []trust.Event `json:"steps"`                // what was done, in that order
	Checks      []trust.Check `json:"checks"`               // what was looked at, in that order
	Signatures  []string      `json:"signatures,omitempty"` // of a message: what became of each
}

// Explained is the certificate that was judged.
type Explained struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Serial   string    `json:"serial"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
	Binding  string    `json:"binding"`
}

// Question asks why a certificate is, or is not, trusted.
type Question struct {
	Ours    string    `json:"ours,omitempty"` // an address or domain of this installation; empty: the only domain
	Address string    `json:"address"`        // for whom the certificate is to speak
	As      string    `json:"as"`             // "sender", "recipient"
	At      time.Time `json:"at"`             // zero: now
	PEM     string    `json:"pem"`            // the certificate, then others that came with it
}

// Explain asks why a certificate is, or is not, trusted.
func (c *Client) Explain(ctx context.Context, q Question) (out Explanation, err error) {
	return out, c.call(ctx, http.MethodPost, path("explain"), q, &out)
}

// ExplainMail asks why the signer of a sealed message to ours is, or is not, trusted. A zero at is now.
func (c *Client) ExplainMail(ctx context.Context, ours, address string, at time.Time, body io.Reader) (out Explanation, err error) {
	q := url.Values{"ours": {ours}, "address": {address}}
	if !at.IsZero() {
		q.Set("at", at.Format(time.RFC3339))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path("explain", "mail")+"?"+q.Encode(), body)
	if err != nil {
		return out, fmt.Errorf("admind: %w", err)
	}
	req.Header.Set("Content-Type", "message/rfc822")
	return out, c.do(req, &out)
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	var q Question
	if err := read(r, &q); err != nil {
		s.fail(w, err)
		return
	}
	e, err := s.question(r, q)
	if err != nil {
		s.fail(w, err)
		return
	}
	if e.Address.IsZero() {
		s.fail(w, wrong("address: for whom is the certificate to speak?"))
		return
	}
	all, err := readChain([]byte(q.PEM))
	if err != nil {
		s.fail(w, err)
		return
	}
	e, err = s.o.Flow.Explain(r.Context(), actor(r), e, all[0], all[1:])
	s.answer(w, Tell(e), err)
}

func (s *Server) explainMail(w http.ResponseWriter, r *http.Request) {
	q := Question{Ours: r.URL.Query().Get("ours"), Address: r.URL.Query().Get("address"), As: "sender"}
	if at := r.URL.Query().Get("at"); at != "" {
		var err error
		if q.At, err = time.Parse(time.RFC3339, at); err != nil {
			s.fail(w, wrong("at: no RFC 3339 time"))
			return
		}
	}
	e, err := s.question(r, q)
	if err == nil {
		e, err = s.o.Flow.ExplainMail(r.Context(), actor(r), e, r.Body)
	}
	s.answer(w, Tell(e), err)
}

// question reads who is asked about, and in whose eyes.
func (s *Server) question(r *http.Request, q Question) (e flow.Explanation, err error) {
	e.At = q.At
	switch q.As {
	case "sender":
		e.Use = trust.Signing
	case "recipient":
		e.Use = trust.Encryption
	default:
		return e, wrong("as: sender or recipient")
	}
	ours, err := owner(q.Ours)
	if err != nil {
		return e, err
	}
	if ours, err = s.o.Admin.Owned(r.Context(), ours); err != nil {
		return e, err
	}
	if e.Ours = ours.Address; e.Ours.IsZero() {
		e.Ours.Domain = ours.Domain
	}
	if q.Address == "" {
		return e, nil
	}
	if e.Address, err = addr.Parse(q.Address); err != nil {
		return e, wrong("address: not an address")
	}
	return e, nil
}

// Tell puts an explanation into words.
func Tell(e flow.Explanation) Explanation {
	v := e.Verdict
	out := Explanation{
		Ours: whose(e.Ours), Address: e.Address.String(), As: "sender", At: e.At.UTC(), Anchors: subjectsOf(e.Anchors), Verdict: v.Status.String(),
		Clause: v.Clause, Reason: v.Reason, Path: subjectsOf(v.Path), Steps: append([]trust.Event{}, e.Events...), Checks: append([]trust.Check{}, v.Checks...),
	}
	if e.Use == trust.Encryption {
		out.As = "recipient"
	}
	if c := v.Certificate; c != nil {
		sum := sha256.Sum256(c.Raw)
		out.Certificate = &Explained{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
			SHA256: hex.EncodeToString(sum[:]), NotAfter: c.NotAfter.UTC(), Binding: v.Binding.String()}
	}
	for _, s := range e.Signatures {
		words := fmt.Sprintf("%d: %s", s.Signer+1, s.Verdict.Status)
		if s.Certificate != nil {
			words += ", serial " + s.Certificate.SerialNumber.Text(16)
		}
		out.Signatures = append(out.Signatures, fmt.Sprintf("%s: %s (%s)", words, s.Verdict.Reason, s.Verdict.Clause))
	}
	return out
}

func whose(a addr.Address) string {
	if a.Endpoint == "" {
		return a.Domain.String()
	}
	return a.String()
}

func subjectsOf(all []*x509.Certificate) []string {
	out := []string{}
	for _, c := range all {
		out = append(out, c.Subject.String())
	}
	return out
}
