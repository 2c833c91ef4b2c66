package agent

import (
	"crypto"

	"carepost/cms"
	"carepost/smime"
	"carepost/trust"
)

// strictness orders the profiles: what one reads, those before it in this order read too.
func strictness(p trust.Policy) int {
	switch p {
	case trust.Lenient:
		return 0
	case trust.V12:
		return 1
	}
	return 2
}

// Strictest is the strictest of all, and first where there are no others: a message in two names must satisfy the rules of both.
func Strictest(first trust.Policy, others ...trust.Policy) trust.Policy {
	for _, p := range others {
		if strictness(p) > strictness(first) {
			first = p
		}
	}
	return first
}

// Widest is the one of all that reads the most.
func Widest(first trust.Policy, others ...trust.Policy) trust.Policy {
	for _, p := range others {
		if strictness(p) < strictness(first) {
			first = p
		}
	}
	return first
}

func profileName(p trust.Policy) string {
	switch p {
	case trust.V12:
		return "v1.2"
	case trust.Lenient:
		return "lenient"
	}
	return "v1.3"
}

// Under is p by another profile. What the operator has changed of the algorithms is changed there too, as far as that profile lets it:
// SHA-1 may be accepted under v1.2, and stays refused under v1.3.
func (p Party) Under(policy trust.Policy) Party {
	if policy == p.Policy {
		return p
	}
	if p.Configured != (cms.Algorithms{}) {
		before, after := profile(p.Policy).Algorithms(), profile(policy).Algorithms()
		for x := cms.Algorithm(1); ; x++ {
			if _, err := cms.ParseAlgorithm(x.String()); err != nil {
				break
			}
			if u := p.Configured.Use(x); u != before.Use(x) {
				if changed, err := after.With(x, u); err == nil {
					after = changed
				}
			}
		}
		p.Configured = after
	}
	p.Policy = policy
	return p
}

// unread refuses what p would not have read, of a message that was opened by the rules of somebody who reads more. The zero Verdict says
// nothing against it.
func (p Party) unread(o *smime.Opened) trust.Verdict {
	a := p.reading()
	switch {
	case !p.Open().Forms.Has(o.Form &^ smime.Epilogue): // which is asked of each signature
		return refuse("Direct 2.5.1", "the message is not a multipart/signed document inside EnvelopedData")
	case o.Cipher != 0 && a.Use(o.Cipher) < cms.Accept || o.Key != 0 && a.Use(o.Key) < cms.Accept:
		return refuse("Direct 2.7", "the message is sealed by an algorithm that is not accepted")
	case o.Form.Has(smime.Compressed) && a.Use(cms.ZLIB) < cms.Accept:
		return refuse("Direct 2.4", "the message is compressed")
	}
	return trust.Verdict{}
}

// accepts says whether p accepts a signature of this make.
func (p Party) accepts(s smime.Signature) bool {
	if s.Epilogue && !p.Open().Forms.Has(smime.Epilogue) {
		return false
	}
	a := p.Algorithms()
	digest := map[crypto.Hash]cms.Algorithm{crypto.SHA1: cms.SHA1, crypto.SHA256: cms.SHA256, crypto.SHA384: cms.SHA384, crypto.SHA512: cms.SHA512}[s.Hash]
	return (s.Hash == 0 || a.Use(digest) >= cms.Accept) && (s.Algorithm == 0 || a.Use(s.Algorithm) >= cms.Accept)
}
