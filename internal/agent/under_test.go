package agent_test

import (
	"crypto"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
)

// Another profile keeps what the operator has changed, as far as it lets him.
func TestUnder(t *testing.T) {
	base := agent.Party{Tolerant: true}
	all := base.Algorithms()
	for x, u := range map[cms.Algorithm]cms.Use{cms.SHA1: cms.Accept, cms.RSAESPKCS1v15: cms.Accept, cms.AES256GCM: cms.Refuse, cms.Ed25519: cms.Send} {
		var err error
		if all, err = all.With(x, u); err != nil {
			t.Fatal(err)
		}
	}
	base.Configured = all
	for _, p := range policies {
		got := base.Under(p)
		a := got.Algorithms()
		sha1 := cms.Accept
		if p == trust.V13 {
			sha1 = cms.Refuse
		}
		if got.Policy != p || !got.Tolerant || a.Use(cms.SHA1) != sha1 || a.Use(cms.RSAESPKCS1v15) != cms.Accept || a.Use(cms.AES256GCM) != cms.Refuse ||
			a.Use(cms.Ed25519) != cms.Send || agent.CanSeal(a) != nil {
			t.Errorf("policy %d: %+v", p, a)
		}
		if (a.Use(cms.ZLIB) == cms.Accept) != (p == trust.Lenient) {
			t.Errorf("policy %d compressed: %s", p, a.Use(cms.ZLIB))
		}
		if again := got.Under(trust.V12); p == trust.V12 && again.Configured != base.Configured {
			t.Error("the same profile is another")
		}
	}
	// DCM-20: who knows no Direct may compress under any profile, unless the operator refuses it.
	for _, p := range policies {
		party := (agent.Party{Policy: p})
		for _, smime := range []bool{false, true} {
			party.SMIME = smime
			if got := party.Open().Algorithms.Use(cms.ZLIB) == cms.Accept; got != (smime || p == trust.Lenient) || party.Algorithms().Use(cms.ZLIB) == cms.Accept != (p == trust.Lenient) {
				t.Errorf("policy %d, plain S/MIME %v: compressed %v", p, smime, got)
			}
		}
	}
	refusing, err := cms.Lenient.Algorithms().With(cms.ZLIB, cms.Refuse)
	if err != nil || (agent.Party{Policy: trust.Lenient, SMIME: true, Configured: refusing}).Open().Algorithms.Use(cms.ZLIB) != cms.Refuse {
		t.Errorf("what the operator refuses is read: %v", err)
	}
	if got := (agent.Party{}).Under(trust.V13); got.Algorithms() != cms.V13.Algorithms() {
		t.Error("without changes it is the column")
	}
}

func TestStrictest(t *testing.T) {
	if got := agent.Strictest(trust.Lenient, trust.V13, trust.V12); got != trust.V13 {
		t.Error(got)
	}
	if got := agent.Strictest(trust.Lenient, trust.V12); got != trust.V12 {
		t.Error(got)
	}
	if got := agent.Widest(trust.V13, trust.V12); got != trust.V12 {
		t.Error(got)
	}
	if got := agent.Widest(trust.V13, trust.V12, trust.Lenient); got != trust.Lenient {
		t.Error(got)
	}
	if agent.Strictest(trust.Lenient) != trust.Lenient || agent.Widest(trust.V13) != trust.V13 {
		t.Error("of one")
	}
}

// A message that was opened for somebody who reads more is not believed by who would not have read it.
func TestUnread(t *testing.T) {
	w := newWorld(t)
	lab := w.ca.Issue(t, "lab@h.example").Certificate
	as := func(h crypto.Hash) smime.Signature {
		s := good(lab)
		s.Hash, s.Algorithm = h, cms.RSAPKCS1v15
		return s
	}
	late := as(crypto.SHA256)
	late.Epilogue = true
	for name, tc := range map[string]struct {
		opened smime.Opened
		want   string // the clause by which v1.2 refuses; "" believes
	}{
		"usual":             {smime.Opened{Cipher: cms.AES256CBC, Key: cms.RSAESPKCS1v15, Signatures: []smime.Signature{as(crypto.SHA256)}}, ""},
		"SHA-1":             {smime.Opened{Cipher: cms.AES256CBC, Signatures: []smime.Signature{as(crypto.SHA1)}}, "Direct 2.6"},
		"SHA-1 and SHA-256": {smime.Opened{Cipher: cms.AES256CBC, Signatures: []smime.Signature{as(crypto.SHA1), as(crypto.SHA256)}}, ""},
		"opaque":            {smime.Opened{Form: smime.Opaque, Cipher: cms.AES256CBC, Signatures: []smime.Signature{as(crypto.SHA256)}}, "Direct 2.5.1"},
		"compressed":        {smime.Opened{Form: smime.Compressed, Cipher: cms.AES256CBC, Signatures: []smime.Signature{as(crypto.SHA256)}}, "Direct 2.5.1"},
		"signed outside":    {smime.Opened{Form: smime.EncryptedThenSigned, Cipher: cms.AES256CBC, Signatures: []smime.Signature{as(crypto.SHA256)}}, "Direct 2.5.1"},
		"an epilogue":       {smime.Opened{Form: smime.Epilogue, Cipher: cms.AES256CBC, Signatures: []smime.Signature{late}}, "Direct 2.6"},
		"epilogue of one":   {smime.Opened{Form: smime.Epilogue, Cipher: cms.AES256CBC, Signatures: []smime.Signature{late, as(crypto.SHA256)}}, ""},
		"another cipher":    {smime.Opened{Cipher: cms.ZLIB, Signatures: []smime.Signature{as(crypto.SHA256)}}, "Direct 2.7"},
		"another key":       {smime.Opened{Cipher: cms.AES256CBC, Key: cms.ZLIB, Signatures: []smime.Signature{as(crypto.SHA256)}}, "Direct 2.7"},
	} {
		tc.opened.Header = header(t, "From: lab@h.example")
		in := agent.Arrival{Envelope: transit.Envelope{From: addr.Path{Address: at(t, "lab@h.example")}}, Opened: &tc.opened}
		if v := w.Inbound(t.Context(), w.party, in, now).Verdict; v.Clause != tc.want && (tc.want != "" || v.Status != trust.Trusted) {
			t.Errorf("%s: %s by %s: %s", name, v.Status, v.Clause, v.Reason)
		}
		lenient := w.party
		lenient.Policy = trust.Lenient
		if v := w.Inbound(t.Context(), lenient, in, now).Verdict; v.Status != trust.Trusted {
			t.Errorf("%s, lenient: %s by %s", name, v.Status, v.Clause)
		}
	}
}
