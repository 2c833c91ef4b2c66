package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// What hostile input of a megabyte may cost: no more memory than this, in all that is ever asked for.
const (
	megabyte   = 1 << 20
	mostMemory = 64 << 20
)

// spent returns what f asks of memory in all, whether or not it is given back.
func spent(f func()) uint64 {
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	f()
	runtime.ReadMemStats(&m1)
	return m1.TotalAlloc - m0.TotalAlloc
}

// repeated reads the same bytes n times: a bomb that takes no memory of the test's.
type repeated struct {
	unit []byte
	n    int // how often, still
	rest []byte
	read int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.rest = r.unit
		r.n--
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.read += int64(n)
	return n, nil
}

// elements returns where in ber, of definite and indefinite lengths, elements begin or end.
func elements(ber []byte) (at []int) {
	for off := 0; off+2 <= len(ber); {
		at = append(at, off)
		tag, n, head := ber[off], int(ber[off+1]), 2
		if n > 0x80 {
			head, n = 2+n&0x7f, 0
			for _, b := range ber[off+2 : off+head] {
				n = n<<8 | int(b)
			}
		}
		if off += head; tag&constructed == 0 && n != 0x80 {
			off += n
		}
	}
	return at
}

// ATT-20, "deep nesting": four megabytes of open brackets at every place where an element can stand, in every kind of message, of every
// kind of bracket, closed or not. The process lives, takes next to no memory, and does not even read on.
func TestBombEverywhere(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer(), c.p256.signer())
	check(t, err)
	f := honest(sum(someText))
	f.unsigned = [][]byte{attribute(pkcs9+"\x06", octetString(nil))}
	e := sealed(t, content(100))
	e.originator, e.after = []byte{0xa0, 0x80, 0xa0, 0, 0, 0}, [][]byte{{0xa1, 0}}
	e.infos = append(e.infos, []byte{0xa2, 0x80, 0xa0, 0, 0, 0})
	agreed := sealed(t, content(100))
	k := kariTo(kinds()[ECDHP256], ECDHP256)
	k.ukm, k.rid = content(8), keyIdentifier(k.to.cert.SubjectKeyId, []byte("\x18\x0f20260504120000Z\x30\x00")...)
	agreed.infos = [][]byte{toBER(k.bytes(t, agreed.cek), 6), {0xa4, 0x80, 0, 0}}
	a := authSealed(t, content(100))
	a.attrs, a.after = [][]byte{dataAttribute}, [][]byte{{0xa2, 0x80, 0xa0, 0, 0, 0}}
	const deep = 1 << 12
	definite := nest(deep)
	for name, msg := range map[string][]byte{
		"two signers": toBER(p7s, 4), "unsigned attributes": toBER(f.bytes(t), 5), "all BER": toBER(p7s, 20),
		"enveloped": e.bytes(), "authenticated": a.bytes(), "compressed": compress(t, someText), "by key agreement": agreed.bytes(),
		"opaque": toBER(opaqueBy(t, someText, c.alice), 7),
	} {
		for i, at := range elements(msg) {
			if i%3 != 0 && os.Getenv("CAREPOST_FULL") == "" {
				continue
			}
			for _, unit := range []string{"\x30\x80", "\x31\x80", "\x24\x80", "\xa0\x80", "\xa1\x80", "\xbe\x80", "\x30\x80\x30\x00", "\x3f\x1f\x80"} {
				bomb := &repeated{unit: bytes.Repeat([]byte(unit), 2048), n: 4 << 20 / (2048 * len(unit))}
				bombed(t, name, at, bomb, func() io.Reader { return io.MultiReader(bytes.NewReader(msg[:at]), bomb) })
			}
			bomb := &repeated{unit: definite, n: 1}
			bombed(t, name+", definite", at, bomb, func() io.Reader {
				return io.MultiReader(bytes.NewReader(msg[:at]), bomb, bytes.NewReader(msg[at:]))
			})
		}
	}
}

