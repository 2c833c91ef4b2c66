package pilot_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"carepost/internal/pilot"
)

// ask makes a request about a serial number below the authority's key.
func ask(t *testing.T, p *place, serial *big.Int, hash crypto.Hash) []byte {
	t.Helper()
	der, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: serial}, p.Anchor(), &ocsp.RequestOptions{Hash: hash})
	check(t, err)
	return der
}

// DIR-52: status by OCSP: good, revoked with time and reason, unknown for what was never issued; from the moment on, not from the next list.
func TestOCSP(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPlace(t, now)
	org, server := p.organisation(t, now), p.server(t)
	status := func(serial *big.Int, hash crypto.Hash) *ocsp.Response {
		t.Helper()
		answer := p.OCSP(t.Context(), ask(t, p, serial, hash), now)
		r, err := ocsp.ParseResponse(answer.DER, p.Anchor())
		check(t, err)
		if r.SerialNumber.Cmp(serial) != 0 || r.ThisUpdate.After(now) || !r.NextUpdate.After(now.Add(time.Hour)) || !answer.Until.Before(r.NextUpdate) {
			t.Errorf("serial %x, %v to %v, kept until %v", r.SerialNumber, r.ThisUpdate, r.NextUpdate, answer.Until)
		}
		return r
	}
	for _, c := range []*x509.Certificate{org, server} {
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			if got := status(c.SerialNumber, hash); got.Status != ocsp.Good {
				t.Errorf("%v: status %d", hash, got.Status)
			}
		}
	}
	if got := status(big.NewInt(4711), crypto.SHA1); got.Status != ocsp.Unknown {
		t.Errorf("never issued: %d", got.Status)
	}
	_, err := p.Replace(t.Context(), "test", org, pilot.Superseded, now)
	check(t, err)
	if got := status(org.SerialNumber, crypto.SHA256); got.Status != ocsp.Revoked || got.RevocationReason != ocsp.Superseded || !got.RevokedAt.Equal(now) {
		t.Errorf("revoked: %d, %d, %v", got.Status, got.RevocationReason, got.RevokedAt)
	}
	check(t, p.Revoke(t.Context(), "test", big.NewInt(4711), pilot.Unspecified, now))
	if got := status(big.NewInt(4711), crypto.SHA1); got.Status != ocsp.Revoked || got.RevocationReason != ocsp.Unspecified {
		t.Errorf("revoked without a reason: %d, %d", got.Status, got.RevocationReason)
	}
}

