package cms

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// DIR-12, DIR-19: what openssl encrypts by RSAES-OAEP, we decrypt, with each hash, and with a mask of another; a label is refused.
func TestOpenSSLOAEP(t *testing.T) {
	dir, bob := t.TempDir(), people().bob
	cert, key := bob.files(t, dir)
	text := content(5000)
	in := write(t, dir, "content", text)
	for args, want := range map[string]Algorithm{
		"":                         RSAESOAEPSHA1,
		"sha256":                   RSAESOAEPSHA256,
		"sha384":                   RSAESOAEPSHA384,
		"sha512":                   RSAESOAEPSHA512,
		"sha256 rsa_mgf1_md:sha1":  RSAESOAEPSHA256,
		"sha1 rsa_mgf1_md:sha256":  RSAESOAEPSHA1,
		"sha224":                   0,
		"sha256 rsa_oaep_label:6c": 0,
	} {
		cmd := strings.Fields("cms -encrypt -binary -stream -aes128 -outform DER -in " + in + " -recip " + cert + " -keyopt rsa_padding_mode:oaep")
		for i, a := range strings.Fields(args) {
			if i == 0 {
				a = "rsa_oaep_md:" + a
			}
			cmd = append(cmd, "-keyopt", a)
		}
		env, got, err := unsealWith(run(t, "openssl", cmd...), ReadOptions{}, bob.recipient())
		switch {
		case want == 0 && !errors.Is(err, ErrAlgorithm):
			t.Errorf("%q: %v", args, err)
		case want != 0 && (err != nil || !bytes.Equal(got, text) || env.Key != want):
			t.Errorf("%q: %v, %+v", args, err, env)
		}
	}
	for _, x := range []Algorithm{RSAESOAEPSHA256, RSAESOAEPSHA384, RSAESOAEPSHA512} {
		for _, cipher := range []Algorithm{AES128CBC, AES256CBC} {
			msg := write(t, dir, "m.der", sealWith(t, text, Encryption{Cipher: cipher, Transport: x}, bob.cert))
			got := run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", msg, "-recip", cert, "-inkey", key)
			if !bytes.Equal(got, text) {
				t.Errorf("%v, %v: openssl reads something else", x, cipher)
			}
		}
	}
}

// DIR-12, DIR-19: what openssl encrypts by ECDH, we decrypt: each key derivation, cofactor, key wrap and way to name us.
func TestOpenSSLECDH(t *testing.T) {
	dir, c := t.TempDir(), people()
	text := content(5000)
	in := write(t, dir, "content", text)
	for _, p := range []person{c.p256, c.p384} {
		cert, key := p.files(t, dir)
		how := map[person]Algorithm{c.p256: ECDHP256, c.p384: ECDHP384}[p]
		for _, md := range []string{"", "sha1", "sha256", "sha384", "sha512", "sha224"} {
			for i, cipher := range []string{"-aes128", "-aes192", "-aes256"} {
				for _, more := range []string{"", "-keyid", "-stream", "-keyopt ecdh_cofactor_mode:1"} {
					// -keyopt belongs to the -recip before it, and -keyid to those after it.
					cmd := fmt.Sprintf("cms -encrypt -binary %s -outform DER -in %s", cipher, in)
					if more == "-keyid" || more == "-stream" {
						cmd += " " + more
					}
					cmd += " -recip " + cert
					if md != "" {
						cmd += " -keyopt ecdh_kdf_md:" + md
					}
					if strings.HasPrefix(more, "-keyopt") {
						cmd += " " + more
					}
					env, got, err := unsealWith(run(t, "openssl", strings.Fields(cmd)...), ReadOptions{}, p.recipient())
					if md == "sha224" {
						if !errors.Is(err, ErrAlgorithm) {
							t.Errorf("%s: %v", cmd, err)
						}
						continue
					}
					if err != nil || !bytes.Equal(got, text) || env.Key != how || env.Cipher != AES128CBC+Algorithm(i) {
						t.Errorf("%s: %v, %+v", cmd, err, env)
					}
				}
			}
		}
		for _, cipher := range []Algorithm{AES128CBC, AES192CBC, AES256CBC} {
			msg := write(t, dir, "m.der", seal(t, text, cipher, p.cert))
			got := run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", msg, "-recip", cert, "-inkey", key)
			if !bytes.Equal(got, text) {
				t.Errorf("%s, %v: openssl reads something else", p.cert.Subject.CommonName, cipher)
			}
			// RFC 5753 §8: the key wrap is at least as strong as the content's cipher, and as the curve.
			wrap := map[Algorithm]string{AES128CBC: "id-aes128-wrap", AES192CBC: "id-aes256-wrap", AES256CBC: "id-aes256-wrap"}[cipher]
			kdf := "dhSinglePass-stdDH-sha256kdf-scheme"
			if how == ECDHP384 {
				wrap, kdf = "id-aes256-wrap", "dhSinglePass-stdDH-sha384kdf-scheme"
			}
			printed := string(run(t, "openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", msg))
			for _, name := range []string{wrap, kdf, "version: 2", "version: 3", "id-ecPublicKey", "d.issuerAndSerialNumber"} {
				if !strings.Contains(printed, name) {
					t.Errorf("%s, %v: no %s in\n%s", p.cert.Subject.CommonName, cipher, name, printed)
				}
			}
		}
	}
}

