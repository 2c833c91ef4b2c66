package smime

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // the hashes that digester makes
	_ "crypto/sha256"
	_ "crypto/sha512"
	"hash"
	"io"
	"slices"
	"strings"

	"carepost/cms"
	"carepost/message"
)

// micalgs are the names of RFC 8551 §3.5.3.2 and their older spellings. MD5 is none.
var micalgs = map[string]crypto.Hash{
	"sha-1": crypto.SHA1, "sha1": crypto.SHA1,
	"sha-256": crypto.SHA256, "sha256": crypto.SHA256,
	"sha-384": crypto.SHA384, "sha384": crypto.SHA384,
	"sha-512": crypto.SHA512, "sha512": crypto.SHA512,
}

// micalgOf names the hashes, of which there is at least one. RFC 8551 asks for "sha-256"; it is also the form that the
// certification tools accept.
func micalgOf(hashes []crypto.Hash) string {
	var names []string
	for _, h := range hashes {
		names = append(names, strings.ToLower(h.String()))
	}
	if len(names) == 1 {
		return names[0]
	}
	return `"` + strings.Join(names, ",") + `"` // a comma has no place in a token
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

	holding bool   // a line end at the end is kept back, to be tried with and without
	held    []byte // at most two octets
	sums    []sum  // what was made of it all, once it was asked for
}

// sum is a digest by each of the hashes.
type sum struct {
	canonical bool // of the canonical form
	epilogue  bool // with one line end more or less than there is at the end
	digests   [][]byte
}

// announcedDigester hashes by what micalg announces, and always by SHA-256: micalg is not signed, and often wrong. Where it says
// nothing that is understood it hashes by all that are accepted (RFC 8551 §3.5.3.2: recover gracefully).
func announcedDigester(micalg string, accepted cms.Algorithms) *digester {
	known := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	if accepted.Use(cms.SHA1) >= cms.Accept {
		known = append(known, crypto.SHA1)
	}
	hashes := known[:1:1]
	understood := false
	for name := range strings.SplitSeq(micalg, ",") {
		h, ok := micalgs[strings.ToLower(strings.TrimSpace(name))]
		ok = ok && slices.Contains(known, h)
		understood = understood || ok
		if ok && !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	if !understood {
		hashes = known
	}
	return newDigester(hashes)
}

func newDigester(hashes []crypto.Hash) *digester {
	d := &digester{hashes: hashes}
	for _, h := range hashes {
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
	if d.holding && n > 0 {
		keep := min(n, 2)
		if n == 1 && len(d.held) == 2 {
			d.hash(d.held[:1])
			d.held = d.held[1:]
		} else if n > 1 {
			d.hash(d.held)
			d.held = d.held[:0]
		}
		d.hash(p[:n-keep])
		d.held = append(d.held, p[n-keep:]...)
		return n, nil
	}
	d.hash(p)
	return n, nil
}

func (d *digester) hash(p []byte) {
	if len(p) == 0 {
		return
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

// finish makes the digests of what was written: as it stands first, then with one line end less and one more, where that is asked
// for.
func (d *digester) finish() []sum {
	if d.sums != nil {
		return d.sums
	}
	var without []sum
	for _, end := range []string{"\r\n", "\n"} {
		if rest, ok := bytes.CutSuffix(d.held, []byte(end)); ok {
			d.hash(rest)
			without = d.take(nil, true)
			d.held = d.held[len(rest):]
			break
		}
	}
	d.hash(d.held)
	d.sums = append(d.take(nil, false), without...)
	if d.holding {
		d.hash([]byte("\r\n"))
		d.sums = d.take(d.sums, true)
	}
	return d.sums
}

// take appends the digests of the moment to all.
func (d *digester) take(all []sum, epilogue bool) []sum {
	all = append(all, sum{epilogue: epilogue, digests: sumsOf(d.states)})
	if d.canon != nil {
		all = append(all, sum{epilogue: epilogue, canonical: true, digests: sumsOf(d.canonStates)})
	}
	return all
}

func sumsOf(states []hash.Hash) (all [][]byte) {
	for _, s := range states {
		all = append(all, s.Sum(nil))
	}
	return all
}

// index returns the place of h among the digests, -1 where it was not made.
func (d *digester) index(h crypto.Hash) int { return slices.Index(d.hashes, h) }
