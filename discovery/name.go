package discovery

import (
	"errors"
	"fmt"
	"strings"

	"carepost/addr"
)

// ErrName says that a local part cannot be written as labels of a domain name.
var ErrName = errors.New("discovery: the local part is no domain name")

// Name is the domain name under which certificates of a are published (Direct 5.1): endpoint '.' domain, in the text of RFC 1035
// §5.1, lower case, octets other than letters, digits, '-' and '_' as \DDD. An address without endpoint stands for its
// organisation: the domain itself (Direct 5.2). ErrName for a local part with an empty label or one over 63 octets, for a name over
// 253, and for a label "*", which in DNS means everybody.
func Name(a addr.Address) (string, error) {
	if a.Endpoint == "" {
		return string(a.Domain), nil
	}
	if len(a.Endpoint)+1+len(a.Domain) > 253 {
		return "", ErrName
	}
	var b strings.Builder
	for label := range strings.SplitSeq(a.Endpoint, ".") {
		if label == "" || len(label) > 63 || label == "*" {
			return "", ErrName
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_':
				b.WriteByte(c)
			case 'A' <= c && c <= 'Z':
				b.WriteByte(c + 'a' - 'A')
			default:
				fmt.Fprintf(&b, `\%03d`, c)
			}
		}
		b.WriteByte('.')
	}
	return b.String() + string(a.Domain), nil
}