// Several recipients of all the kinds that openssl has, both ways.
func TestOpenSSLMixed(t *testing.T) {
	dir, c := t.TempDir(), people()
	text := content(70_000)
	in := write(t, dir, "content", text)
	all := []person{c.alice, c.p256, c.bob, c.p384, c.carol}
	cmd := strings.Fields("cms -encrypt -binary -aes256 -stream -outform DER -in " + in)
	var to []*x509.Certificate
	for i, p := range all {
		cert, _ := p.files(t, dir)
		cmd = append(cmd, "-recip", cert)
		if i == 2 {
			cmd = append(cmd, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
		}
		to = append(to, p.cert)
	}
	theirs := run(t, "openssl", cmd...)
	ours := write(t, dir, "m.der", sealWith(t, text, Encryption{Transport: RSAESOAEPSHA384}, to...))
	for i, p := range all {
		env, got, err := unsealWith(theirs, ReadOptions{}, p.recipient())
		want := []Algorithm{RSAESPKCS1v15, ECDHP256, RSAESOAEPSHA256, ECDHP384, RSAESPKCS1v15}[i]
		if err != nil || !bytes.Equal(got, text) || env.Key != want || env.Recipients != len(all) {
			t.Errorf("recipient %d: %v, %+v", i, err, env)
		}
		cert, key := p.files(t, dir)
		if got := run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", ours, "-recip", cert, "-inkey", key); !bytes.Equal(got, text) {
			t.Errorf("recipient %d: openssl reads something else", i)
		}
	}
}

// RFC 8418, and ukm: openssl's cms command has neither, but it has the parts. The shared secret, the key-encryption key and the key
// wrap are computed by it, over an ECC-CMS-SharedInfo written out here, and we open what comes of it.
func TestOpenSSLByHand(t *testing.T) {
	dir := t.TempDir()
	text := content(300)
	for _, how := range []Algorithm{ECDHX25519, ECDHP256, ECDHP384} {
		to := kinds()[how]
		_, pub, err := curveOf(to.cert)
		check(t, err)
		ephemeral, err := pub.Curve().GenerateKey(rand.Reader)
		check(t, err)
		z := derive(t, dir, ephemeral, pub)
		for _, tt := range []struct {
			scheme oid
			kdf    string
			only   Algorithm
		}{
			{oidStdDHSHA256, "SHA256 X963KDF", 0}, {oidStdDHSHA384, "SHA384 X963KDF", 0}, {oidStdDHSHA512, "SHA512 X963KDF", 0},
			{oidStdDHHKDFSHA256, "SHA256 HKDF", ECDHX25519}, {oidStdDHHKDFSHA384, "SHA384 HKDF", ECDHX25519}, {oidStdDHHKDFSHA512, "SHA512 HKDF", ECDHX25519},
		} {
			for _, bits := range []int{128, 256} {
				for _, ukm := range []string{"", "00112233445566778899"} {
					if tt.only != 0 && tt.only != how {
						continue
					}
					k := kariTo(to, how)
					k.scheme, k.bits, k.wrap, k.point = tt.scheme, bits, wrapBare(wrapOID(bits)), ephemeral.PublicKey().Bytes()
					info := hex.EncodeToString(k.wrap) + "a206" + "0404" + fmt.Sprintf("%08x", bits)
					salt := ""
					if ukm != "" {
						k.ukm, _ = hex.DecodeString(ukm)
						info = hex.EncodeToString(k.wrap) + "a00c" + "040a" + ukm + "a206" + "0404" + fmt.Sprintf("%08x", bits)
						salt = "-kdfopt hexsalt:" + ukm
					}
					info = fmt.Sprintf("30%02x", len(info)/2) + info
					name, kdf, _ := strings.Cut(tt.kdf, " ")
					if kdf == "X963KDF" {
						salt = ""
					}
					kek := run(t, "openssl", strings.Fields(fmt.Sprintf("kdf -binary -keylen %d -kdfopt digest:%s -kdfopt hexkey:%x -kdfopt hexinfo:%s %s %s",
						bits/8, name, z, info, salt, kdf))...)
					e := sealed(t, text)
					k.encrypted = run(t, "openssl", "enc", fmt.Sprintf("-id-aes%d-wrap", bits), "-in", write(t, dir, "cek", e.cek),
						"-K", hex.EncodeToString(kek), "-iv", "A6A6A6A6A6A6A6A6")
					e.infos = [][]byte{k.bytes(t, nil)}
					if _, got, err := unsealWith(e.bytes(), ReadOptions{}, to.recipient()); err != nil || !bytes.Equal(got, text) {
						t.Errorf("%v, %s, AES-%d, ukm %q: %v", how, tt.kdf, bits, ukm, err)
					}
				}
			}
		}
	}
}

