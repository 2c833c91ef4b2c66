package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// keyed is a certificate with a private key of any kind, which need not be able to sign.
type keyed struct {
	cert *x509.Certificate
	key  any
}

func (k keyed) recipient() Recipient { return Recipient{k.cert, k.key} }

// enrol certifies a public key, of which crypto/x509 need not know how to certify it.
func enrol(name string, pub crypto.PublicKey) *x509.Certificate {
	id := sha256.Sum256([]byte(name))
	ca := people().ca
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(id[:15]), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0), SubjectKeyId: id[:20],
	}, ca.cert, ca.key.Public(), ca.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(rekey(der, ca.cert.RawSubjectPublicKeyInfo, spki))
	if err != nil {
		panic(err)
	}
	return cert
}

// rekey puts another public key into a certificate, and signs it again.
func rekey(der, from, to []byte) []byte {
	whole := cryptobyte.String(der)
	var tbs, fields, algorithm cryptobyte.String
	if !whole.ReadASN1(&whole, asn1.SEQUENCE) || !whole.ReadASN1(&tbs, asn1.SEQUENCE) || !whole.ReadASN1Element(&algorithm, asn1.SEQUENCE) {
		panic("no certificate")
	}
	signed := encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for !tbs.Empty() {
				var tag asn1.Tag
				tbs.ReadAnyASN1Element(&fields, &tag)
				if bytes.Equal(fields, from) {
					fields = to
				}
				b.AddBytes(fields)
			}
		})
	})
	signature, err := people().ca.key.Sign(rand.Reader, sum(signed), crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(signed)
			b.AddBytes(algorithm)
			b.AddASN1BitString(signature)
		})
	})
}

// agreeing has a certificate with a key for key agreement on that curve.
func agreeing(name string, c ecdh.Curve) keyed {
	key, err := c.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return keyed{enrol(name, certified(key)), key}
}

