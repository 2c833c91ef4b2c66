package interop

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/test/peers"
)

// TestOpenSSLVariants: DIR-15, DIR-18, DIR-19: what senders may choose besides the algorithm. Those that nobody should choose are refused.
func TestOpenSSLVariants(t *testing.T) {
	l := lab(t)
	in, err := l.OpenSSL.File("content", letter)
	if err != nil {
		t.Fatal(err)
	}
	w := l.World
	rsa, p256, p384 := w.RSA[0], w.P256, w.P384
	for _, v := range []struct {
		args string
		who  *peers.Person
		want error
	}{
		{"-keyid", rsa, nil},
		{"-keyid", p256, nil},
		{"-nosmimecap", rsa, nil},
		{"-cades", rsa, nil},
		{"-md sha384", p256, nil},
		{"-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest", rsa, nil},
		{"-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20", rsa, nil},
		{"-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:max", rsa, nil},
		{"-keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha1", rsa, cms.ErrAlgorithm}, // RFC 8017 §8.1 recommends one hash for both
		{"-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:0", rsa, cms.ErrAlgorithm},
		{"-md md5", rsa, cms.ErrAlgorithm},
		{"-md sha224", rsa, cms.ErrAlgorithm},
		{"-md sha3-256", rsa, cms.ErrAlgorithm},
		{"-noattr", rsa, cms.ErrAttributes},
	} {
		for _, opaque := range []bool{false, true} {
			args := append([]string{"-sign", "-outform", "DER", "-in", in, "-signer", v.who.CertFile, "-inkey", v.who.KeyFile}, strings.Fields(v.args)...)
			if opaque {
				args = append(args, "-nodetach")
				if !strings.Contains(v.args, "pss") { // OpenSSL 3.0 cannot: "illegal zero content"
					args = append(args, "-stream")
				}
			}
			message, err := l.OpenSSL.Cms(args...)
			if err != nil {
				t.Fatal(err)
			}
			if opaque {
				var got []byte
				got, err = verifyOpaque(message)
				err = same(got, err)
			} else {
				err = verify(message, letter)
			}
			if !errors.Is(err, v.want) || v.want == nil && err != nil {
				t.Errorf("%s, %s, opaque %v: %v, want %v", v.who.Name, v.args, opaque, err, v.want)
			}
		}
	}
	for _, v := range []struct {
		args   string
		cipher cms.Algorithm
		to     []*peers.Person
		want   error
	}{
		{"-aes-128-cbc -keyid", cms.AES128CBC, []*peers.Person{rsa}, nil},
		{"-aes-128-cbc -keyid", cms.AES128CBC, []*peers.Person{p384}, nil},
		{"-aes-256-cbc -noindef", cms.AES256CBC, []*peers.Person{rsa, p256, p384}, nil},
		{"-aes-256-cbc -aes128-wrap", cms.AES256CBC, []*peers.Person{p256}, nil},
		{"-aes-256-cbc -aes192-wrap", cms.AES256CBC, []*peers.Person{p256}, nil},
		{"-aes-256-cbc -aes256-wrap -stream", cms.AES256CBC, []*peers.Person{p384}, nil},
		{"-aes-256-gcm -stream", cms.AES256GCM, []*peers.Person{rsa, p256, p384}, nil},
		{"-aes-128-cbc -pwri_password x", cms.AES128CBC, []*peers.Person{rsa}, nil}, // a password beside us is not ours
		{"-aes-128-cbc -des3-wrap", cms.AES128CBC, []*peers.Person{p256}, cms.ErrAlgorithm},
		{"-des3", 0, []*peers.Person{rsa}, cms.ErrAlgorithm},
		{"-aes-128-ofb", 0, []*peers.Person{rsa}, cms.ErrAlgorithm},
		{"-camellia-128-cbc", 0, []*peers.Person{rsa}, cms.ErrAlgorithm},
	} {
		args := append([]string{"-encrypt", "-outform", "DER", "-in", in}, strings.Fields(v.args)...)
		for _, p := range v.to {
			args = append(args, "-recip", p.CertFile)
		}
		message, err := l.OpenSSL.Cms(args...)
		if err != nil {
			t.Fatal(err)
		}
		count := append([]*peers.Person(nil), v.to...)
		if strings.Contains(v.args, "pwri") {
			count = append(count, nil)
		}
		for _, p := range v.to {
			got, err := decrypt(message, p, peers.Encryption{Cipher: v.cipher, To: count})
			if err = same(got, err); !errors.Is(err, v.want) || v.want == nil && err != nil {
				t.Errorf("%s to %s: %v, want %v", v.args, p.Name, err, v.want)
			}
		}
	}
}