// bombed reads the source as everything there is; wrong is only a panic, memory, and reading on.
func bombed(t *testing.T, name string, at int, bomb *repeated, source func() io.Reader) {
	t.Helper()
	n := bomb.n
	for _, read := range readers {
		bomb.n, bomb.rest, bomb.read = n, nil, 0
		var err error
		if mem := spent(func() { err = read(source()) }); mem > 2<<20 {
			t.Errorf("%s, bomb at %d: %d octets of memory", name, at, mem)
		}
		if !known(err) {
			t.Errorf("%s, bomb at %d: %v", name, at, err)
		}
		if bomb.read > megabyte+64<<10 {
			t.Errorf("%s, bomb at %d: read on for %d octets: %v", name, at, bomb.read, err)
		}
	}
}

// readers read a message of any kind to its end, with a key of each kind and all certificates that signers mean.
var readers = []func(io.Reader) error{
	func(r io.Reader) error {
		s, err := ReadSigned(r, ReadOptions{})
		if err == nil {
			for i := range s.Signers {
				for _, cert := range s.Candidates(i) {
					err = errors.Join(err, s.Verify(i, cert, sum(someText)))
				}
			}
		}
		return err
	},
	func(r io.Reader) error {
		keys := []Recipient{{people().bob.cert, fixed{people().bob.key.(crypto.Decrypter)}}}
		for _, how := range []Algorithm{ECDHP256, ECDHP384, ECDHX25519} {
			keys = append(keys, kinds()[how].recipient())
		}
		_, plain, err := ReadEnveloped(r, keys, ReadOptions{Draft: true})
		if err == nil {
			_, err = io.Copy(io.Discard, plain)
		}
		return err
	},
	func(r io.Reader) error {
		o, err := ReadOpaque(r, ReadOptions{})
		if err == nil {
			_, err = io.Copy(io.Discard, o)
		}
		return err
	},
	func(r io.Reader) error {
		plain, err := ReadCompressed(r, lenient)
		if err == nil {
			_, err = io.Copy(io.Discard, plain)
		}
		return err
	},
}

