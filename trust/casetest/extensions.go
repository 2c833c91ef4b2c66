package casetest

import (
	"crypto/x509"
	"encoding/hex"
	"net"
	"strings"
)

// extension are the options about names by which a certificate is found, constraints and policies.
func (b *builder) extension(key, value string) bool {
	switch key {
	case "san":
		b.names = append(b.names, b.generalName(value))
	case "permit.mail", "permit.dns", "permit.uri", "permit.dir", "permit.ip", "permit.smtputf8":
		b.permitted = append(b.permitted, tlv(0x30, b.constraint(strings.TrimPrefix(key, "permit."), value)))
	case "exclude.mail", "exclude.dns", "exclude.uri", "exclude.dir", "exclude.ip", "exclude.smtputf8":
		b.excluded = append(b.excluded, tlv(0x30, b.constraint(strings.TrimPrefix(key, "exclude."), value)))
	case "names-critical":
		b.constraintCritical = true
	case "critical":
		return b.extend(true, "\x05\x00", 1, 3, 6, 1, 4, 1, 55555, 1)
	case "odd":
		return b.extend(false, "\x05\x00", 1, 3, 6, 1, 4, 1, 55555, 2)
	case "policy":
		return b.add(func(c *x509.Certificate) { c.Policies = append(c.Policies, b.oid(value)) })
	case "map":
		b.mappings = append(b.mappings, value)
	case "demand-policy":
		b.demand = value
		if value == "" {
			b.demand = "0"
		}
	case "inhibit-mapping":
		b.mapping = value
	case "inhibit-any":
		return b.extend(true, string(b.der(b.number(value))), 2, 5, 29, 54)
	default:
		return false
	}
	return true
}

// finish writes the extensions that have gathered several options.
func (b *builder) finish() {
	if len(b.names) > 0 {
		b.add(func(c *x509.Certificate) { // where there is no subject, it is critical (RFC 5280 §4.2.1.6)
			b.extendNow(c, string(c.RawSubject) == "\x30\x00", tlv(0x30, strings.Join(b.names, "")), 17)
		})
	}
	if len(b.permitted)+len(b.excluded) > 0 {
		both := ""
		if len(b.permitted) > 0 {
			both += tlv(0xa0, strings.Join(b.permitted, ""))
		}
		if len(b.excluded) > 0 {
			both += tlv(0xa1, strings.Join(b.excluded, ""))
		}
		b.extend(b.constraintCritical, tlv(0x30, both), 2, 5, 29, 30)
	}
	if b.demand+b.mapping != "" {
		both := ""
		for i, n := range []string{b.demand, b.mapping} {
			if n != "" {
				both += tlv(0x80+byte(i), string(b.der(b.number(n))[2:]))
			}
		}
		b.extend(true, tlv(0x30, both), 2, 5, 29, 36)
	}
	if len(b.mappings) > 0 {
		all := ""
		for _, m := range b.mappings {
			from, to, _ := strings.Cut(m, ":")
			all += tlv(0x30, string(b.der(b.arcs(from)))+string(b.der(b.arcs(to))))
		}
		b.extend(true, tlv(0x30, all), 2, 5, 29, 33)
	}
}

// generalName reads "rfc822:A", "dns:D", "uri:U", "ip:N", "dir:DN", "smtputf8:A", "raw:HEX".
func (b *builder) generalName(s string) string {
	kind, name, _ := strings.Cut(s, ":")
	name = strings.ReplaceAll(name, "%00", "\x00")
	switch kind {
	case "rfc822":
		return tlv(0x81, name)
	case "dns":
		return tlv(0x82, name)
	case "uri":
		return tlv(0x86, name)
	case "dir":
		return tlv(0xa4, string(b.dn(name)))
	case "ip":
		ip := net.ParseIP(name)
		if four := ip.To4(); four != nil {
			ip = four
		}
		return tlv(0x87, string(ip))
	case "raw": // whatever stands there
		element, err := hex.DecodeString(name)
		if err != nil {
			b.Fatal(err)
		}
		return string(element)
	case "smtputf8": // RFC 9598: id-on-SmtpUTF8Mailbox, [0] EXPLICIT UTF8String
		return tlv(0xa0, "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09"+tlv(0xa0, tlv(0x0c, name)))
	}
	b.Fatalf("san=%s", s)
	return ""
}

// constraint is the base of a GeneralSubtree.
func (b *builder) constraint(kind, value string) string {
	if kind == "ip" {
		_, n, err := net.ParseCIDR(value)
		if err != nil {
			b.Fatal(err)
		}
		return tlv(0x87, string(n.IP)+string(n.Mask))
	}
	return b.generalName(map[string]string{"mail": "rfc822"}[kind] + strings.TrimPrefix(kind, "mail") + ":" + value)
}