// certified is the public key as certificates have it.
func certified(key *ecdh.PrivateKey) crypto.PublicKey {
	nist := map[ecdh.Curve]elliptic.Curve{ecdh.P256(): elliptic.P256(), ecdh.P384(): elliptic.P384()}[key.Curve()]
	if nist == nil {
		return key.PublicKey()
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(nist, key.PublicKey().Bytes())
	if err != nil {
		panic(err)
	}
	return pub
}

// kinds has one recipient of each kind of key.
var kinds = sync.OnceValue(func() map[Algorithm]keyed {
	c := people()
	return map[Algorithm]keyed{
		RSAESPKCS1v15: {c.bob.cert, c.bob.key},
		ECDHP256:      agreeing("on P-256", ecdh.P256()),
		ECDHP384:      agreeing("on P-384", ecdh.P384()),
		ECDHX25519:    agreeing("on X25519", ecdh.X25519()),
	}
})

// sealWith encrypts content as a whole.
func sealWith(t testing.TB, content []byte, o Encryption, to ...*x509.Certificate) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewEnvelopedWriter(&b, o, to...)
	check(t, err)
	_, err = w.Write(content)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

// unsealWith decrypts a message as a whole and says what its outside says.
func unsealWith(msg []byte, o ReadOptions, keys ...Recipient) (*Enveloped, []byte, error) {
	env, r, err := ReadEnveloped(bytes.NewReader(msg), keys, o)
	if err != nil {
		return nil, nil, err
	}
	plain, err := io.ReadAll(r)
	return env, plain, err
}

// DIR-12: a message to 1, 2 and 20 recipients of mixed kinds opens for each of them, and says how.
func TestMixedRecipients(t *testing.T) {
	text := content(1000)
	var all []keyed
	var hows []Algorithm
	for i, c := range []ecdh.Curve{ecdh.P256(), ecdh.P384(), ecdh.X25519()} {
		for j := range 5 {
			all = append(all, agreeing(fmt.Sprintf("number %d on curve %d", j, i), c))
			hows = append(hows, ECDHP256+Algorithm(i))
		}
	}
	c := people()
	for _, p := range []person{c.alice, c.bob, c.carol} {
		all, hows = append(all, keyed{p.cert, p.key}), append(hows, RSAESPKCS1v15)
	}
	for range 2 {
		p := certify("somebody", rsaKey(), &c.ca)
		p = certify("somebody "+p.cert.SerialNumber.String()+fmt.Sprint(len(all)), p.key, &c.ca)
		all, hows = append(all, keyed{p.cert, p.key}), append(hows, RSAESPKCS1v15)
	}
	for _, n := range []int{1, 2, 20} {
		for from := 0; from+n <= len(all); from += max(1, n/2) {
			var to []*x509.Certificate
			version := byte(0)
			for i, k := range all[from : from+n] {
				to = append(to, k.cert)
				if hows[from+i] != RSAESPKCS1v15 {
					version = 2
				}
			}
			for _, cipher := range []Algorithm{AES128CBC, AES192CBC, AES256CBC} {
				msg := sealWith(t, text, Encryption{Cipher: cipher}, to...)
				// RFC 5652 §6.1: ContentInfo, its type, [0] and EnvelopedData stand before the version.
				if head := msg[:20]; !bytes.HasSuffix(head, []byte{0x30, 0x80, 2, 1, version}) {
					t.Errorf("%d from %d: version %x, want %d", n, from, head, version)
				}
				for i, k := range all[from : from+n] {
					env, got, err := unsealWith(msg, ReadOptions{}, k.recipient())
					if err != nil || !bytes.Equal(got, text) {
						t.Fatalf("%d from %d, %v, recipient %d: %v", n, from, cipher, i, err)
					}
					if env.Key != hows[from+i] || env.Own != k.cert || env.Recipients != n || env.Cipher != cipher {
						t.Errorf("%d from %d, recipient %d: %+v", n, from, i, env)
					}
				}
			}
		}
	}
}

// Every algorithm of key transport is made and read, but RSAES-OAEP with SHA-1, which is read alone; nothing else is one.
func TestTransports(t *testing.T) {
	c, text := people(), content(100)
	for x := Algorithm(0); x <= algorithms; x++ {
		o := Encryption{Transport: x, Cipher: AES256CBC}
		want := x
		switch x {
		case 0:
			want = RSAESPKCS1v15
		case RSAESPKCS1v15, RSAESOAEPSHA256, RSAESOAEPSHA384, RSAESOAEPSHA512:
		default:
			for _, k := range kinds() {
				if _, err := NewEnvelopedWriter(io.Discard, o, k.cert); !errors.Is(err, ErrAlgorithm) {
					t.Errorf("%v as key transport: %v", x, err)
				}
			}
			continue
		}
		env, got, err := unsealWith(sealWith(t, text, o, c.bob.cert), ReadOptions{}, c.bob.recipient())
		if err != nil || !bytes.Equal(got, text) || env.Key != want {
			t.Errorf("%v: %v, %+v", x, err, env)
		}
	}
}

// DIR-19: the table of algorithms decides about every way that a key comes, before any private operation.
func TestTableDecides(t *testing.T) {
	text := content(100)
	msgs := map[Algorithm][]byte{}
	for how, k := range kinds() {
		msgs[how] = seal(t, text, AES128CBC, k.cert)
	}
	for _, x := range []Algorithm{RSAESOAEPSHA256, RSAESOAEPSHA384, RSAESOAEPSHA512} {
		msgs[x] = sealWith(t, text, Encryption{Transport: x}, people().bob.cert)
	}
	old := sealed(t, text)
	old.infos[0] = rawTransport(people().bob, nil, oidRSA, nil)
	old.infos[0] = oaepTransport(t, crypto.SHA1, 0, []byte{0x30, 0}, old.cek)
	msgs[RSAESOAEPSHA1] = old.bytes()
	k := kariTo(kinds()[ECDHP256], ECDHP256)
	k.scheme = oidStdDHSHA1
	msgs[ECDHSHA1KDF] = k.message(t, text)

	for x, msg := range msgs {
		var keys []Recipient
		ops := 0
		for _, k := range kinds() {
			keys = append(keys, Recipient{k.cert, observed(k.key, &ops)})
		}
		refuse := func(a Algorithms) Algorithms {
			a, err := a.With(x, Refuse)
			check(t, err)
			return a
		}
		for _, p := range []Profile{V12, V13, Lenient} {
			ops = 0
			if _, got, err := unsealWith(msg, ReadOptions{Algorithms: p.Algorithms()}, keys...); err != nil || !bytes.Equal(got, text) || ops != 1 {
				t.Errorf("%v, profile %d: %v after %d private operations", x, p, err, ops)
			}
			ops = 0
			if _, _, err := unsealWith(msg, ReadOptions{Algorithms: refuse(p.Algorithms())}, keys...); !errors.Is(err, ErrAlgorithm) || ops != 0 {
				t.Errorf("%v refused, profile %d: %v after %d private operations", x, p, err, ops)
			}
		}
	}
	// A key derivation with SHA-1 needs its curve as well.
	a, err := V12.Algorithms().With(ECDHP256, Refuse)
	check(t, err)
	if _, _, err := unsealWith(msgs[ECDHSHA1KDF], ReadOptions{Algorithms: a}, kinds()[ECDHP256].recipient()); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("P-256 refused: %v", err)
	}
}

