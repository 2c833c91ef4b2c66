package cms

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Sizes around the block, the segment and the chunk.
var sizes = []int{0, 1, 15, 16, 17, 1000, chunkSize - 1, chunkSize, chunkSize + 1, segmentSize - 16, segmentSize - 1, segmentSize,
	segmentSize + 1, 2*segmentSize + 5, 16*chunkSize + 3}

func content(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// DIR-19: what we encrypt, openssl decrypts, for each of several recipients.
func TestOpenSSLDecryptsOurs(t *testing.T) {
	dir, c := t.TempDir(), people()
	for _, alg := range []Algorithm{AES128CBC, AES192CBC, AES256CBC, AES128GCM, AES192GCM, AES256GCM} {
		for _, n := range []int{0, 16, segmentSize, 3*segmentSize + 7} {
			want := content(n)
			msg := write(t, dir, "m.der", seal(t, want, alg, c.bob.cert, c.carol.cert, c.bob.cert))
			for _, p := range []person{c.bob, c.carol} {
				cert, key := p.files(t, dir)
				got := run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", msg, "-recip", cert, "-inkey", key)
				if !bytes.Equal(got, want) {
					t.Errorf("%v, %d octets: %s got something else", alg, n, p.cert.Subject.CommonName)
				}
			}
		}
	}
}

// DIR-19: what openssl encrypts, we decrypt: definite and indefinite, rid by issuer and by key identifier.
func TestWeDecryptOpenSSL(t *testing.T) {
	dir, c := t.TempDir(), people()
	bob, _ := c.bob.files(t, dir)
	carol, _ := c.carol.files(t, dir)
	for _, form := range [][]string{{"-nocompress"}, {"-stream"}, {"-keyid"}, {"-stream", "-keyid"}, {"-pwri_password", "x", "-stream"}} {
		if form[0] == "-nocompress" {
			form = nil
		}
		for name, alg := range map[string]Algorithm{"-aes-128-cbc": AES128CBC, "-aes-192-cbc": AES192CBC, "-aes256": AES256CBC,
			"-aes-128-gcm": AES128GCM, "-aes-192-gcm": AES192GCM, "-aes-256-gcm": AES256GCM} {
			if alg.Authenticated() && slices.Contains(form, "-pwri_password") {
				continue // openssl 3.0 fails to make that
			}
			for _, n := range []int{1, 16, 4096, 300_000} {
				want := content(n)
				in := write(t, dir, "content", want)
				args := append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", name, "-in", in}, form...)
				msg := run(t, "openssl", append(args, carol, bob)...)
				env, r, err := ReadEnveloped(bytes.NewReader(msg), []Recipient{c.bob.recipient()}, ReadOptions{})
				check(t, err)
				var got bytes.Buffer
				if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%v %s %d: %v, %d octets", form, name, n, err, got.Len())
				}
				if env.Cipher != alg || env.Own != c.bob.cert || env.Recipients < 2 {
					t.Errorf("%v %s: %+v", form, name, env)
				}
			}
		}
	}
}

// DIR-15, DIR-16, DIR-18: what we sign, openssl verifies against the anchor alone.
func TestOpenSSLVerifiesOurs(t *testing.T) {
	dir, c := t.TempDir(), people()
	ca, _ := c.ca.files(t, dir)
	text := []byte("Content-Type: text/plain\r\n\r\nhello\r\n")
	in := write(t, dir, "content", text)
	for _, sg := range signers() {
		x, err := sg.check()
		check(t, err)
		if x == Ed25519 {
			continue // openssl 3.0 has no Ed25519 in CMS: see TestEd25519ByOpenSSL
		}
		p7s, err := SignDetached(sums(text), nil, sg)
		check(t, err)
		sig := write(t, dir, "s.der", p7s)
		got := run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", sig, "-content", in, "-CAfile", ca)
		if !bytes.Equal(got, text) {
			t.Errorf("%v %v: other content", x, sg.Hash)
		}
		names := []string{"contentType", "signingTime", "messageDigest", "S/MIME Capabilities", "May  4 12:00:00 2026 GMT"}
		if x == RSAPSS {
			names = append(names, "rsassaPss")
		}
		printed := string(run(t, "openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", sig))
		for _, name := range names {
			if !strings.Contains(printed, name) {
				t.Errorf("%v: %s is not in the signature", x, name)
			}
		}
	}
	// openssl agrees that it is DER: parsing it and writing it again changes nothing.
	p7s, err := SignDetached(sums(text), nil, c.alice.signer(), c.p256.signer())
	check(t, err)
	again := run(t, "openssl", "cms", "-cmsout", "-inform", "DER", "-outform", "DER", "-in", write(t, dir, "s.der", p7s))
	if !bytes.Equal(again, p7s) {
		t.Error("not DER")
	}
	run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", write(t, dir, "s.der", p7s), "-content", in, "-CAfile", ca)
}

