package flow_test

import (
	"crypto/x509"
	"io"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust/certtest"
	"carepost/trust/policy"
)

// An installation signs with the one of its certificates that its policy picks, and where that picks none it sends nothing at all. DIR-36.
func TestSignsWithWhatIsDemanded(t *testing.T) {
	s := newSide(t)
	second := s.ca.Issue(t, desk.Domain.String(), func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"Signing"} })
	s.tx(func(tx *store.Tx) error {
		key, err := s.Keys.Import(t.Context(), tx, second.Key)
		if err != nil {
			return err
		}
		c := second.Certificate
		return tx.InsertCert(&store.Cert{Owner: store.Owner{Domain: desk.Domain}, Key: key, DER: c.Raw, NotBefore: c.NotBefore, NotAfter: c.NotAfter})
	})
	demand := func(text string) {
		e, err := policy.Parse(text)
		s.must(err)
		s.Filters.Sign = e
	}
	var signer []byte
	s.reply = func(c transit.Consignment) transit.Outcome {
		other := s.others[lab.Domain]
		o, err := smime.Open(io.Discard, io.NewSectionReader(c.Body, 0, c.Body.Size()),
			[]cms.Recipient{{Certificate: other.Certificate, Key: other.Key}}, smime.OpenOptions{})
		s.must(err)
		if len(o.Signatures) != 1 || o.Signatures[0].Err != nil {
			t.Fatalf("%d signatures", len(o.Signatures))
		}
		signer = o.Signatures[0].Certificate.Raw
		return answers(c, transit.Delivered, 250)
	}
	for text, want := range map[string]certtest.Pair{
		"X509.TBS.Subject.OU {?} Signing":  second,
		"X509.TBS.Subject.OU {?}! Signing": s.own,
	} {
		demand(text)
		s.submit("signed", lab)
		s.step("outbound")
		s.step("deliver")
		if string(signer) != string(want.Certificate.Raw) {
			t.Errorf("%s: another certificate signed", text)
		}
	}
	demand("X509.TBS.Subject.OU {?} Nobody")
	s.submit("unsigned", lab)
	s.must(s.run(t.Context(), s.claim("outbound")))
	if w := s.work("outbound", store.Ready); !strings.Contains(w.Error, "no valid certificate to sign with") {
		t.Errorf("%q", w.Error)
	}
	if n := s.works("deliver"); n != 0 {
		t.Errorf("%d deliveries", n)
	}
}
