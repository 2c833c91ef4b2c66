package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"net/url"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Kinds of GeneralName (RFC 5280 §4.2.1.6) that are told apart here.
const (
	otherName     = 0
	rfc822Name    = 1
	dNSName       = 2
	directoryName = 4
	uriName       = 6
	ipName        = 7
	mailboxName   = 32 // an otherName that is an SmtpUTF8Mailbox (RFC 9598 §3)
)

var (
	oidAltName     = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
)

const idMailbox = "\x2b\x06\x01\x05\x05\x07\x08\x09" // id-on-SmtpUTF8Mailbox

// generalName is one GeneralName: the contents of the string types, a whole Name, an address, what an SmtpUTF8Mailbox says. Of other
// otherNames it is the object identifier.
type generalName struct {
	kind  int
	value string
}

// altNames reads the subjectAltName of c. !ok: something in it is no GeneralName. crypto/x509 passes over that, and so the names that
// stand behind it are read all the same.
func altNames(c *x509.Certificate) (names []generalName, ok bool) {
	ok = true
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidAltName) {
			continue
		}
		s, list := cryptobyte.String(e.Value), cryptobyte.String(nil)
		if !s.ReadASN1(&list, der.SEQUENCE) {
			return nil, false
		}
		for !list.Empty() {
			var one cryptobyte.String
			var tag der.Tag
			if !list.ReadAnyASN1Element(&one, &tag) {
				return names, false
			}
			n, known := readGeneralName(&one)
			if ok = ok && known; known {
				names = append(names, n)
			}
		}
	}
	return names, ok
}

func readGeneralName(list *cryptobyte.String) (n generalName, ok bool) {
	var content cryptobyte.String
	var tag der.Tag
	if !list.ReadAnyASN1(&content, &tag) {
		return n, false
	}
	const contextClass, constructed, number = 0x80, 0x20, 0x1f
	if tag&^(constructed|number) != contextClass {
		return n, false
	}
	n.kind = int(tag & number)
	n.value = string(content)
	if n.kind != otherName {
		return n, true
	}
	var id, value, text cryptobyte.String
	if !content.ReadASN1(&id, der.OBJECT_IDENTIFIER) {
		return n, false
	}
	n.value = string(id)
	if n.value == idMailbox {
		n.kind, n.value = mailboxName, ""
		if content.ReadASN1(&value, der.Tag(0).ContextSpecific().Constructed()) && value.ReadASN1(&text, der.UTF8String) {
			n.value = string(text)
		}
	}
	return n, true
}

// knownNames says that c has alternative names, and all of kinds that are looked at here.
func knownNames(c *x509.Certificate) bool {
	names, ok := altNames(c)
	for _, n := range names {
		switch n.kind {
		case rfc822Name, dNSName, directoryName, uriName, ipName, mailboxName:
		default:
			return false
		}
	}
	return ok && len(names) > 0
}

// hostOf is the host of a URI, "" if it has none or cannot be read.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