// observed counts the operations with a private key.
func observed(key any, n *int) any {
	switch k := key.(type) {
	case ecdh.KeyExchanger:
		return &observedExchanger{k, n, nil}
	case crypto.Decrypter:
		return &observedDecrypter{k, n, nil}
	}
	panic("no private key")
}

type observedDecrypter struct {
	crypto.Decrypter
	n   *int
	err error
}

func (o *observedDecrypter) Decrypt(r io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	*o.n++
	if o.err != nil {
		return nil, o.err
	}
	return o.Decrypter.Decrypt(r, msg, opts)
}

type observedExchanger struct {
	ecdh.KeyExchanger
	n   *int
	err error
}

func (o *observedExchanger) ECDH(their *ecdh.PublicKey) ([]byte, error) {
	*o.n++
	if o.err != nil {
		return nil, o.err
	}
	return o.KeyExchanger.ECDH(their)
}

// A key that does not belong to its certificate is the caller's mistake, and no private operation is done with it.
func TestForeignKeys(t *testing.T) {
	text := content(100)
	for how, k := range kinds() {
		msg := seal(t, text, AES256CBC, k.cert)
		for other, wrong := range kinds() {
			if other == how {
				continue
			}
			if _, err := unseal(msg, Recipient{k.cert, wrong.key}); err == nil || errors.Is(err, ErrDecrypt) || known(err) {
				t.Errorf("%v with the key of %v: %v", how, other, err)
			}
		}
		twin := map[Algorithm]any{RSAESPKCS1v15: people().carol.key, ECDHP256: agreeing("twin", ecdh.P256()).key,
			ECDHP384: agreeing("twin", ecdh.P384()).key, ECDHX25519: agreeing("twin", ecdh.X25519()).key}[how]
		for name, wrong := range map[string]any{"twin": twin, "none": nil, "text": "key", "certificate": k.cert, "typed": (*observedExchanger)(nil)} {
			if name == "typed" {
				wrong = &observedExchanger{KeyExchanger: nameless{}}
			}
			if _, err := unseal(msg, Recipient{k.cert, wrong}); err == nil || errors.Is(err, ErrDecrypt) || known(err) {
				t.Errorf("%v, %s: %v", how, name, err)
			}
		}
	}
	// The keys of crypto/ecdsa serve as those of crypto/ecdh do.
	for _, p := range []person{people().p256, people().p384} {
		got, err := unseal(seal(t, text, AES256CBC, p.cert), Recipient{p.cert, p.key.(*ecdsa.PrivateKey)})
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v", p.cert.Subject.CommonName, err)
		}
	}
}

// nameless is a key device that does not tell its public key.
type nameless struct{}

func (nameless) PublicKey() *ecdh.PublicKey           { return nil }
func (nameless) Curve() ecdh.Curve                    { return ecdh.P256() }
func (nameless) ECDH(*ecdh.PublicKey) ([]byte, error) { return make([]byte, 32), nil }

// A key device for key agreement that is away makes no bad message; any other complaint of it becomes a random key.
func TestExchangerDevice(t *testing.T) {
	for how, k := range kinds() {
		msg := seal(t, content(100), AES256CBC, k.cert)
		for _, tell := range []error{fmt.Errorf("keyring: %w", ErrUnavailable), errors.New("no such point")} {
			n := 0
			key := observed(k.key, &n)
			switch o := key.(type) {
			case *observedExchanger:
				o.err = tell
			case *observedDecrypter:
				o.err = tell
			}
			err := patiently(func() error { _, err := unseal(msg, Recipient{k.cert, key}); return err })
			if away := errors.Is(tell, ErrUnavailable); away != errors.Is(err, ErrUnavailable) || !away && err != ErrDecrypt {
				t.Errorf("%v, device says %v: %v", how, tell, err)
			}
		}
	}
}

// The same certificate twice is one recipient; two of one name are an error, also of different kinds.
func TestTwins(t *testing.T) {
	k := kinds()[ECDHP256]
	env, _, err := unsealWith(seal(t, content(10), AES128CBC, k.cert, people().bob.cert, k.cert), ReadOptions{}, k.recipient())
	if err != nil || env.Recipients != 2 {
		t.Errorf("%v, %+v", err, env)
	}
	other := agreeing("on P-256", ecdh.P384())
	if _, err := NewEnvelopedWriter(io.Discard, Encryption{}, k.cert, other.cert); err == nil {
		t.Error("two certificates of one issuer and serial number")
	}
}
