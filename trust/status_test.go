package trust_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"carepost/trust"
	"carepost/trust/certtest"
)

// An answer that counts by grace alone settles nothing while somebody else can be asked: whoever replays yesterday's OCSP answer does not
// hide today's list, nor does yesterday's list at one URL hide today's at the next. DIR-33. ATT-23.
func TestGraceIsTheLastResort(t *testing.T) {
	root := certtest.NewCA(t, "R")
	points := certtest.Edit(func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://h.example/o"}, []string{"http://h.example/old.crl", "http://h.example/new.crl"}
	})
	leaf := root.Issue(t, "lab@h.example", points).Certificate
	stale, err := ocsp.CreateResponse(root.Certificate, root.Certificate, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber,
		ThisUpdate: now.Add(-5 * time.Hour), NextUpdate: now.Add(-time.Hour)}, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	list := func(at time.Time, gone ...*x509.Certificate) []byte {
		return root.EditedCRL(t, func(l *x509.RevocationList) {
			l.Number, l.ThisUpdate, l.NextUpdate = big.NewInt(at.Unix()), at, at.Add(day)
		}, gone...).Raw
	}
	for _, tc := range []struct {
		name     string
		old, new []byte
		want     trust.Status
		told     string
	}{
		{"a list revokes", nil, list(now.Add(-8*time.Hour), leaf), trust.Refused, "was revoked"},
		{"the second list revokes", list(now.Add(-30 * time.Hour)), list(now.Add(-8*time.Hour), leaf), trust.Refused, "was revoked"},
		{"a list is in date", nil, list(now.Add(-8 * time.Hour)), trust.Trusted, "is not on the CRL"},
		{"nothing else is to be had", nil, nil, trust.Trusted, "accepted for"},
	} {
		j := trust.NewJudge(web(func(_ context.Context, url string) ([]byte, error) {
			body := map[string][]byte{"old.crl": tc.old, "new.crl": tc.new}[url[strings.LastIndex(url, "/")+1:]]
			if strings.Contains(url, "/o/") {
				body = stale
			}
			if body == nil {
				return nil, errors.New("no answer")
			}
			return body, nil
		}))
		for _, at := range []time.Time{now, now.Add(time.Minute), now.Add(61 * time.Minute)} { // fetched, kept, fetched again
			v := j.Judge(t.Context(), trust.Question{Certificate: leaf, Address: lab, Now: at, Anchors: []*x509.Certificate{root.Certificate},
				Revocation: trust.Revocation{Grace: day}})
			told := false
			for _, c := range v.Checks {
				told = told || strings.Contains(c.Evidence, tc.told)
			}
			if v.Status != tc.want || !told {
				t.Errorf("%s, %v: %v %s", tc.name, at.Sub(now), v.Status, v.Reason)
			}
		}
	}
}
