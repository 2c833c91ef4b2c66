package smime

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/cms"
)

// TestOpenSSLReads: OpenSSL decrypts and verifies what Seal makes, and gives back every byte (DIR-12, DIR-15, DIR-17).
func TestOpenSSLReads(t *testing.T) {
	w := newWorld()
	dir := w.files(t, w.bob)
	for name, change := range map[string]func(*SealOptions){
		"RSA":       func(*SealOptions) {},
		"ECDSA":     func(o *SealOptions) { o.Signers[0] = w.carol.signer() },
		"unwrapped": func(o *SealOptions) { o.Unwrapped = true },
		"SHA-512":   func(o *SealOptions) { o.Signers[0].Hash = 7 },
		"GCM":       func(o *SealOptions) { o.Cipher = cms.AES128GCM },
	} {
		t.Run(name, func(t *testing.T) {
			for _, msg := range []string{letter, strings.TrimSuffix(letter, "\r\n"), letter + strings.Repeat("0123456789\r\n", 40_000)} {
				sealed := seal(t, msg, change)
				want := "Content-Type: message/rfc822\r\n\r\n" + msg
				if name == "unwrapped" {
					want = msg[strings.Index(msg, "Content-Type: "):]
				}
				for _, decrypt := range [][]string{{"-binary"}, {}, {"-crlfeol"}} {
					// Not -binary alone: it takes the CR before a delimiter for content.
					for _, verify := range [][]string{{}, {"-crlfeol"}, {"-binary", "-crlfeol"}} {
						entity := ran(t, dir, sealed, "openssl", append([]string{"cms", "-decrypt", "-recip", "bob.pem", "-inkey", "bob.key"}, decrypt...)...)
						got := ran(t, dir, entity, "openssl", append([]string{"cms", "-verify", "-CAfile", "ca.pem"}, verify...)...)
						if string(got) != want {
							t.Fatalf("decrypted %v, verified %v\n%.300q\nwant\n%.300q", decrypt, verify, got, want)
						}
					}
				}
			}
		})
	}
}

// TestOpenSSLWrites: what OpenSSL signs and encrypts opens here, whatever it does to line ends (DIR-12, DIR-17).
func TestOpenSSLWrites(t *testing.T) {
	w := newWorld()
	dir := w.files(t, w.alice, w.bob, w.carol)
	wrapped := "Content-Type: message/rfc822\r\n\r\n" + letter
	lf := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	entityOf := letter[strings.Index(letter, "Content-Type: "):]
	for _, c := range []struct {
		name, in      string
		sign, encrypt []string
		want          string // of the message, line ends apart
	}{
		{"as most people do it", wrapped, nil, nil, letter},
		{"LF in", lf(wrapped), nil, nil, letter},
		{"-binary", wrapped, []string{"-binary"}, []string{"-binary"}, letter},
		{"-crlfeol", wrapped, []string{"-crlfeol"}, []string{"-crlfeol"}, letter},
		{"LF in, LF kept when encrypting", lf(wrapped), nil, []string{"-binary"}, letter},
		{"-stream -indef", wrapped, []string{"-stream"}, []string{"-stream"}, letter},
		{"AES-128", wrapped, nil, []string{"-aes128"}, letter},
		{"AES-256-GCM", wrapped, nil, []string{"-aes-256-gcm"}, letter},
		{"SHA-512", wrapped, []string{"-md", "sha512"}, nil, letter},
		{"two signers", wrapped, []string{"-signer", "carol.pem", "-inkey", "carol.key"}, nil, letter},
		{"by key identifier", wrapped, []string{"-keyid"}, nil, letter},
		{"unwrapped", entityOf, nil, nil, ""},
		{"the whole message signed", letter, nil, nil, letter},
	} {
		t.Run(c.name, func(t *testing.T) {
			sign := append([]string{"cms", "-sign", "-signer", "alice.pem", "-inkey", "alice.key"}, c.sign...)
			signed := ran(t, dir, []byte(c.in), "openssl", sign...)
			enc := append([]string{"cms", "-encrypt", "-from", "alice@clinic.example", "-to", "bob@lab.example", "-subject", "s"}, c.encrypt...)
			if !strings.Contains(strings.Join(c.encrypt, " "), "-aes") {
				enc = append(enc, "-aes256")
			}
			sealed := ran(t, dir, signed, "openssl", append(enc, "bob.pem")...)
			for _, framing := range []string{"as made", "CRLF on the wire"} {
				if framing != "as made" {
					sealed = []byte(strings.ReplaceAll(lf(string(sealed)), "\n", "\r\n"))
				}
				got, o, err := openBob(sealed)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range o.Signatures {
					if s.Err != nil {
						t.Errorf("%s: signature: %v", framing, s.Err)
					}
				}
				if want := 1 + strings.Count(c.name, "two"); len(o.Signatures) != want {
					t.Errorf("%d signatures", len(o.Signatures))
				}
				if c.want != "" && !strings.HasSuffix(lf(got), lf(c.want)) {
					t.Errorf("%s: opened\n%s", framing, got)
				}
				if c.want == "" && !strings.HasSuffix(lf(got), lf(entityOf)) || o.Header.Get("From") == "" {
					t.Errorf("%s: opened\n%s", framing, got)
				}
				if o.Header.Count("From") != 1 || o.Header.Count("MIME-Version") != 1 {
					t.Errorf("%s: doubled fields in\n%s", framing, got)
				}
			}
		})
	}
}

