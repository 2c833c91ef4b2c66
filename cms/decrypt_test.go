package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// envelope is an EnvelopedData made by hand; its content is encrypted under a known key.
type envelope struct {
	cek        []byte
	originator []byte   // before recipientInfos
	infos      [][]byte // RecipientInfos
	inner      oid      // contentType of encryptedContentInfo
	alg        oid
	padded     []byte   // plaintext with its padding
	segments   []byte   // instead of the ciphertext as a single segment
	after      [][]byte // fields after encryptedContentInfo
}

// sealed returns an envelope to bob that opens.
func sealed(t testing.TB, plain []byte) *envelope {
	pad := 16 - len(plain)%16
	cek := content(16)
	e := &envelope{cek: cek, inner: oidData, alg: oidAES128CBC, padded: append(slices.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)}
	e.infos = [][]byte{transportTo(t, people().bob, cek)}
	return e
}

func transportTo(t testing.TB, p person, cek []byte) []byte {
	t.Helper()
	rid := encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, p.cert) })
	info, _, err := newRecipientInfo(Encryption{Transport: RSAESPKCS1v15, Rand: rand.Reader}, cek, rid, p.cert)
	check(t, err)
	return info
}

// rawTransport is a KeyTransRecipientInfo with any encryptedKey, and the rid by key identifier if there is one.
func rawTransport(p person, keyID []byte, alg oid, encrypted []byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if keyID == nil {
				b.AddASN1Int64(0)
				addIssuerAndSerial(b, p.cert)
			} else {
				b.AddASN1Int64(2)
				b.AddASN1(asn1.Tag(tagContext0), func(b *cryptobyte.Builder) { b.AddBytes(keyID) })
			}
			addAlgorithm(b, alg, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			b.AddASN1OctetString(encrypted)
		})
	})
}

func (e *envelope) bytes() []byte {
	block, err := aes.NewCipher(e.cek)
	if err != nil {
		panic(err)
	}
	iv := make([]byte, 16)
	text := slices.Clone(e.padded)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text[:len(text)/16*16], text[:len(text)/16*16])
	if e.segments == nil {
		e.segments = encode(octetString(text))
	}
	const begin, end = "\x80", "\x00\x00"
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin))
		addOID(b, oidEnveloped)
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin))
		b.AddASN1Int64(2)
		b.AddBytes(e.originator)
		b.AddBytes([]byte("\x31" + begin))
		for _, i := range e.infos {
			b.AddBytes(i)
		}
		b.AddBytes([]byte(end + "\x30" + begin))
		addOID(b, e.inner)
		addAlgorithm(b, e.alg, octetString(iv))
		b.AddBytes([]byte("\xa0" + begin))
		b.AddBytes(e.segments)
		b.AddBytes([]byte(end + end))
		for _, a := range e.after {
			b.AddBytes(a)
		}
		b.AddBytes([]byte(end + end + end))
	})
}

// ATT-04, ATT-05, rows "Bleichenbacher on KTRI" and "CBC padding oracle": whatever is wrong with key, padding or length of the ciphertext, the
// answer is the one value ErrDecrypt, after all of the message has been read.
func TestConstantError(t *testing.T) {
	c := people()
	text := content(100)
	modulus := c.bob.cert.PublicKey.(*rsa.PublicKey).N
	tests := map[string]func(e *envelope){
		"key for another":         func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, encryptTo(t, c.carol, e.cek)) },
		"random encryptedKey":     func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, content(256)) },
		"short encryptedKey":      func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, content(16)) },
		"empty encryptedKey":      func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, nil) },
		"encryptedKey = modulus":  func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, modulus.Bytes()) },
		"key of AES-256":          func(e *envelope) { e.infos[0] = transportTo(t, c.bob, content(32)) },
		"another key":             func(e *envelope) { e.infos[0] = transportTo(t, c.bob, content(16)) },
		"padding 0":               func(e *envelope) { e.padded[len(e.padded)-1] = 0 },
		"padding 17":              func(e *envelope) { e.padded[len(e.padded)-1] = 17 },
		"padding 255":             func(e *envelope) { e.padded[len(e.padded)-1] = 255 },
		"padding longer":          func(e *envelope) { e.padded[len(e.padded)-1]++ },
		"padding spoilt in front": func(e *envelope) { e.padded[100] ^= 1 },
		"padding spoilt behind":   func(e *envelope) { e.padded[110] ^= 1 },
		"no ciphertext":           func(e *envelope) { e.padded = nil },
		"half a block":            func(e *envelope) { e.padded = e.padded[:104] },
		"half a block more":       func(e *envelope) { e.padded = append(e.padded, e.padded[:8]...) },
		"strange segment":         func(e *envelope) { e.segments = []byte{2, 1, 0} },
		"strange field after":     func(e *envelope) { e.after = [][]byte{{2, 1, 0}} },
		"nested bomb":             func(e *envelope) { e.segments = bytes.Repeat([]byte{0x24, 0x80}, 1<<20) },
		"empty segments":          func(e *envelope) { e.segments = bytes.Repeat([]byte{4, 0}, 1001) },
		"empty constructed":       func(e *envelope) { e.segments = bytes.Repeat([]byte{0x24, 0}, 1001) },
		"more than there is":      func(e *envelope) { e.segments = []byte{4, 0x86, 1, 0, 0, 0, 0, 0} },
	}
	for name, change := range tests {
		e := sealed(t, text)
		change(e)
		msg := e.bytes()
		var r io.Reader
		err := patiently(func() (err error) {
			if _, r, err = ReadEnveloped(bytes.NewReader(msg), []Recipient{c.bob.recipient()}, ReadOptions{}); err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			return err
		})
		if err != ErrDecrypt { // the value itself: nothing wrapped
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n, err := r.Read(make([]byte, 8)); n != 0 || err != ErrDecrypt {
			t.Errorf("%s: then %d octets, %v", name, n, err)
		}
	}
	got, err := unseal(sealed(t, text).bytes(), c.bob.recipient())
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("unchanged: %v", err)
	}
}

