package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readBoth reads msg as either container, to the end.
func readBoth(msg []byte, lim Limits) (signed, enveloped error) {
	_, signed = ReadSigned(bytes.NewReader(msg), ReadOptions{Limits: lim})
	_, r, enveloped := ReadEnveloped(bytes.NewReader(msg), []Recipient{people().bob.recipient()}, ReadOptions{Limits: lim})
	if enveloped == nil {
		_, enveloped = io.Copy(io.Discard, r)
	}
	return signed, enveloped
}

// ATT-20, row "deep nesting": 4 MB of 30 80 kill the libraries of facts §1. Here: an error, at once, in little memory, wherever it stands.
func TestNestingBomb(t *testing.T) {
	people()
	bomb := bytes.Repeat([]byte{0x30, 0x80}, 2<<20)
	definite := nest(12)
	head := func(id oid) []byte {
		return encode(func(b *cryptobyte.Builder) {
			b.AddBytes([]byte("\x30\x80"))
			addOID(b, id)
			b.AddBytes([]byte("\xa0\x80\x30\x80\x02\x01\x01"))
		})
	}
	before := func(prefix string, id oid) []byte { return append(append(head(id), prefix...), bomb...) }
	certs := before("\x31\x00\x30\x0b\x06\x09"+string(oidData)+"\xa0\x80", oidSigned)
	crls := before("\x31\x00\x30\x0b\x06\x09"+string(oidData)+"\xa1\x80", oidSigned)
	f := honest(sum(someText))
	f.add(append([]byte{0x30, 0x84, 0, 0, 0, 0, 6, 1, 0x2a, 0x31}, definite...))
	for name, msg := range map[string][]byte{
		"bare":               bomb,
		"digestAlgorithms":   before("\x31\x80", oidSigned),
		"certificates":       certs,
		"crls":               crls,
		"originatorInfo":     before("\xa0\x80", oidEnveloped),
		"recipientInfos":     before("\x31\x80", oidEnveloped),
		"kari":               before("\x31\x80\xa1\x80", oidEnveloped),
		"signedAttrs":        f.bytes(t),
		"octets in octets":   before("\x31\x80\x30\x80\x02\x01\x02\xa0\x80", oidEnveloped),
		"definite, all deep": nest(1 << 18),
	} {
		var signed, enveloped error
		took, n := cost(func() { signed, enveloped = readBoth(msg, Limits{}) })
		if signed == nil && name != "signedAttrs" || enveloped == nil {
			t.Errorf("%s: accepted", name)
		}
		if took > time.Second || n > 4<<20 {
			t.Errorf("%s: %v and %d octets", name, took, n)
		}
	}
}

// An attribute that nobody understands may have values; half a million of them cost memory many times their length.
func TestManyValues(t *testing.T) {
	for n, want := range map[int]error{32: nil, 33: ErrAttributes, 400_000: ErrAttributes} {
		f := honest(sum(someText))
		f.add(attribute(pkcs9+"\x06", func(b *cryptobyte.Builder) { b.AddBytes(bytes.Repeat([]byte{5, 0}, n)) }))
		msg := f.bytes(t)
		var err error
		if took, mem := cost(func() { err = verify(msg, sum(someText)) }); took > time.Second || mem > 4<<20 {
			t.Errorf("%d values: %v and %d octets", n, took, mem)
		}
		if !errors.Is(err, want) {
			t.Errorf("%d values: %v", n, err)
		}
	}
}

// cost says how long f takes and what memory it asks for in all: the best of three, as the machine has other work.
func cost(f func()) (took time.Duration, mem uint64) {
	took = time.Hour
	for range 3 {
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		start := time.Now()
		f()
		took = min(took, time.Since(start))
		runtime.ReadMemStats(&m1)
		mem = m1.TotalAlloc - m0.TotalAlloc
	}
	return took, mem
}

// nest returns n SEQUENCEs, one inside the other, of definite length.
func nest(n int) []byte {
	var b []byte
	for range n {
		b = append(b, 0x30, 0x84, 0, 0, 0, 0)
	}
	for i := range n {
		rest := len(b) - 6*(i+1)
		b[6*i+2], b[6*i+3], b[6*i+4], b[6*i+5] = byte(rest>>24), byte(rest>>16), byte(rest>>8), byte(rest)
	}
	return b
}

