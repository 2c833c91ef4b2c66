package certificate

// maxDepth bounds encodings of indefinite length within one another.
const maxDepth = 16

// item is one BER element (X.690 §8.1).
type item struct {
	tag            byte
	whole, content []byte
}

// cut takes the first element off in: of any length, indefinite ones too, as some software writes PKCS#7 files. depth is how many of
// those are open around it.
func cut(in []byte, depth int) (e item, rest []byte, ok bool) {
	if len(in) < 2 || in[0]&0x1f == 0x1f {
		return e, nil, false
	}
	e.tag = in[0]
	if in[1] == 0x80 {
		return cutIndefinite(in, depth)
	}
	head, length := 2, uint64(in[1])
	if in[1] > 0x80 {
		octets := int(in[1] & 0x7f)
		if octets > 4 || len(in) < 2+octets {
			return e, nil, false
		}
		length = 0
		for _, b := range in[2 : 2+octets] {
			length = length<<8 | uint64(b)
		}
		head += octets
	}
	if length > uint64(len(in)-head) {
		return e, nil, false
	}
	end := head + int(length)
	e.whole, e.content = in[:end], in[head:end]
	return e, in[end:], true
}

// cutIndefinite looks for the end-of-contents octets of the first element (X.690 §8.1.3.6). Each of the open ones reads over what is in
// it once: the work is at most maxDepth times the length.
func cutIndefinite(in []byte, depth int) (e item, rest []byte, ok bool) {
	const constructed = 0x20
	e.tag = in[0]
	if depth == maxDepth || e.tag&constructed == 0 {
		return e, nil, false
	}
	for rest = in[2:]; ; {
		if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
			end := len(in) - len(rest)
			e.content, e.whole = in[2:end], in[:end+2]
			return e, rest[2:], true
		}
		if _, rest, ok = cut(rest, depth+1); !ok {
			return e, nil, false
		}
	}
}
