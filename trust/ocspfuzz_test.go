package trust

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"carepost/trust/certtest"
)

// FuzzOCSP: whatever a responder says, reading it ends, stays within its bounds, and proves nothing that the issuer did not sign. The seeds in
// testdata/ocsp are answers of `openssl ocsp`.
func FuzzOCSP(f *testing.F) {
	files, err := filepath.Glob("testdata/ocsp/*.b64")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds: ", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
		if err != nil {
			f.Fatal(err)
		}
		if _, err := parseOCSP(raw); err != nil && !strings.Contains(name, "refused") {
			f.Fatalf("%s: %v", name, err)
		}
		f.Add(raw)
	}
	ca := certtest.NewCA(f, "R")
	leaf := ca.Issue(f, "lab@h.example").Certificate
	own, err := ocsp.CreateResponse(ca.Certificate, ca.Certificate, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber,
		ThisUpdate: certtest.NotBefore, NextUpdate: certtest.NotAfter}, ca.Key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	proven, err := parseOCSP(own)
	if err != nil {
		f.Fatal(err)
	}
	now := certtest.NotBefore.AddDate(6, 0, 0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseOCSP(raw)
		if err != nil {
			return
		}
		if len(raw) > maxOCSP || len(r.singles) > maxSingles || len(r.certs) > maxSigners {
			t.Fatalf("%d bytes, %d answers, %d certificates", len(raw), len(r.singles), len(r.certs))
		}
		s := subject{Certificate: leaf, issuer: ca.Certificate, who: "the certificate"}
		in := new(Judge).inquiry(Question{Now: now})
		defer in.end()
		reply, _ := in.verify(t.Context(), raw, nil, "h.example", s)
		if reply == nil {
			return
		}
		if !bytes.Equal(r.signed, proven.signed) || reply.status != good {
			t.Fatalf("%v is proven by what the issuer never signed", reply.status)
		}
	})
}