// patiently repeats what a random key may make succeed: one in 256 of them finds padding in the noise.
func patiently(open func() error) (err error) {
	for range 8 {
		if err = open(); err != nil {
			return err
		}
	}
	return nil
}

func encryptTo(t testing.TB, p person, cek []byte) []byte {
	t.Helper()
	//lint:ignore SA1019 the algorithm under test
	b, err := rsa.EncryptPKCS1v15(rand.Reader, p.cert.PublicKey.(*rsa.PublicKey), cek)
	check(t, err)
	return b
}

// counting counts private operations.
type counting struct {
	crypto.Decrypter
	n   int
	err error
}

func (c *counting) Decrypt(r io.Reader, msg []byte, o crypto.DecrypterOpts) ([]byte, error) {
	if c.n++; c.err != nil {
		return nil, c.err
	}
	return c.Decrypter.Decrypt(r, msg, o)
}

// ATT-04, row "Bleichenbacher on KTRI": one private operation per message, duplicates refused before it, no falling through.
func TestDuplicateRecipients(t *testing.T) {
	c := people()
	text := content(100)
	good := sealed(t, text)
	spoilt := rawTransport(c.bob, nil, oidRSA, content(256))
	byID := rawTransport(c.bob, c.bob.cert.SubjectKeyId, oidRSA, encryptTo(t, c.bob, good.cek))
	carol := transportTo(t, c.carol, good.cek)
	for name, tt := range map[string]struct {
		infos [][]byte
		want  error
		n     int
	}{
		"by issuer":                  {[][]byte{carol, good.infos[0]}, nil, 1},
		"by key identifier":          {[][]byte{carol, byID}, nil, 1},
		"twice":                      {[][]byte{good.infos[0], good.infos[0]}, ErrSyntax, 0},
		"spoilt, then good":          {[][]byte{spoilt, good.infos[0]}, ErrSyntax, 0},
		"by issuer and by key":       {[][]byte{good.infos[0], carol, byID}, ErrSyntax, 0},
		"spoilt, and good for carol": {[][]byte{spoilt, carol}, ErrDecrypt, 1},
		"for others":                 {[][]byte{rawTransport(c.alice, nil, oidRSA, content(256))}, ErrNoKey, 0},
		"OAEP":                       {[][]byte{rawTransport(c.bob, nil, pkcs1+"\x07", content(256)), carol}, ErrAlgorithm, 0},
		"none":                       {nil, ErrSyntax, 0},
		"other kinds, then good":     {[][]byte{{0xa2, 0x80, 0, 0}, {0xa3, 0}, {0xa4, 0}, good.infos[0]}, nil, 1},
		"an unknown kind":            {[][]byte{{0xa5, 0}, good.infos[0]}, ErrSyntax, 0},
	} {
		e := *good
		e.infos = tt.infos
		k := &counting{Decrypter: c.bob.key.(crypto.Decrypter)}
		var got []byte
		open := func() (err error) {
			k.n = 0
			got, err = unseal(e.bytes(), Recipient{c.bob.cert, k}, Recipient{c.carol.cert, k})
			return err
		}
		err := open()
		if tt.want != nil {
			err = patiently(open)
		}
		if !errors.Is(err, tt.want) || k.n != tt.n || err == nil && !bytes.Equal(got, text) {
			t.Errorf("%s: %v after %d private operations, want %v after %d", name, err, k.n, tt.want, tt.n)
		}
	}
}

