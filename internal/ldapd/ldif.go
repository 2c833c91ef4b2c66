package ldapd

import (
	"encoding/base64"
	"fmt"
	"strings"

	"carepost/addr"
)

// LDIF is the directory as a file for another server (RFC 2849): slapadd and ldapadd take it, with the schemas core, cosine and
// inetorgperson and the suffix of the domain. It departs from RFC 2849 in that
// no version stands first, which slapadd would not read. Whoever may list that server's entries sees all addresses.
func (d Directory) LDIF() (string, error) {
	t, err := newTree(d)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, key := range t.order {
		n := t.nodes[key]
		if i > 0 {
			b.WriteString("\n")
		}
		line(&b, "dn", n.dn)
		for _, a := range n.attrs {
			for _, v := range a.values {
				line(&b, a.name, v)
			}
		}
	}
	return b.String(), nil
}

// DN is the distinguished name of the entry of an address or a domain.
func (d Directory) DN(of addr.Address) string {
	mail := string(of.Domain)
	if of.Endpoint != "" {
		mail = of.String()
	}
	return "mail=" + escape(mail) + "," + unit + "," + suffix(d.Domain)
}

// width of a line (RFC 2849, note 10).
const width = 76

// line writes one value, folded, in base64 where it must be.
func line(b *strings.Builder, attribute, value string) {
	text := attribute + ": " + value
	if !safe(value) {
		text = fmt.Sprintf("%s:: %s", attribute, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	for len(text) > width {
		b.WriteString(text[:width] + "\n")
		text = " " + text[width:]
	}
	b.WriteString(text + "\n")
}

// safe is SAFE-STRING, without a space at the end.
func safe(v string) bool {
	if v == "" {
		return true
	}
	for i := range len(v) {
		if c := v[i]; c == 0 || c == '\n' || c == '\r' || c >= 0x7f {
			return false
		}
	}
	return strings.IndexByte(" :<", v[0]) < 0 && v[len(v)-1] != ' '
}