// DIR-15, DIR-18, ATT-17: what openssl signs, we verify; other algorithms and forms are refused for their own reason. SHA-1 is read where
// the profile lets it, and nowhere else.
func TestWeVerifyOpenSSL(t *testing.T) {
	dir, c := t.TempDir(), people()
	text := []byte("Content-Type: text/plain\r\n\r\nhello\r\n")
	in := write(t, dir, "content", text)
	ca, _ := c.ca.files(t, dir)
	const pss = "-keyopt rsa_padding_mode:pss "
	tests := []struct {
		who           person
		md            string
		args          string
		want, lenient error
		algorithm     Algorithm
	}{
		{c.alice, "sha256", "", nil, nil, RSAPKCS1v15},
		{c.alice, "sha384", "", nil, nil, RSAPKCS1v15},
		{c.alice, "sha512", "-keyid", nil, nil, RSAPKCS1v15},
		{c.p256, "sha256", "", nil, nil, ECDSAP256},
		{c.p384, "sha384", "-certfile " + ca, nil, nil, ECDSAP384},
		{c.p256, "sha512", "-keyid", nil, nil, ECDSAP256},
		{c.alice, "sha256", pss, nil, nil, RSAPSS}, // the longest salt
		{c.alice, "sha256", pss + "-keyopt rsa_pss_saltlen:32", nil, nil, RSAPSS},
		{c.alice, "sha384", pss + "-keyopt rsa_pss_saltlen:20", nil, nil, RSAPSS},
		{c.alice, "sha512", pss + "-keyopt rsa_pss_saltlen:-1 -keyid", nil, nil, RSAPSS},
		{c.alice, "sha256", pss + "-keyopt rsa_pss_saltlen:0", ErrAlgorithm, ErrAlgorithm, 0},
		{c.alice, "sha256", pss + "-keyopt rsa_mgf1_md:sha1", ErrAlgorithm, ErrAlgorithm, 0},
		{c.alice, "sha1", "", ErrAlgorithm, nil, RSAPKCS1v15},
		{c.p256, "sha1", "", ErrAlgorithm, nil, ECDSAP256},
		{c.p384, "sha1", "", ErrAlgorithm, nil, ECDSAP384},
		{c.alice, "sha1", pss, ErrAlgorithm, nil, RSAPSS},
		{c.alice, "sha1", pss + "-keyopt rsa_pss_saltlen:20", ErrAlgorithm, nil, RSAPSS}, // all parameters are defaults
		{c.alice, "md5", "", ErrAlgorithm, ErrAlgorithm, 0},
		{c.alice, "sha224", "", ErrAlgorithm, ErrAlgorithm, 0},
		{c.alice, "sha256", "-noattr", ErrAttributes, ErrAttributes, 0},
		{c.alice, "sha256", "-nodetach", ErrEmbedded, ErrEmbedded, 0},
		{c.alice, "sha256", "-nodetach -stream", ErrEmbedded, ErrEmbedded, 0},
		{c.alice, "sha256", "-stream", ErrEmbedded, ErrEmbedded, 0}, // a fault of openssl: an empty content where none should be
	}
	for _, tt := range tests {
		name := fmt.Sprintf("%s %s %s", tt.who.cert.Subject.CommonName, tt.md, tt.args)
		cert, key := tt.who.files(t, dir)
		args := append([]string{"cms", "-sign", "-binary", "-outform", "DER", "-in", in, "-md", tt.md, "-signer", cert, "-inkey", key},
			strings.Fields(tt.args)...)
		p7s := run(t, "openssl", args...)
		for p := V12; p <= Lenient; p++ {
			want := tt.want
			if p == Lenient {
				want = tt.lenient
			}
			info, err := judged(p7s, 0, p.Algorithms(), everySum(text))
			if !errors.Is(err, want) {
				t.Errorf("%s, profile %d: %v, want %v", name, p, err, want)
			}
			if err != nil || want != nil {
				continue
			}
			if info.Algorithm != tt.algorithm || !slices.Contains(info.Capabilities, AES128CBC) {
				t.Errorf("%s, profile %d: %v, %v", name, p, info.Algorithm, info.Capabilities)
			}
			if _, err := judged(p7s, 0, p.Algorithms(), everySum(nil)); !errors.Is(err, ErrDigest) {
				t.Errorf("%s, profile %d, over other content: %v", name, p, err)
			}
		}
	}
}

