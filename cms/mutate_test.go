package cms

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

// node is an element of a message, taken apart.
type node struct {
	tag  byte
	kids []*node // of a constructed one
	val  []byte  // of a primitive one
}

// apart reads BER of one-octet tags, as deep as it goes; what hides in OCTET STRINGs stays there.
func apart(t testing.TB, ber []byte) *node {
	t.Helper()
	root := &node{}
	if rest := root.fill(ber, len(ber)); len(rest) != 0 {
		t.Fatal("bytes behind the message")
	}
	return root.kids[0]
}

// fill takes elements from b until n octets or, n negative, the end-of-contents have been taken, and returns the rest.
func (p *node) fill(b []byte, n int) []byte {
	end := len(b) - n
	for n < 0 || len(b) > end {
		tag, length, head := b[0], int(b[1]), 2
		if tag == 0 && n < 0 {
			return b[2:]
		}
		if length > 0x80 {
			head, length = 2+length&0x7f, 0
			for _, o := range b[2:head] {
				length = length<<8 | int(o)
			}
		} else if length == 0x80 {
			length = -1
		}
		k := &node{tag: tag}
		p.kids = append(p.kids, k)
		b = b[head:]
		switch {
		case tag&constructed != 0:
			b = k.fill(b, length)
		default:
			k.val, b = b[:length], b[length:]
		}
	}
	return b
}

// bytes puts the message together again, in definite lengths.
func (p *node) bytes() []byte {
	content := p.val
	if p.tag&constructed != 0 {
		content = nil
		for _, k := range p.kids {
			content = append(content, k.bytes()...)
		}
	}
	return element1(p.tag, content)
}

func element1(tag byte, content []byte) []byte {
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	case n < 0x10000:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
	}
	return append([]byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}, content...)
}

// walk visits every element below p with the element around it.
func (p *node) walk(visit func(around *node, i int)) {
	for i := range p.kids {
		visit(p, i)
		p.kids[i].walk(visit)
	}
}

// isAlgorithm says that p could be an AlgorithmIdentifier.
func (p *node) isAlgorithm() bool {
	return p.tag == tagSequence && len(p.kids) > 0 && len(p.kids) < 3 && p.kids[0].tag == tagOID
}

// odd are values where others are expected.
var odd = map[string]*node{
	"NULL": {tag: 5}, "NULL with content": {tag: 5, val: []byte{0}}, "zero": {tag: 2, val: []byte{0}}, "no integer": {tag: 2},
	"a negative number": {tag: 2, val: []byte{0x80}}, "a huge number": {tag: 2, val: bytes.Repeat([]byte{0x7f}, 4000)},
	"no octets": {tag: 4}, "octets": {tag: 4, val: bytes.Repeat([]byte{1}, 16)}, "TRUE": {tag: 1, val: []byte{0xff}}, "bits": {tag: 3, val: []byte{7, 0x80}},
	"no bits": {tag: 3}, "empty SEQUENCE": {tag: tagSequence}, "empty SET": {tag: tagSet}, "empty [0]": {tag: 0xa0}, "empty [1]": {tag: 0xa1}, "primitive [0]": {tag: 0x80},
	"an identifier": {tag: 6, val: []byte{0x2a}}, "no identifier": {tag: 6}, "AES inside": {tag: tagSequence, kids: []*node{{tag: 6, val: []byte(oidAES128CBC)}}},
	"a set of one": {tag: tagSet, kids: []*node{{tag: 5}}}, "octets in octets": {tag: 0x24, kids: []*node{{tag: 4, val: []byte{1}}}},
}

// mutants calls try with msg after each change of one element: left out, put twice, emptied, swapped with the next one, of another tag,
// and replaced by each odd value.
func mutants(t testing.TB, msg []byte, try func(what string, msg []byte)) {
	root := apart(t, msg)
	around := &node{tag: tagSequence, kids: []*node{root}}
	around.walk(func(p *node, i int) {
		was := slices.Clone(p.kids)
		change := func(what string, kids ...*node) {
			p.kids = slices.Concat(was[:i], kids, was[i+1:])
			var b []byte
			for _, k := range around.kids {
				b = append(b, k.bytes()...)
			}
			p.kids = was
			try(what, b)
		}
		change("left out")
		change("twice", was[i], was[i])
		change("empty", &node{tag: was[i].tag})
		change("constructed or not", &node{tag: was[i].tag ^ constructed, val: was[i].val, kids: was[i].kids})
		change("another number", &node{tag: was[i].tag ^ 1, val: was[i].val, kids: was[i].kids})
		if i+1 < len(was) {
			p.kids = slices.Clone(was)
			p.kids[i], p.kids[i+1] = was[i+1], was[i]
			b := root.bytes()
			p.kids = was
			try("swapped", b)
		}
		for what, o := range odd {
			change(what, o)
		}
	})
}

// everyMessage are small messages of every kind: ours, and with CAREPOST_FULL those of the peers as well.
func everyMessage(t testing.TB) map[string][]byte {
	c := people()
	all := make(map[string][]byte)
	salted := c.bob.signer()
	salted.PSS = true
	for name, s := range map[string]Signer{"RSA": c.alice.signer(), "PSS": salted, "P-256": c.p256.signer(), "P-384": c.p384.signer(), "Ed25519": edith().signer()} {
		p7s, err := SignDetached(sums(someText), nil, s)
		check(t, err)
		all["signed, "+name] = p7s
	}
	for x := AES128CBC; x <= AES256GCM; x++ {
		all["for bob, "+x.String()] = seal(t, someText, x, c.bob.cert)
	}
	all["for a curve"] = seal(t, someText, AES128CBC, c.p256.cert)
	all["compressed"] = compress(t, someText)
	for _, kind := range []string{"opaque", "enveloped", "signed", "compressed"} {
		for name, msg := range peersMessages(t, kind) {
			if os.Getenv("CAREPOST_FULL") != "" || name == "opaque-openssl-rsa-sha-256" {
				all[name] = msg
			}
		}
	}
	return all
}

// ATT-26 and ATT-20: absent, NULL and strange parameters of every AlgorithmIdentifier, and every other element of every message left out,
// doubled, emptied, exchanged. The answer is an error that the documentation names, in little memory; and a signature that still holds
// holds over the same content.
func TestEveryElement(t *testing.T) {
	n, every := 0, 23
	if os.Getenv("CAREPOST_FULL") != "" {
		every = 1
	}
	for name, msg := range everyMessage(t) {
		mutants(t, msg, func(what string, msg []byte) {
			if n++; n%every != 0 {
				return
			}
			for _, read := range readers {
				var err error
				if mem := spent(func() { err = read(bytes.NewReader(msg)) }); mem > megabyte || !known(err) {
					t.Errorf("%s, %s: %v, %d octets of memory", name, what, err, mem)
				}
			}
			s, err := ReadSigned(bytes.NewReader(msg), ReadOptions{})
			if err != nil {
				return
			}
			for i := range s.Signers {
				for _, cert := range s.Candidates(i) {
					if s.Verify(i, cert, sum(nil)) == nil {
						t.Errorf("%s, %s: verified over other content", name, what)
					}
				}
			}
		})
	}
	if n < 5000 {
		t.Errorf("%d changes only", n)
	}
}
