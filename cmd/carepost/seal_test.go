package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/cms"
	"carepost/smime"
)

// sealDesk is a directory with keys and certificates, and a root to sign more.
type sealDesk struct {
	t    *testing.T
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newSealDesk(t *testing.T) *sealDesk {
	d := &sealDesk{t: t, dir: t.TempDir(), next: 1}
	d.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	d.ca = d.certificate("ca", d.key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return d
}

func (d *sealDesk) certificate(name string, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	d.t.Helper()
	d.next++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(d.next), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	change(tmpl)
	parent := d.ca
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(name+".pem", "CERTIFICATE", der)
	return cert
}

func (d *sealDesk) write(name, typ string, der []byte) {
	d.t.Helper()
	b := pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
	if err := os.WriteFile(filepath.Join(d.dir, name), b, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// seal runs `carepost seal`; "@name" in args is a file of the desk.
func (d *sealDesk) seal(in string, args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	root := newRoot()
	root.RemoveCommand(root.Commands()...)
	root.AddCommand(newSealCmd())
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			args[i] = filepath.Join(d.dir, name)
		}
	}
	var out, errs bytes.Buffer
	root.SetIn(strings.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{"seal"}, args...))
	err := root.ExecuteContext(d.t.Context())
	if err != nil {
		errs.WriteString(err.Error())
	}
	return out.String(), errs.String(), exitCode(err)
}

const sealLetter = "From: Lab <lab@clinic.example>\r\nTo: dr.lee@practice.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@clinic.example>\r\nSubject: Jane Doe\r\n\r\nall is well\r\n"

// DIR-12, DIR-14, DIR-15, DIR-16, DIR-56: the filter end to end, and what it refuses.
func TestSeal(t *testing.T) {
	d := newSealDesk(t)
	lab, _ := rsa.GenerateKey(rand.Reader, 2048)
	lee, _ := rsa.GenerateKey(rand.Reader, 2048)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	mail := func(a string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{a} }
	}
	d.certificate("lab", lab, mail("LAB@clinic.example"))
	d.certificate("ec", ec, mail("lab@clinic.example"))
	leeCert := d.certificate("lee", lee, func(c *x509.Certificate) { c.DNSNames = []string{"practice.example"} })
	d.certificate("eve", lee, mail("eve@other.example"))
	d.certificate("old", lee, func(c *x509.Certificate) {
		c.DNSNames, c.NotAfter = []string{"practice.example"}, time.Now().Add(-time.Minute)
	})
	leeEC := d.certificate("leeEC", ec, mail("dr.lee@practice.example"))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	d.certificate("ed", ed, mail("lab@clinic.example"))
	d.certificate("leeEd", ed, mail("dr.lee@practice.example"))
	d.certificate("small", small, mail("dr.lee@practice.example"))
	pkcs8 := func(k any) []byte { b, _ := x509.MarshalPKCS8PrivateKey(k); return b }
	d.write("lab.key", "PRIVATE KEY", pkcs8(lab))
	d.write("lab1.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(lab))
	sec1, _ := x509.MarshalECPrivateKey(ec)
	d.write("ec.key", "EC PRIVATE KEY", sec1)
	d.write("ed.key", "PRIVATE KEY", pkcs8(ed))
	d.write("encrypted.key", "ENCRYPTED PRIVATE KEY", []byte{1})
	d.write("broken.key", "PRIVATE KEY", []byte{1})
	leaf, _ := os.ReadFile(filepath.Join(d.dir, "lab.pem"))
	ca, _ := os.ReadFile(filepath.Join(d.dir, "ca.pem"))
	if err := os.WriteFile(filepath.Join(d.dir, "chain.pem"), append(leaf, ca...), 0o600); err != nil {
		t.Fatal(err)
	}

	args := func(key, cert, to, rcpt string, more ...string) []string {
		return append([]string{"--from", "lab@clinic.example", "--to", to, "--key", "@" + key, "--cert", "@" + cert, "--rcpt-cert", "@" + rcpt}, more...)
	}
	const to = "dr.lee@practice.example"
	type made struct {
		cipher, key cms.Algorithm
		signed      string
	}
	plain := made{cms.AES256CBC, cms.RSAESPKCS1v15, "RSA SHA-256"}
	for name, c := range map[string]struct {
		args []string
		want made
	}{
		"PKCS #8":            {args("lab.key", "lab.pem", to, "lee.pem"), plain},
		"PKCS #1":            {args("lab1.key", "lab.pem", to, "lee.pem"), plain},
		"EC":                 {args("ec.key", "ec.pem", to, "lee.pem", "--cipher", "aes128"), made{cms.AES128CBC, cms.RSAESPKCS1v15, "ECDSA-P-256 SHA-256"}},
		"chain":              {args("lab.key", "chain.pem", to, "lee.pem"), plain},
		"AES-192":            {args("lab.key", "lab.pem", to, "lee.pem", "--cipher", "aes-192"), made{cms.AES192CBC, cms.RSAESPKCS1v15, "RSA SHA-256"}},
		"GCM":                {args("lab.key", "lab.pem", to, "lee.pem", "--cipher", "aes-256-gcm", "--oaep"), made{cms.AES256GCM, cms.RSAESOAEPSHA256, "RSA SHA-256"}},
		"PSS":                {args("lab.key", "lab.pem", to, "lee.pem", "--pss", "--hash", "sha-384"), made{cms.AES256CBC, cms.RSAESPKCS1v15, "RSA-PSS SHA-384"}},
		"Ed25519":            {args("ed.key", "ed.pem", to, "leeEC.pem", "--hash", "sha-256"), made{cms.AES256CBC, cms.ECDHP256, "Ed25519 SHA-512"}},
		"two keys":           {append([]string{"--key", "@ec.key", "--cert", "@ec.pem"}, args("lab.key", "lab.pem", to, "lee.pem", "--pss")...), made{cms.AES256CBC, cms.RSAESPKCS1v15, "ECDSA-P-256 SHA-256, RSA-PSS SHA-256"}},
		"GCM for a curve":    {args("lab.key", "lab.pem", to, "leeEC.pem", "--cipher", "aes-128-gcm"), made{cms.AES128GCM, cms.ECDHP256, "RSA SHA-256"}},
		"several recipients": {args("lab.key", "lab.pem", to, "lee.pem", "--rcpt-cert", "@leeEC.pem"), plain},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := d.seal(sealLetter, c.args...)
			if code != exitDone || errs != "" {
				t.Fatalf("exit %d: %s", code, errs)
			}
			head, _, _ := strings.Cut(out, "\r\n\r\n")
			if strings.Contains(head, "Subject") || strings.Contains(head, "Doe") || !strings.Contains(head, "To: "+to+"\r\n") {
				t.Errorf("outer header\n%s", head)
			}
			var got bytes.Buffer
			keys := []cms.Recipient{{Certificate: leeCert, Key: lee}, {Certificate: leeEC, Key: ec}}
			o, err := smime.Open(&got, strings.NewReader(out), keys, smime.OpenOptions{})
			if err != nil || len(o.Good()) != len(o.Signatures) || got.String() != sealLetter {
				t.Fatalf("opened %q, %+v, %v", got.String(), o, err)
			}
			var signed []string
			for _, s := range o.Signatures {
				signed = append(signed, s.Algorithm.String()+" "+s.Hash.String())
			}
			slices.Sort(signed)
			if m := (made{o.Cipher, o.Key, strings.Join(signed, ", ")}); m != c.want {
				t.Errorf("made %v, want %v", m, c.want)
			}
			want := len(o.Signatures)
			if name == "chain" {
				want = 2
			}
			if len(o.Certificates) != want {
				t.Errorf("%d certificates in the signature", len(o.Certificates))
			}
		})
	}
	t.Run("DCM-05 neutral subject", func(t *testing.T) {
		out, _, code := d.seal(strings.Replace(sealLetter, "Jane", "DICOM-ZIP Jane", 1), args("lab.key", "lab.pem", to, "lee.pem")...)
		if code != exitDone || !strings.Contains(out, "\r\nSubject: DICOM-ZIP\r\n") || strings.Contains(out, "Jane") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
	t.Run("unwrapped", func(t *testing.T) {
		out, _, code := d.seal(sealLetter, args("lab.key", "lab.pem", to, "lee.pem", "--unwrapped")...)
		if code != exitDone || !strings.Contains(out, "\r\nSubject: Jane Doe\r\n") || strings.Contains(out, "all is well") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
	t.Run("warnings", func(t *testing.T) {
		out, errs, code := d.seal("From: other@clinic.example\r\n\r\nx\r\n", args("lab.key", "lab.pem", to, "lee.pem")...)
		if code != exitDone || out == "" || strings.Count(errs, "warning") != 4 {
			t.Errorf("exit %d\n%s", code, errs)
		}
	})

	good := args("lab.key", "lab.pem", to, "lee.pem")
	without := func(flag string) []string {
		for i, a := range good {
			if a == flag {
				return append(append([]string{}, good[:i]...), good[i+2:]...)
			}
		}
		return nil
	}
	for _, c := range []struct {
		name string
		in   string
		args []string
		code int
		says string
	}{
		{"no sender", sealLetter, without("--from"), exitUsage, "--from is missing"},
		{"no recipient", sealLetter, without("--to"), exitUsage, "--to is missing"},
		{"no key", sealLetter, without("--key"), exitUsage, "--key is missing"},
		{"no certificate", sealLetter, without("--cert"), exitUsage, "--cert is missing"},
		{"no recipient's certificate", sealLetter, without("--rcpt-cert"), exitUsage, "--rcpt-cert is missing"},
		{"an argument", sealLetter, append([]string{"in.eml"}, good...), exitUsage, "standard input"},
		{"not an address", sealLetter, args("lab.key", "lab.pem", "dr.lee", "lee.pem"), exitUsage, "--to"},
		{"no such file", sealLetter, args("none.key", "lab.pem", to, "lee.pem"), exitUsage, "none.key"},
		{"encrypted key", sealLetter, args("encrypted.key", "lab.pem", to, "lee.pem"), exitUsage, "is encrypted"},
		{"broken key", sealLetter, args("broken.key", "lab.pem", to, "lee.pem"), exitUsage, "cannot be read"},
		{"no key in the file", sealLetter, args("lab.pem", "lab.pem", to, "lee.pem"), exitUsage, "no private key"},
		{"no certificate in the file", sealLetter, args("lab.key", "lab.key", to, "lee.pem"), exitUsage, "no certificate"},
		{"key of another", sealLetter, args("ec.key", "lab.pem", to, "lee.pem"), exitUsage, "does not belong"},
		{"cipher", sealLetter, append([]string{"--cipher", "3des"}, good...), exitUsage, "aes-128"},
		{"certificate of another sender", sealLetter, append(without("--from"), "--from", "desk@clinic.example"), exitRefused, "Direct 4.1"},
		{"certificate of another recipient", sealLetter, args("lab.key", "lab.pem", to, "eve.pem"), exitRefused, "Direct 4.1"},
		{"a stranger beside the recipient", sealLetter, args("lab.key", "lab.pem", to, "lee.pem", "--rcpt-cert", "@eve.pem"), exitRefused, "Direct 4.1"},
		{"a recipient without certificate", sealLetter, args("lab.key", "lab.pem", to, "lee.pem", "--to", "x@elsewhere.example"), exitRefused, "elsewhere.example"},
		{"expired", sealLetter, args("lab.key", "lab.pem", to, "old.pem"), exitRefused, "expired"},
		{"recipient with Ed25519 key", sealLetter, args("lab.key", "lab.pem", to, "leeEd.pem"), exitRefused, "not accepted"},
		{"a hash", sealLetter, append([]string{"--hash", "sha-1"}, good...), exitUsage, "sha-256"},
		{"a key too many", sealLetter, append([]string{"--key", "@ec.key"}, good...), exitUsage, "2 --key and 1 --cert"},
		{"two keys in the wrong order", sealLetter, append([]string{"--key", "@ec.key", "--cert", "@lab.pem"}, args("lab.key", "ec.pem", to, "lee.pem")...), exitUsage, "does not belong"},
		{"PSS without RSA", sealLetter, args("ec.key", "ec.pem", to, "lee.pem", "--pss"), exitUsage, "--pss is for RSA"},
		{"recipient with small key", sealLetter, args("lab.key", "lab.pem", to, "small.pem"), exitRefused, "not accepted"},
		{"not a message", "hello\r\n", good, exitRefused, "Direct 2.1"},
		{"nothing", "", good, exitRefused, "Direct 2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := d.seal(c.in, append([]string{}, c.args...)...)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, want %d: %s", code, c.code, errs)
			}
			if strings.Contains(out, "all is well") {
				t.Error("the message is on standard output")
			}
		})
	}
}
