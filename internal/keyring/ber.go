package keyring

import (
	"bytes"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// maxBER is how many encodings may stand within one another in a file that is not in DER.
const maxBER = 16

var errBER = errors.New("not an encoding")

// definite writes the one element of in anew with definite lengths, and with octet strings in one piece (X.690 §10.1, §10.2): NSS and older
// Java write PKCS #12 in indefinite lengths. What stands in octet strings stays as it is. Line ends may follow.
func definite(in []byte) ([]byte, error) {
	out, rest, err := definiteElement(in, maxBER)
	for _, b := range rest {
		if b != '\r' && b != '\n' {
			return nil, errBER
		}
	}
	return out, err
}

func definiteElement(in []byte, depth int) (out, rest []byte, err error) {
	if len(in) < 2 || in[0]&0x1f == 0x1f || depth == 0 {
		return nil, nil, errBER
	}
	tag, constructed := in[0], in[0]&0x20 != 0
	length, rest, endless, err := berLength(in[1:])
	if err != nil || endless && !constructed {
		return nil, nil, errBER
	}
	content := rest
	if !endless {
		content, rest = rest[:length], rest[length:]
	}
	if constructed {
		if content, rest, err = definiteWithin(tag, content, rest, endless, depth-1); err != nil {
			return nil, nil, err
		}
	}
	var b cryptobyte.Builder
	if tag == 0x24 { // an octet string in pieces
		tag = 0x04
	}
	b.AddASN1(der.Tag(tag), func(b *cryptobyte.Builder) { b.AddBytes(content) })
	out, err = b.Bytes()
	return out, rest, err
}

// definiteWithin writes the elements of a constructed encoding. Of an octet string they are its pieces.
func definiteWithin(tag byte, content, rest []byte, endless bool, depth int) (out, behind []byte, err error) {
	for {
		if endless && len(content) >= 2 && content[0] == 0 && content[1] == 0 {
			return out, content[2:], nil
		}
		if len(content) == 0 {
			if endless {
				return nil, nil, errBER
			}
			return out, rest, nil
		}
		var one []byte
		if one, content, err = definiteElement(content, depth); err != nil {
			return nil, nil, err
		}
		if tag == 0x24 {
			piece := cryptobyte.String(one)
			var octets cryptobyte.String
			if !piece.ReadASN1(&octets, der.OCTET_STRING) {
				return nil, nil, errBER
			}
			one = octets
		}
		out = append(out, one...)
	}
}

// berLength reads length octets (X.690 §8.1.3).
func berLength(in []byte) (n int, rest []byte, endless bool, err error) {
	first, rest := in[0], in[1:]
	if first == 0x80 {
		return 0, rest, true, nil
	}
	n = int(first)
	if first > 0x80 {
		octets := int(first & 0x7f)
		if octets > 4 || octets > len(rest) {
			return 0, nil, false, errBER
		}
		n = 0
		for _, b := range rest[:octets] {
			n = n<<8 | int(b)
		}
		rest = rest[octets:]
	}
	if n < 0 || n > len(rest) {
		return 0, nil, false, errBER
	}
	return n, rest, false, nil
}

// alone is data without the line ends that an editor has put behind its last element. An octet of the element itself that looks like one
// stays: one signature of 128 ends with it.
func alone(data []byte) []byte {
	for rest := data; len(rest) > 1; {
		n, content, endless, err := berLength(rest[1:])
		if err != nil || endless {
			return data
		}
		rest = content[n:]
		if len(bytes.Trim(rest, "\r\n")) == 0 {
			return data[:len(data)-len(rest)]
		}
	}
	return data
}
