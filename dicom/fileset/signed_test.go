package fileset

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// DCMTK signs an instance; the signature is told of, packed and unpacked with all its octets, and DCMTK finds it good afterwards. DCM-25.
func TestDigitalSignatures(t *testing.T) {
	dir := t.TempDir()
	signer(t, dir)
	plain := filepath.Join(shared(t), "files", "io8.dcm")
	run(t, dir, "dcmsign", "+s", "key.pem", "cert.pem", plain, "signed.dcm")
	signed := filepath.Join(dir, "signed.dcm")
	before, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Scan(t.Context(), ScanOptions{}, signed, filepath.Join(shared(t), "files", "io12.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	told := func(findings []Finding, xs []Instance) {
		t.Helper()
		notes, marks := 0, 0
		for _, f := range findings {
			if f.Rule == ruleSigned.name && f.Severity == Note && strings.HasPrefix(f.Text, "1 of the instances") {
				notes++
			}
		}
		for _, x := range xs {
			if x.Signed {
				marks++
			}
		}
		if notes != 1 || marks != 1 {
			t.Errorf("told %d times, %d instances marked: %v", notes, marks, findings)
		}
	}
	told(p.Findings, p.Instances)
	path := filepath.Join(dir, "DICOM.ZIP")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := p.WriteZIP(t.Context(), f, nil); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "out")
	r, err := Unpack(context.Background(), f, info.Size(), to, UnpackOptions{})
	if err != nil || r.Verdict != Complete {
		t.Fatalf("%v, %v", err, r)
	}
	var xs []Instance
	for _, pt := range r.Tree {
		for _, st := range pt.Studies {
			for _, se := range st.Series {
				xs = append(xs, se.Instances...)
			}
		}
	}
	told(r.Findings, xs)
	for _, x := range xs {
		if !x.Signed {
			continue
		}
		after, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(x.FileID)))
		if err != nil || string(after) != string(before) {
			t.Errorf("the signed instance has changed: %v", err)
		}
		if out := run(t, to, "dcmsign", "--verify", "+rg", "+cf", filepath.Join(dir, "cert.pem"), x.FileID); !strings.Contains(out, "OK") {
			t.Errorf("DCMTK says %s", out)
		}
	}
}

// signer makes a key and a certificate for it, valid since yesterday.
func signer(t *testing.T, dir string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A reader of images"}, NotBefore: time.Now().AddDate(0, 0, -2),
		NotAfter: time.Now().AddDate(0, 1, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
