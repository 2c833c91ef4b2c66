package smime

import (
	"crypto"
	_ "crypto/sha256" // the hashes that digester makes
	_ "crypto/sha512"
	"hash"
	"io"
	"strings"

	"carepost/message"
)

// micalgs are the names of RFC 8551 §3.5.3.2 and their older spellings. MD5 never; SHA-1 as soon as package cms verifies it.
var micalgs = map[string]crypto.Hash{
	"sha-256": crypto.SHA256, "sha256": crypto.SHA256,
	"sha-384": crypto.SHA384, "sha384": crypto.SHA384,
	"sha-512": crypto.SHA512, "sha512": crypto.SHA512,
}

// micalg names h. RFC 8551 asks for "sha-256"; it is also the form that the certification tools accept.
func micalg(h crypto.Hash) string {
	switch h {
	case crypto.SHA384:
		return "sha-384"
	case crypto.SHA512:
		return "sha-512"
	}
	return "sha-256"
}

// digester hashes the signed part, as received and, from the first bare LF on, in canonical form as well (Direct 2.5.3,
// RFC 8551 §3.1.1). Both are the same up to there, so a message with CRLF is hashed once.
type digester struct {
	hashes []crypto.Hash
	states []hash.Hash
	raw    io.Writer // all of states
	last   byte      // written before

	canon       io.Writer // nil before the first bare LF
	canonStates []hash.Hash
}

// newDigester always makes SHA-256: micalg is not signed, and often wrong. Where it says nothing that is understood all are made
// (RFC 8551 §3.5.3.2: recover gracefully).
func newDigester(announced string) *digester {
	d := &digester{hashes: []crypto.Hash{crypto.SHA256}}
	understood := false
	for name := range strings.SplitSeq(announced, ",") {
		h, ok := micalgs[strings.ToLower(strings.TrimSpace(name))]
		understood = understood || ok
		if ok && d.index(h) < 0 {
			d.hashes = append(d.hashes, h)
		}
	}
	if !understood {
		d.hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	}
	for _, h := range d.hashes {
		d.states = append(d.states, h.New())
	}
	d.raw = all(d.states)
	return d
}

func all(states []hash.Hash) io.Writer {
	if len(states) == 1 {
		return states[0]
	}
	ws := make([]io.Writer, len(states))
	for i, s := range states {
		ws[i] = s
	}
	return io.MultiWriter(ws...)
}

// Write never fails.
func (d *digester) Write(p []byte) (int, error) {
	n := len(p)
	if n == 0 {
		return 0, nil
	}
	if d.canon == nil {
		if i := message.BareLF(p, d.last); i >= 0 {
			d.raw.Write(p[:i])
			p = p[i:]
			d.fork()
		}
	}
	d.raw.Write(p)
	if d.canon != nil {
		d.canon.Write(p)
	} else {
		d.last = p[len(p)-1]
	}
	return n, nil
}

// fork starts the canonical digests where the two forms part. The next byte is a bare LF.
func (d *digester) fork() {
	for _, s := range d.states {
		c, err := s.(hash.Cloner).Clone()
		if err != nil {
			panic("smime: a hash of the standard library does not clone: " + err.Error())
		}
		d.canonStates = append(d.canonStates, c.(hash.Hash))
	}
	d.canon = message.NewCRLFWriter(all(d.canonStates))
}

func (d *digester) index(h crypto.Hash) int {
	for i, have := range d.hashes {
		if have == h {
			return i
		}
	}
	return -1
}

// sums returns the digests by h: as received and, where that differs, in canonical form. Both are nil when h was not announced.
func (d *digester) sums(h crypto.Hash) (received, canonical []byte) {
	i := d.index(h)
	if i < 0 {
		return nil, nil
	}
	if d.canon != nil {
		canonical = d.canonStates[i].Sum(nil)
	}
	return d.states[i].Sum(nil), canonical
}
