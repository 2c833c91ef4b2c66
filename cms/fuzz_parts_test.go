package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/cryptobyte"
)

// walked is an element as the BER reader tells it, without how its length was written.
type walked struct {
	depth int
	tag   byte
	value string // of a primitive one
}

// walk reads all that there is with the parser.
func walk(src io.Reader, lim Limits) (all []walked, err error) {
	p := newParser(src, ReadOptions{Limits: lim})
	for {
		e, ok, err := p.next()
		if err != nil {
			return nil, err
		}
		switch {
		case !ok:
		case e.tag&constructed != 0:
			all = append(all, walked{depth: len(p.stack), tag: e.tag})
			err = p.enter(e)
		default:
			var b []byte
			b, err = p.content(e)
			all = append(all, walked{len(p.stack), e.tag, string(b)})
		}
		if err != nil {
			return nil, err
		}
		if len(p.stack) == 0 {
			return all, p.finish()
		}
	}
}

// unmarshalled is the same by the standard library, which reads DER alone.
func unmarshalled(der []byte, depth int) (all []walked, ok bool) {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil || v.Tag > 30 || v.FullBytes[0] == 0 || depth > 15 {
			return nil, false
		}
		w := walked{depth: depth, tag: v.FullBytes[0]}
		if !v.IsCompound {
			w.value = string(v.Bytes)
		}
		all = append(all, w)
		if v.IsCompound {
			kids, ok := unmarshalled(v.Bytes, depth+1)
			if !ok {
				return nil, false
			}
			all = append(all, kids...)
		}
		der = rest
	}
	return all, true
}

// FuzzBER: what the standard library takes for DER the reader takes for the same; what it reads is the same octet by octet, and again
// when it is put together in definite and in indefinite lengths.
func FuzzBER(f *testing.F) {
	seed(f, "signed", "opaque", "enveloped", "compressed")
	f.Add([]byte("\x30\x80\x24\x80\x04\x01a\x00\x00\x00\x00"))
	f.Add(nest(14))
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer frugal(t, heap(), len(msg))
		got, err := walk(bytes.NewReader(msg), Limits{})
		again, err2 := walk(iotest.OneByteReader(bytes.NewReader(msg)), Limits{})
		if !known(err) || (err == nil) != (err2 == nil) || !slices.Equal(got, again) {
			t.Fatalf("%v; octet by octet %v", err, err2)
		}
		want, der := unmarshalled(msg, 0)
		roots := 0
		for _, w := range want {
			if w.depth == 0 {
				roots++
			}
		}
		if der && roots == 1 && len(msg) < 1<<20 && (err != nil || !slices.Equal(got, want)) {
			t.Fatalf("DER is read as %v, %v; want %v", got, err, want)
		}
		if err != nil {
			return
		}
		definite := together(got)
		if again, err := walk(bytes.NewReader(definite), Limits{}); err != nil || !slices.Equal(got, again) {
			t.Fatalf("put together: %v", err)
		}
		if again, err := walk(bytes.NewReader(toBER(definite, 20)), Limits{}); err != nil || !slices.Equal(got, again) {
			t.Fatalf("put together in indefinite lengths: %v", err)
		}
	})
}

// together is the reverse of walk, in definite lengths.
func together(all []walked) []byte {
	root := &node{tag: tagSequence}
	path := []*node{root}
	for _, w := range all {
		n := &node{tag: w.tag, val: []byte(w.value)}
		path = append(path[:w.depth+1], n)
		path[w.depth].kids = append(path[w.depth].kids, n)
	}
	return root.kids[0].bytes()
}

// FuzzReadOpaque: the content comes the same in any pieces, never more than there is, and a signature that holds holds over it alone.
func FuzzReadOpaque(f *testing.F) {
	seed(f, "opaque", "signed")
	lenient := ReadOptions{Algorithms: Lenient.Algorithms()}
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer frugal(t, heap(), len(msg))
		read := func(r io.Reader) (got []byte, s *SignedData, err error) {
			o, err := ReadOpaque(r, lenient)
			if err != nil {
				return nil, nil, err
			}
			if got, err = io.ReadAll(o); err != nil {
				if s, err := o.Signed(); s != nil || err == nil {
					t.Fatal("signatures of half a message")
				}
				return nil, nil, err
			}
			s, err = o.Signed()
			return got, s, err
		}
		got, s, err := read(bytes.NewReader(msg))
		again, _, err2 := read(iotest.OneByteReader(bytes.NewReader(msg)))
		if !known(err) && !errors.Is(err, ErrDetached) && !errors.Is(err, ErrCertificates) || (err == nil) != (err2 == nil) || !bytes.Equal(got, again) {
			t.Fatalf("%v; octet by octet %v", err, err2)
		}
		if err != nil {
			return
		}
		if len(got) > len(msg) {
			t.Fatalf("%d octets out of %d", len(got), len(msg))
		}
		others := everySum(append(got, 'x'))
		for i, info := range s.Signers {
			for _, cert := range s.Candidates(i) {
				if s.Verify(i, cert, others[info.Hash]) == nil {
					t.Fatal("verified over other content")
				}
			}
		}
	})
}

