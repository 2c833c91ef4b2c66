package cms

// content returns the octets of e, which must have definite length.
func (p *parser) content(e element) ([]byte, error) {
	if e.length == indefinite {
		return nil, syntax("indefinite length where DER is required")
	}
	return p.take(nil, e.length)
}

// raw returns e whole, which must have definite length.
func (p *parser) raw(e element) ([]byte, error) {
	if e.length == indefinite {
		return nil, syntax("indefinite length where DER is required")
	}
	return p.take(p.head, e.length)
}

// take returns prefix and the next n octets in memory of their own.
func (p *parser) take(prefix []byte, n int64) ([]byte, error) {
	if n > p.budget {
		return nil, limit("octets outside the content")
	}
	b := make([]byte, len(prefix)+int(n))
	got, err := p.readFull(b[copy(b, prefix):])
	p.budget -= int64(got)
	if err != nil {
		return nil, err
	}
	if p.taping {
		p.tape = append(p.tape, b[len(prefix):]...)
	}
	return b, nil
}

// octets returns the value of a small OCTET STRING, which may be constructed (X.690 §8.7.3), tagged as e is.
func (p *parser) octets(e element) ([]byte, error) {
	if e.tag&constructed == 0 {
		return p.content(e)
	}
	var value []byte
	base := len(p.stack)
	if err := p.enter(e); err != nil {
		return nil, err
	}
	for len(p.stack) > base {
		e, ok, err := p.next()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			continue
		case e.tag == tagOctetString:
			b, err := p.content(e)
			if err != nil {
				return nil, err
			}
			value = append(value, b...)
		case e.tag == tagOctetString|constructed:
			if err := p.enter(e); err != nil {
				return nil, err
			}
		default:
			return nil, syntax("something else than an OCTET STRING inside one")
		}
	}
	return value, nil
}

// skip passes over e, whatever it holds; only indefinite lengths are looked into.
func (p *parser) skip(e element) error {
	base := len(p.stack)
	for {
		if e.length == indefinite {
			if err := p.enter(e); err != nil {
				return err
			}
		} else if _, err := p.take(nil, e.length); err != nil {
			return err
		}
		for ok := false; !ok; {
			if len(p.stack) == base {
				return nil
			}
			var err error
			if e, ok, err = p.next(); err != nil {
				return err
			}
		}
	}
}

// rest passes over what is left of the innermost open encoding.
func (p *parser) rest() error {
	for {
		e, ok, err := p.next()
		if err != nil || !ok {
			return err
		}
		if err := p.skip(e); err != nil {
			return err
		}
	}
}

// skipTaped passes over e like skip and returns it whole.
func (p *parser) skipTaped(e element) ([]byte, error) {
	p.taping, p.tape = true, append([]byte(nil), p.head...)
	err := p.skip(e)
	p.taping = false
	return p.tape, err
}