// A cut at every octet is an error: never a success, never a panic, and never another error than a cut deserves.
func TestTruncation(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer(), c.p256.signer())
	check(t, err)
	for _, msg := range [][]byte{p7s, toBER(p7s, 4)} {
		for n := range msg {
			if signed, _ := readBoth(msg[:n], Limits{}); !errors.Is(signed, ErrSyntax) {
				t.Fatalf("signature cut at %d of %d: %v", n, len(msg), signed)
			}
		}
	}
	text := content(300)
	msg := seal(t, text, AES256CBC, c.bob.cert)
	inContent := false
	for n := range msg {
		_, err := unseal(msg[:n], c.bob.recipient())
		inContent = inContent || err == ErrDecrypt
		if inContent && err != ErrDecrypt || !errors.Is(err, ErrSyntax) && err != ErrDecrypt {
			t.Fatalf("message cut at %d of %d: %v", n, len(msg), err)
		}
	}
	if !inContent {
		t.Error("never came to the content")
	}
}

// ATT-20, row "bytes after ContentInfo".
func TestTrailingBytes(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer())
	check(t, err)
	msg := seal(t, someText, AES256CBC, c.bob.cert)
	for _, tail := range []string{"\x00", "\x00\x00", "\n", "\x30\x80"} {
		if signed, _ := readBoth(append(slices.Clone(p7s), tail...), Limits{}); !errors.Is(signed, ErrSyntax) {
			t.Errorf("after SignedData: %v", signed)
		}
		if _, enveloped := readBoth(append(slices.Clone(msg), tail...), Limits{}); enveloped != ErrDecrypt {
			t.Errorf("after EnvelopedData: %v", enveloped)
		}
	}
}

// Changes of single octets: no panic, and nothing that opens without a key.
func TestFlips(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.p256.signer())
	check(t, err)
	msg := seal(t, someText, AES256CBC, c.bob.cert)
	keep := []Recipient{{c.bob.cert, &counting{Decrypter: c.bob.recipient().Key.(crypto.Decrypter), err: errors.New("spare the time")}}}
	s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
	check(t, err)
	attrs := bytes.Index(p7s, s.Signers[0].attrs.der[1:]) // up to the end, all but the signature's algorithm is protected
	for i := range p7s {
		for _, x := range []byte{1, 0x20, 0x80, 0xff} {
			p7s[i] ^= x
			if err := verify(p7s, sum(someText)); err == nil && i >= attrs {
				t.Errorf("octet %d: verified", i)
			}
			p7s[i] ^= x
		}
	}
	for i := range msg {
		for _, x := range []byte{1, 0x20, 0x80, 0xff} {
			msg[i] ^= x
			if got, err := unseal(msg, keep...); err == nil && bytes.Equal(got, someText) {
				t.Errorf("octet %d: opened without a key", i)
			}
			msg[i] ^= x
		}
	}
}

// toBER gives indefinite length to the constructed encodings of the first levels.
func toBER(der []byte, levels int) []byte {
	var out []byte
	s := cryptobyte.String(der)
	for !s.Empty() {
		var whole, content cryptobyte.String
		var tag asn1.Tag
		at := s
		if !s.ReadAnyASN1Element(&whole, &tag) || !at.ReadAnyASN1(&content, &tag) {
			panic("no DER")
		}
		if levels == 0 || byte(tag)&constructed == 0 {
			out = append(out, whole...)
			continue
		}
		out = append(append(append(out, byte(tag), 0x80), toBER(content, levels-1)...), 0, 0)
	}
	return out
}

// BER where RFC 5652 allows it: indefinite lengths, long lengths, strings in pieces.
func TestBERForms(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer())
	check(t, err)
	check(t, verify(toBER(p7s, 4), sum(someText)))
	// The outermost length in eight octets.
	rest := p7s[4:]
	long := append([]byte{0x30, 0x88, 0, 0, 0, 0, 0, 0, byte(len(rest) >> 8), byte(len(rest))}, rest...)
	check(t, verify(long, sum(someText)))
	// AlgorithmIdentifiers and certificates stay DER.
	if err := verify(toBER(p7s, 5), sum(someText)); err == nil {
		t.Error("BER in algorithm identifiers")
	}
	text := content(40)
	e := sealed(t, text)
	whole := e.bytes()
	at := bytes.Index(whole, e.segments) + 2
	ct := whole[at : at+48]
	e.segments = slices.Concat([]byte{0x24, 0x80, 4, 5}, ct[:5], []byte{0x24, 0x82, 0, 4, 4, 2}, ct[5:7], []byte{0, 0, 4, 0, 4, 0x81, 41}, ct[7:])
	got, err := unseal(e.bytes(), c.bob.recipient())
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("segments in segments: %v", err)
	}
}

