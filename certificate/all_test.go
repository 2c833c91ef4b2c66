package certificate_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/certificate"
	"carepost/trust/certtest"
)

func armour(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// long is an element of definite length, indefinite one that is closed by end-of-contents octets.
func long(tag byte, content ...[]byte) []byte {
	s := bytes.Join(content, nil)
	return append([]byte{tag, 0x83, byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}, s...)
}

func indefinite(tag byte, content ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(content, nil)...), 0, 0)
}

// bundle is a certs-only PKCS#7 file (RFC 5652 §5.1) written with that kind of lengths.
func bundle(seq func(byte, ...[]byte) []byte, certs ...[]byte) []byte {
	return seq(0x30, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), seq(0xa0, seq(0x30, []byte("\x02\x01\x01\x31\x00"),
		seq(0x30, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")), seq(0xa0, certs...), []byte("\x31\x00"))))
}

func TestParseAll(t *testing.T) {
	ca, c := good(t)
	odd := ca.Odd(t, c, func(t *certtest.TBS) { t.Serial = raw("\x02\x01\xff") })
	broken := append([]byte(nil), c.Raw...)
	broken[4] = 0x31 // no TBSCertificate any more
	for name, tc := range map[string]struct {
		body []byte
		want int
	}{
		"one":                       {c.Raw, 1},
		"odd":                       {odd, 1},
		"in a row":                  {bytes.Join([][]byte{c.Raw, odd, ca.Certificate.Raw}, nil), 3},
		"PEM":                       {armour("CERTIFICATE", c.Raw), 1},
		"PEM with text":             {append([]byte("0: the first\n"), armour("X509 CERTIFICATE", odd)...), 1},
		"PEM with others":           {bytes.Join([][]byte{armour("X509 CRL", []byte("\x30\x00")), armour("CERTIFICATE", c.Raw), armour("CERTIFICATE", odd)}, nil), 2},
		"bundle":                    {bundle(long, c.Raw, odd), 2},
		"bundle in BER":             {bundle(indefinite, c.Raw, odd), 2},
		"bundle in PEM":             {armour("PKCS7", bundle(indefinite, c.Raw)), 1},
		"bundle with another kind":  {bundle(long, c.Raw, []byte("\xa1\x02\x05\x00"), broken), 1},
		"empty bundle":              {bundle(long), 0},
		"bundle of nothing of use":  {bundle(long, broken), 0},
		"bundle cut":                {bundle(indefinite, c.Raw)[:500], 0},
		"nothing":                   {nil, 0},
		"text":                      {[]byte("no certificate at all"), 0},
		"a row with something else": {append(c.Raw[:len(c.Raw):len(c.Raw)], 0x30, 0), 0},
		"PEM of nothing":            {armour("CERTIFICATE", []byte("x")), 0},
		"2001":                      {bundle(long, bytes.Repeat(c.Raw, 2001)), 0},
		"2000":                      {bundle(long, bytes.Repeat(c.Raw, 2000)), 2000},
	} {
		certs, err := certificate.ParseAll(tc.body)
		if len(certs) != tc.want || (tc.want == 0) != errors.Is(err, certificate.ErrNone) {
			t.Errorf("%s: %d certificates, want %d: %v", name, len(certs), tc.want, err)
		}
	}
	if certs, err := certificate.ParseSome(bundle(indefinite, bytes.Repeat(c.Raw, 17)), 16); len(certs) != 16 || err != nil {
		t.Errorf("%d certificates of a bundle read to the 16th: %v", len(certs), err)
	}
}

// Bundles as OpenSSL writes them. DIR-39.
func TestBundleOfOpenSSL(t *testing.T) {
	ca, c := good(t)
	dir := t.TempDir()
	var args []string
	for i, c := range []*x509.Certificate{ca.Certificate, c} {
		file := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(file, armour("CERTIFICATE", c.Raw), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-certfile", file)
	}
	for _, form := range []string{"DER", "PEM"} {
		out, err := exec.Command("openssl", append([]string{"crl2pkcs7", "-nocrl", "-outform", form}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if certs, err := certificate.ParseAll(out); len(certs) != 2 || err != nil {
			t.Errorf("%s: %d certificates: %v", form, len(certs), err)
		}
	}
}

// Encodings within one another end somewhere, and no length is believed.
func TestDeep(t *testing.T) {
	deep := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
	for range 100_000 {
		deep = append([]byte("\x30\x80"), deep...)
		if len(deep) > 10_000 {
			break
		}
	}
	for _, body := range []string{string(deep), strings.Repeat("\x30\x80", 100_000), "\x30\x84\xff\xff\xff\xff", "\x30\x85\x01\x01\x01\x01\x01"} {
		if _, err := certificate.ParseAll([]byte(body)); !errors.Is(err, certificate.ErrNone) {
			t.Error(err)
		}
	}
}