// TestOAEPParameters: DIR-19: OAEP is read whatever hash its mask has, as cms says.
func TestOAEPParameters(t *testing.T) {
	l := lab(t)
	in, err := l.OpenSSL.File("content", letter)
	if err != nil {
		t.Fatal(err)
	}
	to := l.World.RSA[0]
	for _, md := range []string{"sha1", "sha256", "sha384", "sha512"} {
		for _, mask := range []string{"sha1", "sha256", "sha512"} {
			message, err := l.OpenSSL.Cms("-encrypt", "-outform", "DER", "-in", in, "-aes-128-cbc", "-recip", to.CertFile,
				"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+md, "-keyopt", "rsa_mgf1_md:"+mask)
			if err != nil {
				t.Fatal(err)
			}
			err = same(decrypt(message, to, peers.Encryption{Cipher: cms.AES128CBC, To: []*peers.Person{to}}))
			if err != nil {
				t.Errorf("OAEP with %s, mask with %s: %v", md, mask, err)
			}
		}
	}
}

// TestMixedRecipients: DIR-19: one message to keys of every kind; each of them opens it, with the peers that know the kind.
func TestMixedRecipients(t *testing.T) {
	l := lab(t)
	w := l.World
	all := []*peers.Person{w.RSA[0], w.P256, w.P384, w.X25519}
	for _, cipher := range []cms.Algorithm{cms.AES256CBC, cms.AES128GCM} {
		for _, transport := range []cms.Algorithm{cms.RSAESPKCS1v15, cms.RSAESOAEPSHA256} {
			message, err := encrypt(letter, peers.Encryption{To: all, Cipher: cipher, Key: transport})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if err := same(decrypt(message, p, peers.Encryption{Cipher: cipher, To: all})); err != nil {
					t.Errorf("%s, %s, to %s: %v", cipher, transport, p.Name, err)
				}
			}
			for _, p := range all[:3] {
				if err := same(l.OpenSSL.Decrypt(message, p)); err != nil {
					t.Errorf("%s, %s, to %s: %v", cipher, transport, p.Name, err)
				}
				// Bouncy Castle 1.72 has no class for AuthEnvelopedData by key agreement.
				err := same(l.BouncyCastle.Decrypt(message, p))
				if lacks := cipher == cms.AES128GCM && p != w.RSA[0]; lacks != (err != nil) {
					t.Errorf("%s, %s, to %s: %v", cipher, transport, p.Name, err)
				}
			}
		}
	}
	for _, p := range []peers.Peer{l.OpenSSL, l.BouncyCastle} {
		for _, cipher := range []cms.Algorithm{cms.AES128CBC, cms.AES256GCM} {
			e := peers.Encryption{To: all[:3], Cipher: cipher, Key: cms.RSAESPKCS1v15, KDF: cms.SHA256}
			message, err := p.Encrypt(letter, e)
			if err != nil {
				t.Fatal(err)
			}
			for _, who := range e.To {
				if err := same(decrypt(message, who, e)); err != nil {
					t.Errorf("%s, %s, to %s: %v", p.Name(), cipher, who.Name, err)
				}
			}
		}
	}
}

// TestAuthenticatedAttributes: DIR-19: AuthEnvelopedData whose tag is over attributes as well (RFC 5083 §2.1).
func TestAuthenticatedAttributes(t *testing.T) {
	l := lab(t)
	for cipher := cms.AES128GCM; cipher <= cms.AES256GCM; cipher++ {
		e := peers.Encryption{To: l.World.RSA[:2], Cipher: cipher, Key: cms.RSAESPKCS1v15, Attributes: true}
		message, err := l.BouncyCastle.Encrypt(letter, e)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range e.To {
			if err := same(l.OpenSSL.Decrypt(message, p)); err != nil {
				t.Errorf("OpenSSL, %s, to %s: %v", cipher, p.Name, err)
			}
			if err := same(decrypt(message, p, e)); err != nil {
				t.Errorf("%s, to %s: %v", cipher, p.Name, err)
			}
		}
	}
}