// RFC 6960 §2.3, RFC 9654 §2.1: what is no request, asks for too much, carries a nonce that is none or asks about certificates of others
// gets an answer without a signature. ATT-31.
func TestOCSPRefuses(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	org := p.organisation(t, now)
	good := ask(t, p, org.SerialNumber, crypto.SHA1)
	other := newPlace(t, now)
	for name, tc := range map[string]struct {
		request []byte
		want    ocsp.ResponseStatus
	}{
		"nothing":             {nil, ocsp.Malformed},
		"no ASN.1":            {[]byte("status, please"), ocsp.Malformed},
		"cut short":           {good[:len(good)-1], ocsp.Malformed},
		"something after it":  {append(bytes.Clone(good), 0), ocsp.Malformed},
		"20 KiB":              {bytes.Repeat([]byte{0x30}, 20<<10), ocsp.Malformed},
		"17 certificates":     {several(t, good, 17), ocsp.Malformed},
		"no certificate":      {several(t, good, 0), ocsp.Malformed},
		"an empty nonce":      {withExtension(t, good, "1.3.6.1.5.5.7.48.1.2", []byte{4, 0}, false), ocsp.Malformed},
		"a nonce of 129":      {withExtension(t, good, "1.3.6.1.5.5.7.48.1.2", append([]byte{4, 0x81, 129}, make([]byte, 129)...), false), ocsp.Malformed},
		"a nonce of a number": {withExtension(t, good, "1.3.6.1.5.5.7.48.1.2", []byte{2, 1, 7}, false), ocsp.Malformed},
		"an unknown critical": {withExtension(t, good, "1.2.3.4", []byte{5, 0}, true), ocsp.Malformed},
		"another authority":   {ask(t, other, org.SerialNumber, crypto.SHA1), ocsp.Unauthorized},
	} {
		answer := p.OCSP(t.Context(), tc.request, now)
		_, err := ocsp.ParseResponse(answer.DER, p.Anchor())
		if e, ok := err.(ocsp.ResponseError); !ok || e.Status != tc.want || !answer.Until.IsZero() {
			t.Errorf("%s: %v, kept until %v", name, err, answer.Until)
		}
	}
	for name, request := range map[string][]byte{
		"16 certificates":       several(t, good, 16),
		"an unknown extension":  withExtension(t, good, "1.2.3.4", []byte{5, 0}, false),
		"a nonce of 128 octets": withExtension(t, good, "1.3.6.1.5.5.7.48.1.2", append([]byte{4, 0x81, 128}, make([]byte, 128)...), true),
	} {
		if _, err := ocsp.ParseResponseForCert(p.OCSP(t.Context(), request, now).DER, org, p.Anchor()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type anyRequest struct {
	TBS struct {
		List       []asn1.RawValue
		Extensions []extension `asn1:"optional,explicit,tag:2,omitempty"`
	}
}

type extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"`
	Value    []byte
}

// several asks n times what one request asks once.
func several(t *testing.T, one []byte, n int) []byte {
	t.Helper()
	var r anyRequest
	_, err := asn1.Unmarshal(one, &r)
	check(t, err)
	first := r.TBS.List[0]
	r.TBS.List = []asn1.RawValue{}
	for range n {
		r.TBS.List = append(r.TBS.List, first)
	}
	der, err := asn1.Marshal(r)
	check(t, err)
	return der
}

func withExtension(t *testing.T, one []byte, oid string, value []byte, critical bool) []byte {
	t.Helper()
	var r anyRequest
	_, err := asn1.Unmarshal(one, &r)
	check(t, err)
	var id asn1.ObjectIdentifier
	for s := range strings.SplitSeq(oid, ".") {
		var n int
		fmt.Sscan(s, &n)
		id = append(id, n)
	}
	r.TBS.Extensions = []extension{{id, critical, value}}
	der, err := asn1.Marshal(r)
	check(t, err)
	return der
}

// OpenSSL asks, checks the nonce and believes the answer, signed by the key that issued; also by the first key after there is another.
func TestOCSPOpenSSL(t *testing.T) {
	b := newBench(t)
	ask := func(want ...string) {
		t.Helper()
		b.run(t, "openssl", "ocsp", "-issuer", "ca.pem", "-cert", "org.pem", "-cert", "server.pem", "-serial", "0x1234", "-nonce", "-reqout", "req.der")
		answer := b.OCSP(t.Context(), []byte(b.file(t, "req.der")), time.Now())
		check(t, os.WriteFile(filepath.Join(b.dir, "resp.der"), answer.DER, 0o600))
		if !answer.Until.IsZero() {
			t.Error("an answer with a nonce may be kept")
		}
		out := b.run(t, "openssl", "ocsp", "-issuer", "ca.pem", "-cert", "org.pem", "-cert", "server.pem", "-serial", "0x1234", "-no_nonce", "-reqin", "req.der", "-respin", "resp.der", "-CAfile", "ca.pem")
		for _, w := range append(want, "Response verify OK") {
			if !strings.Contains(out, w) || strings.Contains(out, "WARNING") {
				t.Errorf("openssl ocsp lacks %q:\n%s", w, out)
			}
		}
	}
	ask("org.pem: good", "server.pem: good", "0x1234: unknown")
	_, err := b.Replace(t.Context(), "test", b.org, pilot.KeyCompromise, b.now)
	check(t, err)
	ask("org.pem: revoked", "Reason: keyCompromise", "server.pem: good")
	shown := func() string {
		der, err := b.CRL(t.Context(), pilot.Name, b.now)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(b.dir, "ca.crl"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600))
		return b.run(t, "openssl", "crl", "-in", "ca.crl", "-noout", "-text")
	}
	if out := shown(); !strings.Contains(out, "Key Compromise") {
		t.Errorf("the list has no reason:\n%s", out)
	}
}

// Whatever is asked has an answer. ATT-31.
func FuzzOCSP(f *testing.F) {
	s := newPlace(f, time.Now())
	now := time.Now()
	f.Add([]byte{})
	der, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: big.NewInt(5)}, s.Anchor(), nil)
	check(f, err)
	f.Add(der)
	f.Fuzz(func(t *testing.T, request []byte) {
		answer := s.OCSP(t.Context(), request, now)
		if _, err := ocsp.ParseResponse(answer.DER, s.Anchor()); err != nil {
			if _, ok := err.(ocsp.ResponseError); !ok && len(answer.DER) < 100 {
				t.Fatalf("an answer that is none: %x: %v", answer.DER, err)
			}
		}
	})
}