// megabytes are messages of nearly a megabyte each that cost the most they can.
func megabytes(t *testing.T) map[string][]byte {
	c := people()
	signed := func(change func(*forgery)) []byte {
		f := honest(sum(someText))
		change(f)
		return f.bytes(t)
	}
	enveloped := func(change func(*envelope)) []byte {
		e := sealed(t, content(100))
		change(e)
		return e.bytes()
	}
	fill := func(unit string) []byte { return bytes.Repeat([]byte(unit), 1_000_000/len(unit)) }
	certificate := func(id asn1.ObjectIdentifier, unit string, size int) []byte {
		names, err := asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: bytes.Repeat([]byte(unit), size/len(unit))})
		check(t, err)
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(5), NotBefore: now, NotAfter: now.Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: id, Value: names}}}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, c.ca.cert, c.p256.key.Public(), c.ca.key)
		check(t, err)
		return der
	}
	altNames, usage := asn1.ObjectIdentifier{2, 5, 29, 17}, asn1.ObjectIdentifier{2, 5, 29, 37}
	attr := func(v []byte) []byte {
		return attribute(pkcs9+"\x06", func(b *cryptobyte.Builder) { b.AddBytes(v) })
	}
	rid := encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, c.bob.cert) })
	return map[string][]byte{
		"a certificate of empty URIs": signed(func(f *forgery) { f.certs = append(f.certs, certificate(altNames, "\x86\x00", 990_000)) }),
		"certificates of empty URIs": signed(func(f *forgery) {
			f.certs = append(f.certs, slices.Repeat([][]byte{certificate(altNames, "\x86\x00", 30_000)}, 33)...)
		}),
		"certificates within their limit": signed(func(f *forgery) {
			f.certs = append(f.certs, slices.Repeat([][]byte{certificate(altNames, "\x86\x00", 30_000)}, 8)...)
		}),
		"certificates of URIs": signed(func(f *forgery) {
			f.certs = append(f.certs, slices.Repeat([][]byte{certificate(altNames, "\x86\x01a", 30_000)}, 8)...)
		}),
		"certificates of usages": signed(func(f *forgery) {
			f.certs = append(f.certs, slices.Repeat([][]byte{certificate(usage, "\x06\x01\x2a", 30_000)}, 8)...)
		}),
		"certificates of two octets":        signed(func(f *forgery) { f.certs = append(f.certs, fill("\x30\x00")) }),
		"certificates of indefinite length": signed(func(f *forgery) { f.certs = append(f.certs, fill("\x30\x80\x00\x00")) }),
		"algorithms in digestAlgorithms":    signed(func(f *forgery) { f.announced = slices.Repeat(f.announced, 50_000) }),
		"values of an attribute":            signed(func(f *forgery) { f.add(attr(fill("\x05\x00"))) }),
		"attributes":                        signed(func(f *forgery) { f.add(fill("\x30\x04\x06\x01\x2a\x31\x00")) }),
		"unsigned attributes":               signed(func(f *forgery) { f.unsigned = [][]byte{fill("\x30\x05\x06\x01\x2a\x31\x00")} }),
		"values unsigned":                   signed(func(f *forgery) { f.unsigned = [][]byte{attr(fill("\x05\x00"))} }),
		"one attribute":                     signed(func(f *forgery) { f.add(attr(encode(octetString(make([]byte, 990_000))))) }),
		"recipients of two octets":          enveloped(func(e *envelope) { e.infos = append(e.infos, fill("\xa1\x00")) }),
		"recipients, BER":                   enveloped(func(e *envelope) { e.infos = append(e.infos, fill("\xa1\x80\x00\x00")) }),
		"recipients of one kind": enveloped(func(e *envelope) {
			e.infos = slices.Repeat([][]byte{rawTransport(c.alice, nil, oidRSA, content(256))}, 2000)
		}),
		"an encryptedKey in pieces": enveloped(func(e *envelope) {
			e.infos[0] = slices.Concat([]byte("\x30\x80\x02\x01\x00"), rid, []byte("\x30\x0d\x06\x09"+string(oidRSA)+"\x05\x00\x24\x80"), fill("\x04\x01x"), []byte("\x00\x00\x00\x00"))
		}),
		"segments of an octet":    enveloped(func(e *envelope) { e.segments = fill("\x04\x01x") }),
		"segments without octets": enveloped(func(e *envelope) { e.segments = fill("\x04\x00") }),
		"segments, nested":        enveloped(func(e *envelope) { e.segments = fill("\x24\x80\x04\x01x\x00\x00") }),
		"unprotectedAttrs": enveloped(func(e *envelope) {
			e.after = [][]byte{slices.Concat([]byte{0xa1, 0x80}, fill("\x30\x00"), []byte{0, 0})}
		}),
		"originatorInfo": enveloped(func(e *envelope) {
			e.originator = slices.Concat([]byte{0xa0, 0x80}, fill("\x30\x80\x00\x00"), []byte{0, 0})
		}),
		"promises of a megabyte": enveloped(func(e *envelope) { e.infos = [][]byte{[]byte("\x30\x80\x02\x01\x00\x30\x83\x0f\xff\xf0")} }),
		"recipient's issuer large": enveloped(func(e *envelope) {
			e.infos = append(e.infos, slices.Concat([]byte("\x30\x80\x02\x01\x00\x30\x80\x30\x83\x0e\x00\x00"), make([]byte, 0xe0000)))
		}),
	}
}

// ATT-20: whatever a megabyte holds, it takes less than 64 MB of memory in all, and at once gives its answer.
func TestMegabytes(t *testing.T) {
	for name, msg := range megabytes(t) {
		if len(msg) > megabyte+megabyte/16 {
			t.Fatalf("%s: %d octets", name, len(msg))
		}
		for i, read := range readers {
			var err error
			took, mem := cost(func() { err = read(bytes.NewReader(msg)) })
			if mem > mostMemory || took > 2*time.Second {
				t.Errorf("%s, reader %d: %d MB of memory, %v: %v", name, i, mem>>20, took, err)
			}
			if !known(err) {
				t.Errorf("%s, reader %d: %v", name, i, err)
			}
		}
	}
}
