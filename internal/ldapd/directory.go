package ldapd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"carepost/addr"
)

// Directory is what is published of one Health Domain.
type Directory struct {
	Domain  addr.Domain // "" = nothing
	Entries []Entry
}

// Entry is what is published of an address or a domain.
type Entry struct {
	For          addr.Address // without endpoint: the organisation
	Certificates [][]byte     // DER
}

// unit is where the entries stand, below the suffix.
const unit = "ou=certificates"

// attribute of an entry, as it is returned.
type attribute struct {
	name   string
	values []string
}

// node is an entry of the tree.
type node struct {
	dn     string // as it is returned
	parent name
	person bool // shown to who names it
	attrs  []attribute
}

// tree is a directory, never changed once made.
type tree struct {
	suffixes []string // the naming contexts, one for each domain
	nodes    map[name]*node
	order    []name            // of the LDIF: parents first
	public   []name            // who may be listed
	people   map[string][]name // by folded mail
}

// newTree checks the directories, one for each domain; one without a domain is nothing. Errors never tell an address.
func newTree(ds ...Directory) (*tree, error) {
	t := &tree{nodes: make(map[name]*node), people: make(map[string][]name)}
	ds = slices.DeleteFunc(slices.Clone(ds), func(d Directory) bool { return d.Domain == "" })
	slices.SortStableFunc(ds, func(a, b Directory) int { return len(a.Domain) - len(b.Domain) }) // a domain before those below it
	for _, d := range ds {
		if parsed, err := addr.ParseDomain(string(d.Domain)); err != nil || parsed != d.Domain {
			return nil, errors.New("ldapd: the domain of a directory is no domain")
		}
		if slices.Contains(t.suffixes, suffix(d.Domain)) {
			return nil, errors.New("ldapd: a domain has two directories")
		}
		if err := t.add(d); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// add enters a directory. It hangs below that of a domain above its own, where there is one.
func (t *tree) add(d Directory) error {
	base, above := suffix(d.Domain), ""
	for _, s := range t.suffixes {
		if strings.HasSuffix(base, ","+s) && len(s) > len(above) {
			above = s
		}
	}
	t.suffixes = append(t.suffixes, base)
	label, _, _ := strings.Cut(string(d.Domain), ".")
	t.put(name(above), &node{dn: base, attrs: []attribute{
		{"objectClass", []string{"top", "dcObject", "organization"}}, {"dc", []string{label}}, {"o", []string{string(d.Domain)}},
	}})
	t.put(name(base), &node{dn: unit + "," + base, attrs: []attribute{
		{"objectClass", []string{"top", "organizationalUnit"}}, {"ou", []string{"certificates"}},
	}})
	for i, e := range d.Entries {
		if e.For.Domain == "" || len(e.Certificates) == 0 || slices.ContainsFunc(e.Certificates, func(c []byte) bool { return len(c) == 0 }) {
			return fmt.Errorf("ldapd: entry %d has no owner or no certificate", i+1)
		}
		t.enter(d, e)
	}
	return nil
}

// enter adds the certificates of one owner; what is entered of him already stays.
func (t *tree) enter(d Directory, e Entry) {
	mail, person := string(e.For.Domain), e.For.Endpoint != ""
	if person {
		mail = e.For.String()
	}
	parent := name(unit + "," + suffix(d.Domain))
	key := name("mail="+escape(fold(mail))+",") + parent
	n := t.nodes[key]
	if n == nil {
		n = &node{dn: d.DN(e.For), person: person, attrs: []attribute{
			{"objectClass", []string{"top", "person", "organizationalPerson", "inetOrgPerson"}},
			{"cn", []string{mail}}, {"sn", []string{mail}}, {"mail", []string{mail}}, {"userCertificate;binary", nil},
		}}
		t.nodes[key] = n
		n.parent = parent
		t.order = append(t.order, key)
		if person {
			t.people[fold(mail)] = append(t.people[fold(mail)], key)
		} else {
			t.public = append(t.public, key)
		}
	}
	certs := &n.attrs[len(n.attrs)-1]
	for _, c := range e.Certificates {
		if !slices.Contains(certs.values, string(c)) {
			certs.values = append(certs.values, string(c))
		}
	}
}

// put adds an entry that everybody may see.
func (t *tree) put(parent name, n *node) {
	key, _ := parseName(n.dn)
	n.parent = parent
	t.nodes[key] = n
	t.order, t.public = append(t.order, key), append(t.public, key)
}

// within says whether an entry lies in the scope of a search from base.
func (t *tree) within(key, base name, scope int) bool {
	switch scope {
	case scopeBase:
		return key == base
	case scopeOne:
		return t.nodes[key].parent == base
	}
	for key != base {
		n := t.nodes[key]
		if n == nil {
			return false
		}
		key = n.parent
	}
	return true
}

// matched is the nearest entry above a name that is there (RFC 4511 §4.1.9), one that everybody may see.
func (t *tree) matched(key name) string {
	for rest := string(key); ; {
		_, after, found := strings.Cut(rest, ",") // a comma in a value is escaped, and then this is nobody's name
		if !found {
			return ""
		}
		if n := t.nodes[name(after)]; n != nil && !n.person {
			return n.dn
		}
		rest = after
	}
}

// The other names of the attributes that are here (RFC 4519, RFC 4523, RFC 4524).
var aliases = map[string]string{
	"2.5.4.0": "objectclass", "2.5.4.3": "cn", "commonname": "cn", "2.5.4.4": "sn", "surname": "sn", "2.5.4.10": "o", "organizationname": "o",
	"2.5.4.11": "ou", "organizationalunitname": "ou", "0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
	"0.9.2342.19200300.100.1.3": "mail", "rfc822mailbox": "mail", "2.5.4.36": "usercertificate",
}

var known = []string{"objectclass", "cn", "sn", "o", "ou", "dc", "mail", "usercertificate"}

// canonical is the one name of an attribute type.
func canonical(kind string) string {
	kind = lower(kind)
	if alias, ok := aliases[kind]; ok {
		return alias
	}
	return kind
}

// find returns the values that an attribute description names, subtypes among them (RFC 4512 §2.5): those of userCertificate;binary
// are those of userCertificate. defined says whether there is such an attribute at all.
func (n *node) find(description string) (values []string, defined bool) {
	kind, options, _ := strings.Cut(description, ";")
	kind, options = canonical(kind), lower(options)
	for _, a := range n.attrs {
		have, transfer, _ := strings.Cut(a.name, ";")
		if lower(have) == kind && (options == "" || options == transfer) {
			return a.values, true
		}
	}
	return nil, slices.Contains(known, kind)
}
