package flow

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/internal/store"
	"carepost/message"
	"carepost/trust"
)

// lines writes pairs as "what: words" lines; pairs without words are left out.
func lines(pairs ...string) string {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i]+": "+pairs[i+1])
		}
	}
	return strings.Join(out, "\n")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// anchorWords says what a trusted verdict rests on.
func anchorWords(v trust.Verdict) string {
	if v.Anchor == nil {
		return v.Reason
	}
	words := fmt.Sprintf("by anchor %q, %s, %s", v.Anchor.Subject.CommonName, v.Binding, v.Clause)
	for _, c := range v.Checks {
		if c.Name == "revocation" {
			return words + "\nrevocation: " + c.Evidence
		}
	}
	return words
}

// signatureWords names a signer's algorithms: "RSA-2048 with SHA-256".
func signatureWords(s cms.Signer) string {
	key := keyWords(s.Certificate)
	if s.PSS {
		key += " PSS"
	}
	return key + " with " + s.Digest().String()
}

// algorithmWords names algorithms: "RSAES-PKCS1 and ECDH-P-256".
func algorithmWords(all []cms.Algorithm) string {
	var names []string
	for _, x := range all {
		names = append(names, x.String())
	}
	return strings.Join(names, " and ")
}

// judgedWords says what became of each signature of a message, one to a line.
func judgedWords(all []agent.Signature) string {
	var out []string
	for _, s := range all {
		what := fmt.Sprintf("%d: %s with %s", s.Signer+1, s.Algorithm, s.Hash)
		if s.Algorithm == 0 || s.Hash == 0 {
			what = fmt.Sprintf("%d", s.Signer+1)
		}
		if s.Certificate != nil {
			what += ", serial " + s.Certificate.SerialNumber.Text(16)
		}
		if s.Verdict.Status == trust.Trusted {
			out = append(out, what+": good, trusted")
			continue
		}
		good := "not good"
		if s.Err == nil {
			good = "good, " + s.Verdict.Status.String()
		}
		out = append(out, fmt.Sprintf("%s: %s: %s", what, good, s.Verdict.Reason))
	}
	return strings.Join(out, "\n")
}

func keyWords(c *x509.Certificate) string {
	switch k := cms.PublicKey(c).(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

// addressedWords speaks up where a message does not name the one who got it: a blind copy is made by its sender, and looks no other
// than a letter to somebody else that this one sealed anew and passed on under its author's name. No sender of ours is told apart by
// it; who reads it can see to whom it was written.
func addressedWords(h message.Header, to addr.Address) string {
	if slices.ContainsFunc(agent.Named(h), to.Equal) {
		return ""
	}
	if blind, err := h.Mailboxes("Bcc"); err == nil && slices.ContainsFunc(blind, func(b message.Mailbox) bool { return b.Address.Equal(to) }) {
		return "to others; to this recipient as a blind copy, as it says"
	}
	return "to others alone: a blind copy, or passed on by somebody"
}

// proof is what the audit keeps of how the signatures of a message were judged.
func proof(j agent.Judged) map[string]string {
	d := evidence(j.Verdict)
	if words := judgedWords(j.Signatures); words != "" {
		d["signatures"] = words
	}
	return d
}

// evidence is what the audit keeps of a verdict.
func evidence(v trust.Verdict) map[string]string {
	d := map[string]string{"status": v.Status.String(), "clause": v.Clause, "reason": v.Reason}
	if v.Certificate != nil {
		d["serial"] = v.Certificate.SerialNumber.Text(16)
	}
	if v.Anchor != nil {
		d["anchor"] = v.Anchor.Subject.String()
	}
	if words := checkWords(v.Checks); words != "" {
		d["checks"] = words
	}
	return d
}

// search is what the audit keeps of a recipient: the steps by which certificates were looked for, and the verdict on them.
func search(j agent.Judged) map[string]string {
	d := evidence(j.Verdict)
	if words := stepWords(j.Steps); words != "" {
		d["steps"] = words
	}
	return d
}

// checkWords tells what was looked at, one check to a line: "trusted dates (Direct 4 (1)): the certificate is valid until …".
func checkWords(all []trust.Check) string {
	var out []string
	for _, c := range all {
		out = append(out, fmt.Sprintf("%s %s (%s): %s", c.Status, c.Name, c.Clause, c.Evidence))
	}
	return strings.Join(out, "\n")
}

// stepWords tells how certificates were looked for, one step to a line. The names in it may tell the address: for what is sealed alone.
func stepWords(all []discovery.Step) string {
	var out []string
	for _, s := range all {
		out = append(out, strings.TrimSpace(s.Source+" "+s.Name)+": "+s.Outcome)
	}
	return strings.Join(out, "\n")
}

// attestedWords say who answers for the disclosure of a File-set that leaves (PS3.15 B.8 d).
func attestedWords(h store.Header) string {
	if h.Attests == "" {
		return ""
	}
	return "its signature attests authorisation to disclose the File-set (PS3.15 B.8); on whose word: " + h.Attests
}

// attestingWords say what the signature of an arrival with a File-set attests.
func attestingWords(a *arrival) string {
	if a.fileset == nil {
		return ""
	}
	return "the sender attests by the signature to be authorised to disclose the images (PS3.15 B.8)"
}