// A key device that is away makes no bad message; any other complaint of it becomes a random key.
func TestKeyDevice(t *testing.T) {
	c := people()
	msg := seal(t, content(100), AES256CBC, c.bob.cert)
	away := &counting{c.bob.recipient().Key.(crypto.Decrypter), 0, fmt.Errorf("keyring: %w", ErrUnavailable)}
	if _, err := unseal(msg, Recipient{c.bob.cert, away}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("device away: %v", err)
	}
	talks := &counting{c.bob.recipient().Key.(crypto.Decrypter), 0, errors.New("bad padding")}
	if err := patiently(func() error { _, err := unseal(msg, Recipient{c.bob.cert, talks}); return err }); err != ErrDecrypt {
		t.Errorf("device that tells: %v", err)
	}
	if _, err := unseal(msg, Recipient{c.bob.cert, c.carol.recipient().Key}); err == nil || errors.Is(err, ErrDecrypt) {
		t.Errorf("key of another certificate: %v", err)
	}
}

// Fields that are allowed and of no use, and contents that are not allowed.
func TestEnvelopedFields(t *testing.T) {
	c := people()
	text := content(100)
	for name, tt := range map[string]struct {
		change func(e *envelope)
		want   error
	}{
		"originatorInfo":       {func(e *envelope) { e.originator = []byte{0xa0, 0x80, 0xa0, 0x00, 0, 0} }, nil},
		"unprotectedAttrs":     {func(e *envelope) { e.after = [][]byte{{0xa1, 0x02, 0x30, 0x00}} }, nil},
		"two unprotectedAttrs": {func(e *envelope) { e.after = [][]byte{{0xa1, 0}, {0xa1, 0}} }, ErrDecrypt},
		"SignedData inside":    {func(e *envelope) { e.inner = oidSigned }, ErrContentType},
		"3DES":                 {func(e *envelope) { e.alg = "\x2a\x86\x48\x86\xf7\x0d\x03\x07" }, ErrAlgorithm},
		"AES-128-GCM":          {func(e *envelope) { e.alg = nistAlgs + "\x01\x06" }, ErrAlgorithm},
	} {
		e := sealed(t, text)
		tt.change(e)
		got, err := unseal(e.bytes(), c.bob.recipient())
		if !errors.Is(err, tt.want) || err == nil && !bytes.Equal(got, text) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// DIR-19: what openssl can make and we do not take; KARI beside key transport is passed over.
func TestOpenSSLOtherForms(t *testing.T) {
	dir, c := t.TempDir(), people()
	bob, _ := c.bob.files(t, dir)
	ec, _ := c.p256.files(t, dir)
	in := write(t, dir, "content", content(5000))
	for _, tt := range []struct {
		args string
		want error
	}{
		{"-aes128 -recip " + ec + " -recip " + bob, nil},
		{"-aes128 -recip " + ec, ErrNoKey},
		{"-des3 -recip " + bob, ErrAlgorithm},
		{"-camellia128 -recip " + bob, ErrAlgorithm},
		{"-aes-128-gcm -recip " + bob, nil},
		{"-aes128 -recip " + bob + " -keyopt rsa_padding_mode:oaep", nil},
	} {
		for _, stream := range []string{"", "-stream "} {
			args := strings.Fields("cms -encrypt -binary -outform DER -in " + in + " " + stream + tt.args)
			if _, err := unseal(run(t, "openssl", args...), c.bob.recipient()); !errors.Is(err, tt.want) {
				t.Errorf("%s%s: %v, want %v", stream, tt.args, err, tt.want)
			}
		}
	}
}

// DIR-19; ATT-21, row "RSA/EC parameter DoS": recipients whose keys are too weak or of another kind are refused.
func TestRecipientRefused(t *testing.T) {
	c := people()
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	small := certify("small", weak, &c.ca)
	for name, certs := range map[string][]*x509.Certificate{
		"1024 bits":      {c.bob.cert, small.cert},
		"elliptic curve": {certify("p521", ecKey(elliptic.P521()), &c.ca).cert},
		"even exponent":  {{PublicKey: &rsa.PublicKey{N: c.bob.cert.PublicKey.(*rsa.PublicKey).N, E: 4}, RawIssuer: c.bob.cert.RawIssuer, SerialNumber: c.bob.cert.SerialNumber}},
	} {
		if _, err := NewEnvelopedWriter(io.Discard, Encryption{Cipher: AES128CBC}, certs...); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewEnvelopedWriter(io.Discard, Encryption{Cipher: SHA256}, c.bob.cert); !errors.Is(err, ErrAlgorithm) {
		t.Error("no cipher:", err)
	}
	if _, err := NewEnvelopedWriter(io.Discard, Encryption{}); err == nil {
		t.Error("no recipient")
	}
	e := sealed(t, nil)
	e.infos[0] = rawTransport(small, nil, oidRSA, content(128))
	if _, err := unseal(e.bytes(), small.recipient()); !errors.Is(err, ErrAlgorithm) {
		t.Error("1024 bits of our own:", err)
	}
	if err := verifyWith(t, small); !errors.Is(err, ErrAlgorithm) {
		t.Error("signed with 1024 bits:", err)
	}
}

// verifyWith verifies a signature that p made.
func verifyWith(t testing.TB, p person) error {
	f := honest(sum(someText))
	f.who, f.certs = p, [][]byte{p.cert.Raw}
	return verify(f.bytes(t), sum(someText))
}