// What we write to X25519 certificates, taken apart and opened by openssl's parts.
func TestOpenSSLOpensX25519ByHand(t *testing.T) {
	dir := t.TempDir()
	to := kinds()[ECDHX25519]
	for cipher, bits := range map[Algorithm]int{AES128CBC: 128, AES192CBC: 256, AES256CBC: 256} {
		text := content(1000)
		root := apart(t, sealWith(t, text, Encryption{Cipher: cipher}, to.cert))
		enveloped := root.kids[1].kids[0]
		info := enveloped.kids[1].kids[0]
		point := info.kids[1].kids[0].kids[1].val[1:]
		scheme, wrap := info.kids[2].kids[0], info.kids[2].kids[1]
		if string(scheme.val) != string(oidStdDHHKDFSHA256) || !bytes.Equal(wrap.bytes(), wrapBare(wrapOID(bits))) || len(info.kids) != 4 {
			t.Fatalf("%v: scheme %x, wrap %x", cipher, scheme.val, wrap.bytes())
		}
		their, err := ecdh.X25519().NewPublicKey(point)
		check(t, err)
		z := derive(t, dir, to.key.(*ecdh.PrivateKey), their)
		shared := append([]byte{0x30, byte(len(wrap.bytes()) + 8)}, wrap.bytes()...)
		shared = append(shared, 0xa2, 6, 4, 4, 0, 0, byte(bits>>8), byte(bits))
		kek := run(t, "openssl", strings.Fields(fmt.Sprintf("kdf -binary -keylen %d -kdfopt digest:SHA256 -kdfopt hexkey:%x -kdfopt hexinfo:%x HKDF",
			bits/8, z, shared))...)
		encrypted := info.kids[3].kids[0].kids[1].val
		cek := run(t, "openssl", "enc", "-d", fmt.Sprintf("-id-aes%d-wrap", bits), "-in", write(t, dir, "wrapped", encrypted),
			"-K", hex.EncodeToString(kek), "-iv", "A6A6A6A6A6A6A6A6")
		eci := enveloped.kids[2]
		iv := eci.kids[1].kids[1].val
		var ciphertext []byte
		for _, segment := range eci.kids[2].kids {
			ciphertext = append(ciphertext, segment.val...)
		}
		got := run(t, "openssl", "enc", "-d", fmt.Sprintf("-aes-%d-cbc", 8*len(cek)), "-in", write(t, dir, "ciphertext", ciphertext),
			"-K", hex.EncodeToString(cek), "-iv", hex.EncodeToString(iv))
		if !bytes.Equal(got, text) {
			t.Errorf("%v: openssl finds something else", cipher)
		}
	}
}

// derive has openssl compute a shared secret.
func derive(t testing.TB, dir string, key *ecdh.PrivateKey, their *ecdh.PublicKey) []byte {
	t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	spki, err := x509.MarshalPKIXPublicKey(their)
	check(t, err)
	own := write(t, dir, "own.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	peer := write(t, dir, "peer.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	out := filepath.Join(dir, "z")
	run(t, "openssl", "pkeyutl", "-derive", "-inkey", own, "-peerkey", peer, "-out", out)
	z, err := os.ReadFile(out)
	check(t, err)
	return z
}

// An ECC-CMS-SharedInfo is, octet by octet, what RFC 5753 §7.2 says.
func TestSharedInfo(t *testing.T) {
	wrap := wrapBare(oidAES256Wrap)
	for ukm, want := range map[string]string{
		"none": "3015" + "300b0609608648016503040" + "12d" + "a206040400000100",
		"":     "3019" + "300b060960864801650304012d" + "a0020400" + "a206040400000100",
		"abc":  "301c" + "300b060960864801650304012d" + "a0050403616263" + "a206040400000100",
	} {
		b := []byte(ukm)
		if ukm == "none" {
			b = nil
		}
		if got := hex.EncodeToString(sharedInfo(wrap, b, 256)); got != want {
			t.Errorf("ukm %q: %s, want %s", ukm, got, want)
		}
	}
}
