package trust

import (
	"crypto/x509"
	"net"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxKinds bounds the kinds of names that one authority constrains; RFC 5280 §4.2.1.6 has nine, and otherNames of any number.
const maxKinds = 32

// subtree is the constraints of one authority on one kind of name (RFC 5280 §4.2.1.10).
type subtree struct {
	kind                int
	other               string // the object identifier, where kind is otherName
	permitted, excluded []string
}

// subtrees reads the NameConstraints of c. !ok: it says something that is not understood, so that nothing below c can be judged.
func subtrees(c *x509.Certificate) (all []subtree, ok bool) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidConstraints) {
			continue
		}
		s, both := cryptobyte.String(e.Value), cryptobyte.String(nil)
		if !s.ReadASN1(&both, asn1.SEQUENCE) || !s.Empty() {
			return nil, false
		}
		for i := range 2 {
			var list cryptobyte.String
			var there bool
			if !both.ReadOptionalASN1(&list, &there, asn1.Tag(i).ContextSpecific().Constructed()) {
				return nil, false
			}
			for !list.Empty() {
				if all, ok = readSubtree(all, &list, i == 1); !ok {
					return nil, false
				}
			}
		}
		return all, both.Empty()
	}
	return nil, true
}

// readSubtree reads a GeneralSubtree. Its minimum is 0 and its maximum absent (RFC 5280 §4.2.1.10): nothing else is understood.
func readSubtree(all []subtree, list *cryptobyte.String, excluded bool) ([]subtree, bool) {
	var tree cryptobyte.String
	if !list.ReadASN1(&tree, asn1.SEQUENCE) {
		return nil, false
	}
	n, ok := readGeneralName(&tree)
	if !ok || !tree.Empty() {
		return nil, false
	}
	other := ""
	if n.kind == otherName {
		other = n.value
	}
	at := -1
	for i, s := range all {
		if s.kind == n.kind && s.other == other {
			at = i
		}
	}
	if at < 0 && len(all) == maxKinds {
		return nil, false
	}
	if at < 0 {
		all, at = append(all, subtree{kind: n.kind, other: other}), len(all)
	}
	if excluded {
		all[at].excluded = append(all[at].excluded, n.value)
	} else {
		all[at].permitted = append(all[at].permitted, n.value)
	}
	return all, true
}

// word names the kind for people.
func (s subtree) word() string {
	switch s.kind {
	case rfc822Name:
		return "rfc822Name"
	case dNSName:
		return "dNSName"
	case directoryName:
		return "directoryName"
	case uriName:
		return "URI"
	case ipName:
		return "iPAddress"
	case mailboxName:
		return "SmtpUTF8Mailbox"
	}
	return "name of a kind that is not known here"
}

// names are those of c, which has these alternative names, that the constraints are about.
func (s subtree) names(c *x509.Certificate, alternative []generalName) (names []generalName) {
	for _, n := range alternative {
		if n.kind == s.kind && (n.kind != otherName || n.value == s.other) || s.kind == rfc822Name && n.kind == mailboxName {
			names = append(names, n) // RFC 9598 §6: constraints on rfc822Names hold for SmtpUTF8Mailbox too
		}
	}
	switch {
	case s.kind == rfc822Name:
		// RFC 5280 §4.2.1.10 asks for the legacy emailAddress of the Subject where no subjectAltName is; we look at it always, since
		// Direct 4.1.1 gives it a say.
		for _, a := range c.Subject.Names {
			if a.Type.Equal(oidEmailAddress) {
				text, _ := a.Value.(string)
				names = append(names, generalName{rfc822Name, text})
			}
		}
	case s.kind == directoryName && string(c.RawSubject) != emptyName:
		names = append(names, generalName{directoryName, string(c.RawSubject)})
	}
	return names
}

const emptyName = "\x30\x00"

// match says whether a name lies within a constraint of its kind; !ok: one of them cannot be read.
func (s subtree) match(n generalName, constraint string) (match, ok bool) {
	switch {
	case n.kind == mailboxName && s.kind == mailboxName:
		return n.value == constraint, n.value != "" // a mailbox; RFC 9598 gives it no other form
	case n.kind == mailboxName:
		return matchMailbox(n.value, constraint)
	}
	switch s.kind {
	case rfc822Name:
		return matchMail(n.value, constraint)
	case dNSName:
		return matchHost(n.value, constraint)
	case directoryName:
		return beginsWith([]byte(n.value), []byte(constraint))
	case uriName:
		return matchURIHost(hostOf(n.value), constraint)
	case ipName:
		return matchIP(n.value, constraint)
	}
	return false, false // an instance of a form that is not processed refuses the path (RFC 5280 §4.2.1.10)
}

// matchIP compares octets: an address with an address and a mask of the same family.
func matchIP(name, constraint string) (match, ok bool) {
	if len(name) != net.IPv4len && len(name) != net.IPv6len || len(constraint)%2 != 0 {
		return false, false
	}
	address, mask := constraint[:len(constraint)/2], constraint[len(constraint)/2:]
	if len(name) != len(address) {
		return false, true
	}
	for i := range len(name) {
		if name[i]&mask[i] != address[i]&mask[i] {
			return false, true
		}
	}
	return true, true
}
