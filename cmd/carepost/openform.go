package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"carepost/internal/agent"
	"carepost/smime"
)

// openForm says how a message was made, in JSON as it stands.
type openForm struct {
	Form            string `json:"form"` // "signed, then encrypted", or what else it was
	Wrapped         bool   `json:"wrapped"`
	HeaderProtected bool   `json:"header_protected"` // RFC 9788
	Cipher          string `json:"cipher"`
	Key             string `json:"key"` // how the key of the cipher came
	Recipients      int    `json:"recipients"`
}

func newOpenForm(o *smime.Opened) *openForm {
	return &openForm{o.Form.String(), o.Wrapped, o.HeaderProtected, o.Cipher.String(), o.Key.String(), o.Recipients}
}

// header says what of the header was signed.
func (f *openForm) header() string {
	switch {
	case f.Wrapped:
		return "wrapped: all of it is signed"
	case f.HeaderProtected:
		return "protected: all of it is signed"
	}
	return "unwrapped: From, To, Subject and Date stood outside and are not signed"
}

// openSignature is one signature of a message, good or bad.
type openSignature struct {
	Signer    int        `json:"signer"`          // from 1
	Outer     bool       `json:"outer,omitempty"` // around the ciphertext of a triple-wrapped message
	Algorithm string     `json:"algorithm"`
	Hash      string     `json:"hash"`
	Subject   string     `json:"subject,omitempty"` // of the certificate; none: it is not included
	Serial    string     `json:"serial,omitempty"`
	SHA256    string     `json:"sha256,omitempty"`
	Signed    *time.Time `json:"signed,omitempty"` // what the signer claims
	Good      bool       `json:"good"`
	Fault     string     `json:"fault,omitempty"`
	Verdict   string     `json:"verdict,omitempty"` // on the certificate
	Clause    string     `json:"clause,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

func newOpenSignature(s smime.Signature) openSignature {
	out := openSignature{Signer: s.Signer + 1, Algorithm: s.Algorithm.String(), Hash: "not accepted", Good: s.Err == nil && s.Certificate != nil}
	if s.Algorithm == 0 {
		out.Algorithm = "not accepted"
	}
	if s.Hash != 0 {
		out.Hash = s.Hash.String()
	}
	if s.Err != nil {
		out.Fault = bare(s.Err)
	}
	if !s.SigningTime.IsZero() {
		out.Signed = &s.SigningTime
	}
	if c := s.Certificate; c != nil {
		sum := sha256.Sum256(c.Raw)
		out.Subject, out.Serial, out.SHA256 = subject(c), c.SerialNumber.Text(16), hex.EncodeToString(sum[:])
	}
	return out
}

// signed takes all signatures as the agent judged them.
func (r *openReport) signed(o *smime.Opened, judged []agent.Signature) {
	for _, s := range judged {
		one := newOpenSignature(s.Signature)
		one.Verdict, one.Clause, one.Reason = s.Verdict.Status.String(), s.Verdict.Clause, s.Verdict.Reason
		r.Signatures = append(r.Signatures, one)
	}
	for _, s := range o.OuterSignatures {
		one := newOpenSignature(s)
		one.Outer = true
		r.Signatures = append(r.Signatures, one)
	}
}

// String is the line of a signature for people.
func (s openSignature) String() string {
	var b strings.Builder
	if s.Outer {
		b.WriteString("around the encrypted message: ")
	}
	fmt.Fprintf(&b, "%s with %s", s.Algorithm, s.Hash)
	if s.Subject != "" {
		fmt.Fprintf(&b, " by %s, serial %s", s.Subject, s.Serial)
	}
	switch {
	case !s.Good:
		b.WriteString(": not good: " + s.Fault)
	case s.Outer:
		b.WriteString(": good")
	default:
		b.WriteString(": good, " + s.Verdict)
	}
	return b.String()
}