// TestLineEndsChanged: DIR-17: a gateway that turns CRLF into LF inside does not break the signature, and it is said that this happened.
func TestLineEndsChanged(t *testing.T) {
	w := newWorld()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	text := signedBy(t, part, w.alice.signer())
	entity := multipartSigned(part, text)
	got, o, err := openBob(envelope(t, strings.ReplaceAll(entity, "\r\n", "\n")))
	if err != nil || len(o.Good()) != 1 || !o.Good()[0].Canonicalised {
		t.Fatalf("opened %+v, %v", o, err)
	}
	if got != strings.ReplaceAll(letter, "\r\n", "\n") {
		t.Errorf("opened %q", got)
	}
	// A signer who signed bare LF as they stand: the bytes as received match.
	lf := strings.ReplaceAll(part, "\r\n", "\n")
	_, o, err = openBob(envelope(t, multipartSigned(lf, signedBy(t, lf, w.alice.signer()))))
	if err != nil || len(o.Good()) != 1 || o.Good()[0].Canonicalised {
		t.Fatalf("opened %+v, %v", o, err)
	}
}

// multipartSigned puts a part and the base64 text of a signature together.
func multipartSigned(part, text string) string {
	return "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_b\"\r\n\r\n" +
		"--=_b\r\n" + part + "\r\n--=_b\r\n" +
		"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		text + "\r\n--=_b--\r\n"
}

