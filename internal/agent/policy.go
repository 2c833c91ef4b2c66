package agent

import (
	"carepost/addr"
	"carepost/cms"
	"carepost/smime"
	"carepost/trust"
)

// profile is the column of the table of algorithms that goes with a policy of trust.
func profile(p trust.Policy) cms.Profile {
	switch p {
	case trust.V13:
		return cms.V13
	case trust.Lenient:
		return cms.Lenient
	}
	return cms.V12
}

// Algorithms says what p does with each: what is configured, else what goes with the policy.
func (p Party) Algorithms() cms.Algorithms {
	if p.Configured == (cms.Algorithms{}) {
		return profile(p.Policy).Algorithms()
	}
	return p.Configured
}

// reading are the algorithms by which p reads. A partner of PS3.15 B.8 may compress under any profile, unless the operator refuses that (DCM-20).
func (p Party) reading() cms.Algorithms {
	a := p.Algorithms()
	if !p.SMIME || a.Use(cms.ZLIB) >= cms.Accept || p.Policy == trust.Lenient {
		return a
	}
	if with, err := a.With(cms.ZLIB, cms.Accept); err == nil {
		return with
	}
	return a
}

// Open says how messages to p are read: by which algorithms, and in which forms. Here alone a policy becomes options of package smime.
func (p Party) Open() smime.OpenOptions {
	o := smime.OpenOptions{Algorithms: p.reading()}
	if p.SMIME || p.Policy == trust.Lenient { // DCM-21; Direct 2.5.1 knows one form
		o.Forms = smime.LenientForms
	}
	return o
}

// question is what is asked about every certificate of other in the eyes of p, at the cost of budget. Here alone a party becomes a trust.Question.
func (p Party) question(other addr.Address, budget *trust.Budget) trust.Question {
	return trust.Question{Address: other, Anchors: p.Anchors, Intermediates: p.Intermediates, Policy: p.Policy, Tolerant: p.Tolerant,
		Filter: p.Filters.Trust, Trace: p.Trace,
		Revocation: p.Revocation.With(other.Domain), Budget: budget}
}