// ATT-20, row "giant lengths, huge OID, high tag numbers, missing EOC, empty segments": each limit of type Limits, just passed.
func TestLimits(t *testing.T) {
	c := people()
	infos := func(n int) []byte {
		e := sealed(t, nil)
		e.infos = slices.Repeat([][]byte{{0xa2, 0}}, n)
		return e.bytes()
	}
	attr := func(value []byte) []byte {
		f := honest(sum(someText))
		f.unsigned = [][]byte{attribute(pkcs9+"\x06", octetString(value))}
		return f.bytes(t)
	}
	many := honest(sum(someText))
	many.unsigned = slices.Repeat([][]byte{attribute(pkcs9+"\x06", octetString(nil))}, 33)
	serial := rawTransport(c.bob, nil, oidRSA, nil)
	serial = slices.Concat([]byte{0x30, 0x1f, 2, 1, 0, 0x30, 0x1a, 0x30, 0, 2, 22, 1}, make([]byte, 21), serial)
	tooLong := sealed(t, nil)
	tooLong.infos = [][]byte{serial}
	for name, tt := range map[string]struct {
		msg  []byte
		want error
	}{
		"tag of two octets":       {[]byte{0x3f, 0x81, 0x01, 0x00}, ErrLimit},
		"nine length octets":      {[]byte{0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ErrLimit},
		"length 2^62":             {[]byte{0x30, 0x88, 0x40, 0, 0, 0, 0, 0, 0, 0}, ErrLimit},
		"length 2^62-1":           {[]byte{0x30, 0x88, 0x3f, 255, 255, 255, 255, 255, 255, 255}, ErrSyntax},
		"length octet 0xff":       {[]byte{0x30, 0xff}, ErrLimit},
		"primitive, indefinite":   {[]byte{0x10, 0x80}, ErrSyntax},
		"object identifier long":  {append([]byte{0x30, 0x80, 6, 65}, bytes.Repeat([]byte{1}, 65)...), ErrLimit},
		"object identifier arcs":  {append([]byte{0x30, 0x80, 6, 20}, bytes.Repeat([]byte{1}, 20)...), ErrLimit},
		"object identifier empty": {[]byte{0x30, 0x80, 6, 0}, ErrSyntax},
		"object identifier cut":   {[]byte{0x30, 0x80, 6, 1, 0x81}, ErrSyntax},
		"end out of place":        {[]byte{0x30, 0x0d, 0, 0}, ErrSyntax},
		"end with a length":       {[]byte{0x30, 0x80, 0, 1, 0}, ErrSyntax},
		"end with a long length":  {[]byte{0x30, 0x80, 0, 0x81, 0}, ErrSyntax},
		"over the end":            {[]byte{0x30, 0x03, 6, 9, 0}, ErrSyntax},
		"1001 RecipientInfos":     {infos(1001), ErrLimit},
		"1000 RecipientInfos":     {infos(1000), ErrNoKey},
		"1 MiB of attribute":      {attr(make([]byte, 1<<20)), ErrLimit},
		"33 unsigned attributes":  {many.bytes(t), ErrLimit},
		"serial of 22 octets":     {tooLong.bytes(), ErrLimit},
	} {
		signed, enveloped := readBoth(tt.msg, Limits{})
		if !errors.Is(signed, tt.want) && !errors.Is(enveloped, tt.want) {
			t.Errorf("%s: %v; %v", name, signed, enveloped)
		}
	}
	if _, err := ReadSigned(bytes.NewReader(attr(make([]byte, 1<<19))), ReadOptions{}); err != nil {
		t.Errorf("half a MiB of attribute: %v", err)
	}
	if _, err := ReadSigned(bytes.NewReader(attr(make([]byte, 1<<19))), ReadOptions{Limits: Limits{HeaderBytes: 1 << 18}}); !errors.Is(err, ErrLimit) {
		t.Errorf("half a MiB of attribute under a limit: %v", err)
	}
}

// failing gives an error of its own after some octets.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// A disk that fails says nothing of the message: its error comes through, wherever it happens.
func TestReaderErrors(t *testing.T) {
	c := people()
	disk := errors.New("disk")
	msg := seal(t, content(1000), AES256CBC, c.bob.cert)
	for _, n := range []int{0, 1, 50, len(msg) - 700, len(msg) - 3, len(msg)} {
		_, r, err := ReadEnveloped(&failing{bytes.NewReader(msg[:n]), disk}, []Recipient{c.bob.recipient()}, ReadOptions{})
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, disk) || errors.Is(err, ErrDecrypt) {
			t.Errorf("after %d octets: %v", n, err)
		}
	}
	w, err := NewEnvelopedWriter(full{}, Encryption{Cipher: AES128CBC}, c.bob.cert)
	check(t, err)
	w.Write(content(segmentSize))
	if err := w.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("full disk: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