// twoParts takes decrypted multipart/signed apart for peers that know no MIME.
func twoParts(t testing.TB, entity []byte) (content, p7s []byte) {
	t.Helper()
	_, rest, _ := strings.Cut(string(entity), "boundary=\"")
	boundary, rest, _ := strings.Cut(rest, "\"")
	parts := strings.Split(rest, "\r\n--"+boundary)
	if len(parts) != 4 {
		t.Fatalf("%d sections in\n%s", len(parts), entity)
	}
	_, text, _ := strings.Cut(parts[2], "\r\n\r\n")
	return []byte(strings.TrimPrefix(parts[1], "\r\n")), must(base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\r\n", "")))
}

// cmsOf is the DER or BER inside a sealed message.
func cmsOf(sealed []byte) []byte {
	_, body, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
	return must(base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", "")))
}

// p12 makes a PKCS#12 file without encryption that old programs refuse.
func p12(t *testing.T, dir string) {
	t.Helper()
	ran(t, dir, nil, "openssl", "pkcs12", "-export", "-legacy", "-in", "bob.pem", "-inkey", "bob.key", "-certfile", "ca.pem",
		"-name", "bob", "-passout", "pass:x", "-out", "bob.p12")
}

// TestGpgsmReads: GnuPG decrypts what Seal makes and finds the signature good.
func TestGpgsmReads(t *testing.T) {
	w := newWorld()
	dir := w.files(t, w.bob)
	home := must(os.MkdirTemp("", "g")) // short: its sockets have room for 100 characters
	t.Cleanup(func() {
		run(t, dir, nil, []string{"GNUPGHOME=" + home}, "gpgconf", "--kill", "all")
		// The agent removes its sockets while it goes.
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	sum := sha1.Sum(w.ca.Raw)
	write(t, filepath.Join(home, "trustlist.txt"), []byte(strings.ToUpper(hex.EncodeToString(sum[:]))+" S relax\n"))
	write(t, filepath.Join(home, "gpgsm.conf"), []byte("disable-crl-checks\nbatch\nno-tty\n"))
	write(t, filepath.Join(home, "gpg-agent.conf"), []byte("allow-loopback-pinentry\n"))
	p12(t, dir)
	env := []string{"GNUPGHOME=" + home}
	gpgsm := func(stdin []byte, args ...string) ([]byte, []byte) {
		t.Helper()
		out, errs, err := run(t, dir, stdin, env, "gpgsm", args...)
		if err != nil {
			t.Fatalf("gpgsm %s: %v\n%s", strings.Join(args, " "), err, errs)
		}
		return out, errs
	}
	gpgsm(nil, "--import", "ca.pem")
	// gpgsm 2.2.40 misreads one PKCS #12 file in a hundred, by its random salt: a fresh one is another chance.
	importing := []string{"--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", "bob.p12"}
	for range 4 {
		if _, _, err := run(t, dir, []byte("x\n"), env, "gpgsm", importing...); err == nil {
			break
		}
		p12(t, dir)
	}
	gpgsm([]byte("x\n"), importing...)
	for _, msg := range []string{letter, letter + strings.Repeat("0123456789\r\n", 40_000)} {
		write(t, filepath.Join(dir, "m.der"), cmsOf(seal(t, msg)))
		entity, _ := gpgsm([]byte("x\n"), "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", "m.der")
		content, p7s := twoParts(t, entity)
		if string(content) != "Content-Type: message/rfc822\r\n\r\n"+msg {
			t.Fatalf("gpgsm decrypted\n%.400q", content)
		}
		write(t, filepath.Join(dir, "content"), content)
		write(t, filepath.Join(dir, "s.p7s"), p7s)
		if _, errs := gpgsm(nil, "--verify", "s.p7s", "content"); !bytes.Contains(errs, []byte("Good signature")) {
			t.Errorf("gpgsm --verify:\n%s", errs)
		}
	}
}

// TestNSSReads: NSS, the engine of Thunderbird, decrypts what Seal makes and finds the signature good.
func TestNSSReads(t *testing.T) {
	w := newWorld()
	dir := w.files(t, w.bob)
	p12(t, dir)
	ran(t, dir, nil, "certutil", "-N", "-d", "sql:.", "--empty-password")
	ran(t, dir, nil, "certutil", "-A", "-d", "sql:.", "-n", "ca", "-t", "CT,C,C", "-i", "ca.pem")
	ran(t, dir, nil, "pk12util", "-i", "bob.p12", "-d", "sql:.", "-W", "x", "-K", "")
	for _, signer := range []person{w.alice, w.carol} {
		sealed := seal(t, letter, func(o *SealOptions) { o.Signers[0] = signer.signer() })
		write(t, filepath.Join(dir, "m.der"), cmsOf(sealed))
		ran(t, dir, nil, "cmsutil", "-D", "-d", "sql:.", "-p", "", "-i", "m.der", "-o", "entity")
		content, p7s := twoParts(t, must(os.ReadFile(filepath.Join(dir, "entity"))))
		if string(content) != "Content-Type: message/rfc822\r\n\r\n"+letter {
			t.Fatalf("cmsutil decrypted\n%.400q", content)
		}
		write(t, filepath.Join(dir, "content"), content)
		write(t, filepath.Join(dir, "s.p7s"), p7s)
		ran(t, dir, nil, "cmsutil", "-D", "-d", "sql:.", "-p", "", "-c", "content", "-i", "s.p7s", "-o", "out")
	}
}
