package dnsd

import (
	"net/netip"
	"time"

	"carepost/addr"
)

// Zone is what is published at and below one domain. Names of hosts are written without the final dot.
type Zone struct {
	Origin addr.Domain
	SOA    SOA
	NS     []string      // name servers [SOA.Primary]
	TTL    time.Duration // of every record [1 h]
	Cuts   []addr.Domain // zones of their own below this one, with the same name servers (RFC 1034 §4.2.1)
	MX     []MX
	Hosts  []Host
	CERT   []CERT
	SRV    []SRV
	Extra  []string // further records, a line of a master file each; see CheckRecord
}

// SOA is the start of authority (RFC 1035 §3.3.13). Zero fields take the default in brackets.
type SOA struct {
	Primary string        // [ns.ORIGIN]
	Contact addr.Address  // [hostmaster@ORIGIN]
	Serial  uint32        // [1]
	Minimum time.Duration // how long a negative answer may be kept, RFC 2308 §4 [60 s]
}

// MX is a mail exchanger of a domain in the zone.
type MX struct {
	Domain addr.Domain // [the origin]
	Pref   uint16
	Host   string
}

// Host gives a host in the zone an address, IPv4 or IPv6.
type Host struct {
	Name string
	Addr netip.Addr
}

// SRV says where a service of the origin is found (RFC 2782).
type SRV struct {
	Service                string // with its protocol: _ldap._tcp
	Priority, Weight, Port uint16
	Host                   string
}

// CERT publishes one certificate (Direct 5.3).
type CERT struct {
	For         addr.Address // an address; without endpoint the organisation: its domain (Direct 5.2)
	Certificate []byte       // DER: type 1
	URL         string       // in place of Certificate: type 4, where the DER certificate is fetched (RFC 2585)
}

// withDefaults fills what was left out.
func (z Zone) withDefaults() Zone {
	if z.SOA.Primary == "" {
		z.SOA.Primary = "ns." + string(z.Origin)
	}
	if z.SOA.Contact.IsZero() {
		z.SOA.Contact = addr.Address{Endpoint: "hostmaster", Domain: z.Origin}
	}
	if z.SOA.Serial == 0 {
		z.SOA.Serial = 1
	}
	if z.SOA.Minimum <= 0 {
		z.SOA.Minimum = time.Minute
	}
	if z.TTL <= 0 {
		z.TTL = time.Hour
	}
	if len(z.NS) == 0 {
		z.NS = []string{z.SOA.Primary}
	}
	return z
}