// algorithmIn reads an AlgorithmIdentifier that is all of der.
func algorithmIn(der []byte) (algorithmIdentifier, bool) {
	s := cryptobyte.String(der)
	var content cryptobyte.String
	if !s.ReadASN1(&content, tagSequence) || !s.Empty() {
		return algorithmIdentifier{}, false
	}
	a, err := parseAlgorithm(content)
	return a, err == nil
}

// FuzzParameters feeds an AlgorithmIdentifier to everything that reads parameters. What is accepted is of the table, and what we would
// write for it is read as the same.
func FuzzParameters(f *testing.F) {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		f.Add(signatureIdentifier(RSAPSS, h))
	}
	for x := RSAESPKCS1v15; x <= RSAESOAEPSHA512; x++ {
		f.Add(encode(func(b *cryptobyte.Builder) { addTransport(b, x) }))
	}
	f.Add(encode(func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidStdDHSHA256, func(b *cryptobyte.Builder) { addAlgorithm(b, wrapOID(128), nil) })
	}))
	f.Add(encode(func(b *cryptobyte.Builder) { addAlgorithm(b, oidAES128CBC, octetString(make([]byte, 16))) }))
	for _, kind := range []string{"signed", "enveloped"} {
		for _, msg := range peersMessages(f, kind) {
			apart(f, msg).walk(func(p *node, i int) {
				if p.kids[i].isAlgorithm() {
					f.Add(p.kids[i].bytes())
				}
			})
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		defer frugal(t, heap(), len(der))
		a, ok := algorithmIn(der)
		if !ok {
			return
		}
		if s := schemeOf(a); s.algorithm == RSAPSS {
			if s.salt < 1 || s.salt > maxRSABits/8 || s.digest.hash() == 0 {
				t.Fatalf("%+v", s)
			}
			if s.digest != SHA1 && s.salt == s.digest.hash().Size() {
				again, _ := algorithmIn(signatureIdentifier(RSAPSS, s.digest.hash()))
				if schemeOf(again) != s {
					t.Fatalf("%+v is written as %+v", s, schemeOf(again))
				}
			}
		}
		if x, mask := transportOf(a); x != 0 && mask == x && x != RSAESOAEPSHA1 { // that one is never written
			again, _ := algorithmIn(encode(func(b *cryptobyte.Builder) { addTransport(b, x) }))
			if back, _ := transportOf(again); back != x {
				t.Fatalf("%v is written as %v", x, back)
			}
		}
		if bits := wrapBits(a.params); bits != 0 {
			for _, c := range []Algorithm{ECDHP256, ECDHX25519} {
				if kdf := (curve{how: c}).derivation(a.oid); kdf.hash != 0 {
					if kek, err := kdf.derive(make([]byte, 32), nil, a.params, bits); err != nil || len(kek) != bits/8 {
						t.Fatalf("%d octets, %v", len(kek), err)
					}
				}
			}
		}
		if nonce, n, ok := gcmParameters(a.params); ok && (len(nonce) != 12 || n < 12 || n > 16) {
			t.Fatalf("a nonce of %d, a tag of %d", len(nonce), n)
		}
		if iv, ok := cbcParameters(a.params); ok && len(iv) != 16 {
			t.Fatalf("an IV of %d", len(iv))
		}
	})
}

// FuzzCapabilities: those that are read are known, each once, and what we write for them is read as the same.
func FuzzCapabilities(f *testing.F) {
	f.Add(encode(func(b *cryptobyte.Builder) {
		addCapabilities(b, []Algorithm{AES256GCM, AES128CBC, RSAESOAEPSHA1, RSAESOAEPSHA512, ZLIB})
	})[2:])
	for _, msg := range peersMessages(f, "signed") {
		apart(f, msg).walk(func(p *node, i int) {
			if p.kids[i].tag == tagOID && string(p.kids[i].val) == string(oidCapabilities) && len(p.kids) == 2 {
				f.Add(p.kids[1].kids[0].bytes()[2:])
			}
		})
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		defer frugal(t, heap(), len(content))
		known := parseCapabilities(content)
		for i, x := range known {
			if x == 0 || x >= algorithms || slices.Contains(known[:i], x) {
				t.Fatalf("%v", known)
			}
		}
		list := cryptobyte.String(encode(func(b *cryptobyte.Builder) { addCapabilities(b, known) }))
		var again cryptobyte.String
		if !list.ReadASN1(&again, 0x30) || !slices.Equal(parseCapabilities(again), known) {
			t.Fatalf("%v are read as %v", known, parseCapabilities(again))
		}
	})
}