// TestOpaqueSigned: DCM-20: SignedData with the content inside, by every peer, with every hash.
func TestOpaqueSigned(t *testing.T) {
	l := lab(t)
	for _, p := range l.All() {
		for _, h := range []cms.Algorithm{cms.SHA256, cms.SHA384, cms.SHA512} {
			message, err := p.Sign(letter, peers.Signing{Signers: l.World.RSA[:1], Hash: h, Opaque: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := same(verifyOpaque(message, cms.RSAPKCS1v15, h)); err != nil {
				t.Errorf("%s, %s: %v", p.Name(), h, err)
			}
		}
	}
}

// TestSignersOfEveryKind: DIR-15, DIR-18: one signature object by all kinds of keys with hashes of their own; every peer that knows them verifies all.
func TestSignersOfEveryKind(t *testing.T) {
	l := lab(t)
	w := l.World
	s := []cms.Signer{w.RSA[0].Signer(), w.RSA[1].Signer(), w.P256.Signer(), w.P384.Signer()}
	s[1].PSS = true
	s[3].Hash = hashOf(cms.SHA384)
	digests := digestsOf(letter)
	p7s, err := cms.SignDetached(digests, nil, s...)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(p7s, letter); err != nil {
		t.Error(err)
	}
	for _, p := range l.All() {
		if _, err := p.Verify(p7s, letter); err != nil {
			t.Errorf("%s: %v", p.Name(), err)
		}
		if _, err := p.Verify(p7s, bytes.ToUpper(letter)); err == nil {
			t.Errorf("%s would verify anything", p.Name())
		}
	}
	// With Ed25519 among them Bouncy Castle is the only one that knows all.
	if p7s, err = cms.SignDetached(digests, nil, append(s, w.Ed25519.Signer())...); err != nil {
		t.Fatal(err)
	}
	if _, err := l.BouncyCastle.Verify(p7s, letter); err != nil {
		t.Error(err)
	}
}

// TestSizes: DIR-12, DIR-19: contents around the sizes of blocks and segments, both ways.
func TestSizes(t *testing.T) {
	l := lab(t)
	to := l.World.RSA[:1]
	sizes := []int{1, 15, 16, 17, 57*1024 - 1, 57 * 1024, 57*1024 + 1, 200_000}
	if full() {
		sizes = append(sizes, 4095, 4096, 57*1024-16, 57*1024+16, 2*57*1024, 1<<20, 5_000_001)
	}
	for _, n := range sizes {
		content := bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n]
		for _, p := range l.All() {
			for _, cipher := range []cms.Algorithm{cms.AES128CBC, cms.AES256GCM} {
				f := peers.Feature{Kind: peers.Contents, Key: cms.RSAESPKCS1v15, Cipher: cipher}
				e := peers.Encryption{To: to, Cipher: cipher, Key: cms.RSAESPKCS1v15}
				if peers.Capable(p, f, peers.Reads).Can {
					if err := roundTrip(encrypt, func(m []byte) ([]byte, error) { return p.Decrypt(m, to[0]) }, content, e); err != nil {
						t.Errorf("%s reads %d octets, %s: %v", p.Name(), n, cipher, err)
					}
				}
				if peers.Capable(p, f, peers.Makes).Can {
					if err := roundTrip(p.Encrypt, func(m []byte) ([]byte, error) { return decrypt(m, to[0], e) }, content, e); err != nil {
						t.Errorf("%s makes %d octets, %s: %v", p.Name(), n, cipher, err)
					}
				}
			}
		}
	}
}

func roundTrip(there func([]byte, peers.Encryption) ([]byte, error), back func([]byte) ([]byte, error), content []byte, e peers.Encryption) error {
	message, err := there(content, e)
	if err != nil {
		return err
	}
	got, err := back(message)
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("%d octets", len(got))
	}
	return err
}
