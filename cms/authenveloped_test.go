package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// authEnvelope is an AuthEnvelopedData made by hand, with the GCM of the standard library.
type authEnvelope struct {
	cek, plain []byte
	infos      [][]byte
	container  oid
	alg        oid
	nonce      []byte
	icvLen     int      // 0: left out
	tagLen     int      // of the mac
	more       []byte   // behind the parameters' fields
	attrs      [][]byte // authAttrs
	attrsTag   string   // of authAttrs, where it is not its own
	spoil      func(ciphertext, mac []byte)
	after      [][]byte // fields behind the mac
}

// authSealed returns one to bob that opens.
func authSealed(t testing.TB, plain []byte) *authEnvelope {
	cek := content(16)
	return &authEnvelope{cek: cek, plain: plain, infos: [][]byte{transportTo(t, people().bob, cek)}, container: oidAuthEnveloped,
		alg: oidAES128GCM, nonce: content(12), icvLen: 16, tagLen: 16, attrsTag: "\xa1"}
}

func (e *authEnvelope) bytes() []byte {
	block, err := aes.NewCipher(e.cek)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, len(e.nonce))
	if err != nil {
		panic(err)
	}
	attrs := encode(func(b *cryptobyte.Builder) { addSetOf(b, asn1.SET, e.attrs) })
	data := attrs
	if e.attrs == nil {
		data = nil
	}
	text := aead.Seal(nil, e.nonce, e.plain, data)
	text, mac := text[:len(e.plain)], text[len(e.plain):]
	mac = append(mac, make([]byte, 4)...)[:e.tagLen]
	if e.spoil != nil {
		e.spoil(text, mac)
	}
	const begin = "\x80"
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin))
		addOID(b, e.container)
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin))
		b.AddASN1Int64(0)
		addSetOf(b, asn1.SET, e.infos)
		b.AddBytes([]byte("\x30" + begin))
		addOID(b, oidData)
		addAlgorithm(b, e.alg, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(e.nonce)
				if e.icvLen != 0 {
					b.AddASN1Int64(int64(e.icvLen))
				}
				b.AddBytes(e.more)
			})
		})
		b.AddBytes([]byte("\xa0" + begin))
		for len(text) > 0 {
			n := min(len(text), 1000)
			b.AddASN1OctetString(text[:n])
			text = text[n:]
		}
		b.AddBytes([]byte(eoc + eoc))
		if e.attrs != nil {
			b.AddBytes([]byte(e.attrsTag))
			b.AddBytes(attrs[1:])
		}
		b.AddASN1OctetString(mac)
		for _, a := range e.after {
			b.AddBytes(a)
		}
		b.AddBytes([]byte(eoc + eoc + eoc))
	})
}

// bothWays opens msg in two passes and in one, which must agree; no plaintext comes out of two passes that fail.
func bothWays(t *testing.T, msg []byte) ([]byte, error) {
	t.Helper()
	got, err := unseal(msg, people().bob.recipient())
	draft, err2 := unsealDraft(msg, people().bob.recipient())
	if err != err2 && (err == nil || err2 == nil || err.Error() != err2.Error()) || err == nil && !bytes.Equal(got, draft) {
		t.Errorf("in two passes %v, in one %v", err, err2)
	}
	if err != nil && len(got) > 0 {
		t.Errorf("%d octets of plaintext, and %v", len(got), err)
	}
	return got, err
}

var dataAttribute = attribute(oidContentType, typeOf(oidData))

// DIR-19: everything that RFC 5083 and RFC 5084 allow, and what of it is refused and how.
func TestAuthEnvelopedFields(t *testing.T) {
	text := content(100_000)
	other := attribute(pkcs9+"\x06", octetString(nil))
	for name, tt := range map[string]struct {
		change func(e *authEnvelope)
		want   error
	}{
		"plain":                 {func(e *authEnvelope) {}, nil},
		"unauthAttrs":           {func(e *authEnvelope) { e.after = [][]byte{{0xa2, 2, 0x30, 0}} }, nil},
		"two unauthAttrs":       {func(e *authEnvelope) { e.after = [][]byte{{0xa2, 0}, {0xa2, 0}} }, ErrDecrypt},
		"unprotectedAttrs":      {func(e *authEnvelope) { e.after = [][]byte{{0xa1, 0}} }, ErrDecrypt},
		"authAttrs":             {func(e *authEnvelope) { e.attrs = [][]byte{dataAttribute} }, nil},
		"authAttrs, more":       {func(e *authEnvelope) { e.attrs = [][]byte{dataAttribute, other} }, nil},
		"authAttrs, empty":      {func(e *authEnvelope) { e.attrs = [][]byte{} }, ErrDecrypt},
		"authAttrs, no type":    {func(e *authEnvelope) { e.attrs = [][]byte{other} }, ErrDecrypt},
		"authAttrs, other type": {func(e *authEnvelope) { e.attrs = [][]byte{attribute(oidContentType, typeOf(oidSigned))} }, ErrDecrypt},
		"authAttrs, two types": {func(e *authEnvelope) {
			e.attrs = [][]byte{dataAttribute, attribute(oidContentType, typeOf(oidSigned))}
		}, ErrDecrypt},
		"authAttrs, too many": {func(e *authEnvelope) {
			e.attrs = [][]byte{dataAttribute}
			for i := range 32 {
				e.attrs = append(e.attrs, attribute(pkcs9+"\x06", octetString([]byte{byte(i)})))
			}
		}, ErrDecrypt},
		"authAttrs, tag of their hash": {func(e *authEnvelope) { e.attrs, e.attrsTag = [][]byte{dataAttribute}, "\x31" }, ErrDecrypt},
		"AES-192 and its key":          {func(e *authEnvelope) { e.rekey(t, oidAES192GCM, 24) }, nil},
		"AES-256 and its key":          {func(e *authEnvelope) { e.rekey(t, oidAES256GCM, 32) }, nil},
		"AES-256 and a short key":      {func(e *authEnvelope) { e.alg = oidAES256GCM }, ErrDecrypt},
	} {
		e := authSealed(t, text)
		tt.change(e)
		got, err := bothWays(t, e.bytes())
		if !errors.Is(err, tt.want) || err == nil && !bytes.Equal(got, text) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func (e *authEnvelope) rekey(t *testing.T, alg oid, n int) {
	e.alg, e.cek = alg, content(n)
	e.infos = [][]byte{transportTo(t, people().bob, e.cek)}
}

// authAttrs stand behind the content and are hashed before it: any change to them is seen, whatever the length of the content.
func TestAuthenticatedAttributes(t *testing.T) {
	for _, n := range []int{0, 1, 16, 17, firstChunk, firstChunk + chunkSize, 3*chunkSize + 5} {
		e := authSealed(t, content(n))
		value := content(1 + n%40)
		e.attrs = [][]byte{dataAttribute, attribute(pkcs9+"\x06", octetString(value))}
		msg := e.bytes()
		if got, err := bothWays(t, msg); err != nil || !bytes.Equal(got, e.plain) {
			t.Errorf("%d octets: %v", n, err)
		}
		msg[bytes.LastIndex(msg, value)] ^= 1
		if _, err := bothWays(t, msg); err != ErrDecrypt {
			t.Errorf("%d octets, an attribute altered: %v", n, err)
		}
	}
}
