package gateway

import "testing"

// An operator's SRV record of the domain's own directory takes the place of ours; what he says of names below it, or of another kind, does not.
func TestDirectoryOfOperator(t *testing.T) {
	for record, ours := range map[string]bool{
		"": true,
		"_ldap._tcp SRV 0 0 389 ldap.provider.example.":  false,
		"_LDAP._TCP 300 IN SRV 0 0 389 ldap.a.example.":  false,
		"_ldap._tcp.north.example. SRV 0 0 389 ldap":     false,
		"_ldap._tcp.sub SRV 0 0 389 ldap.a.example.":     true,
		`_ldap._tcp TXT "moved"`:                         true,
		"_ldap._tcp.dc._msdcs SRV 0 0 389 dc.a.example.": true,
	} {
		g := &Gateway{opts: Options{Domain: "north.example", Hostname: "mx.north.example", Face: Face{LDAP: "192.0.2.1:389"}, Publish: Publish{Records: []string{record}}}}
		if _, got := g.directoryAt(g.opts.Domain); got != ours {
			t.Errorf("%q: ours %v, want %v", record, got, ours)
		}
	}
}