// openssl 3.0 knows Ed25519, yet not in CMS: it verifies the signature over our attributes, and we verify a message around one of
// its own (RFC 8419 §3.1).
func TestEd25519ByOpenSSL(t *testing.T) {
	dir, e := t.TempDir(), edith()
	cert, key := e.files(t, dir)
	p7s, err := SignDetached(sums(someText), nil, e.signer())
	check(t, err)
	s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
	check(t, err)
	attrs := write(t, dir, "attrs", s.Signers[0].attrs.der)
	run(t, "openssl", "pkeyutl", "-verify", "-rawin", "-certin", "-inkey", cert, "-in", attrs, "-sigfile", write(t, dir, "sig", s.Signers[0].signature))

	theirs := run(t, "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", attrs)
	if !bytes.Contains(p7s, theirs) { // Ed25519 knows no chance
		t.Error("openssl signs otherwise")
	}
}

// The degenerate form that only carries certificates (RFC 8551 §3.8).
func TestCertsOnly(t *testing.T) {
	dir, c := t.TempDir(), people()
	bundle := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ca.cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.alice.cert.Raw})...)
	file := write(t, dir, "bundle.pem", bundle)
	s, err := ReadSigned(bytes.NewReader(run(t, "openssl", "crl2pkcs7", "-nocrl", "-certfile", file, "-outform", "DER")), ReadOptions{})
	check(t, err)
	if len(s.Signers) != 0 || len(s.Certificates) != 2 {
		t.Errorf("%d signers, %d certificates", len(s.Signers), len(s.Certificates))
	}
}

// Every size, against our own reader, in writes and reads of every kind.
func TestRoundTrip(t *testing.T) {
	c := people()
	small := []int{firstChunk - 17, firstChunk - 16, firstChunk - 1, firstChunk, firstChunk + 1, 2*firstRoom - 1, 2 * firstRoom, 2*firstRoom + 1,
		firstChunk + chunkSize - 16, firstChunk + chunkSize - 1, firstChunk + chunkSize, firstChunk + chunkSize + 1}
	for _, n := range slices.Concat(sizes, small) {
		want := content(n)
		for _, alg := range []Algorithm{AES256CBC, AES256GCM} {
			msg := seal(t, want, alg, c.bob.cert)
			for _, open := range []func([]byte, ...Recipient) ([]byte, error){unseal, unsealDraft} {
				got, err := open(msg, c.alice.recipient(), c.bob.recipient())
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, %d octets: %v", alg, n, err)
				}
			}
		}
	}
	var b bytes.Buffer
	w, err := NewEnvelopedWriter(&b, Encryption{Cipher: AES128CBC}, c.bob.cert)
	check(t, err)
	want := content(200_000)
	for i := 0; i < len(want); i += 777 {
		_, err := w.Write(want[i:min(i+777, len(want))])
		check(t, err)
	}
	check(t, w.Close())
	check(t, w.Close())
	if _, err := w.Write(want); err == nil {
		t.Error("written after Close")
	}
	_, r, err := ReadEnveloped(iotestHalf{&b}, []Recipient{c.bob.recipient()}, ReadOptions{})
	check(t, err)
	var got []byte
	for buf := make([]byte, 333); err == nil; {
		var n int
		n, err = r.Read(buf)
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("other content")
	}
}

// iotestHalf reads in odd little pieces.
type iotestHalf struct{ b *bytes.Buffer }

func (h iotestHalf) Read(p []byte) (int, error) { return h.b.Read(p[:(len(p)+1)/2]) }
