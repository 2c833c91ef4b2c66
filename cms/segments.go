package cms

import "io"

// segments reads the octets of an encryptedContent that may be constructed (X.690 §8.7.3).
type segments struct {
	p     *parser
	base  int   // frames around the content
	left  int64 // octets of the open segment that are still to come
	empty int   // segments without octets of their own that may still come
}

// newSegments opens the content of which e is the header.
func newSegments(p *parser, e element) (*segments, error) {
	s := &segments{p: p, base: len(p.stack), empty: p.lim.EmptySegments}
	if e.tag&constructed == 0 {
		s.left = e.length
		return s, nil
	}
	return s, p.enter(e)
}

// fill reads octets until b is full or the content ends; then ended is true.
func (s *segments) fill(b []byte) (n int, ended bool, err error) {
	for {
		for s.left == 0 {
			if len(s.p.stack) == s.base {
				return n, true, nil
			}
			if err := s.open(); err != nil {
				return n, false, err
			}
		}
		if n == len(b) {
			return n, false, nil
		}
		m, err := s.p.readFull(b[n : n+int(min(s.left, int64(len(b)-n)))])
		n += m
		s.left -= int64(m)
		if err != nil {
			return n, false, err
		}
	}
}

// open reads the header of the next segment, or the end of a constructed one.
func (s *segments) open() error {
	budget := s.p.budget
	e, ok, err := s.p.next()
	s.p.budget = budget // headers of segments are as many as the content is long
	if err != nil || !ok {
		return err
	}
	if e.tag&^constructed != tagOctetString {
		return syntax("something else than a segment")
	}
	if e.tag&constructed != 0 || e.length == 0 {
		if s.empty--; s.empty < 0 {
			return limit("empty segments")
		}
	}
	if e.tag&constructed != 0 {
		return s.p.enter(e)
	}
	s.left = e.length
	return nil
}

// segmentReader is an io.Reader of segments, which counts.
type segmentReader struct {
	seg *segments
	n   int64
	err error // io.EOF at their end
}

// Read implements io.Reader.
func (r *segmentReader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, ended, err := r.seg.fill(b)
	r.n += int64(n)
	if err == nil && ended {
		err = io.EOF
	}
	r.err = err
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}
