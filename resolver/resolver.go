// Package resolver asks DNS servers: a stub resolver (RFC 1034 §5.3.1) that speaks UDP with EDNS0 and TCP.
//
// It follows RFC 1034 and 1035 (queries, answers, CNAME), RFC 2181 §5 and §9 (record sets, truncation), RFC 2308 (negative
// answers), RFC 6891 (EDNS0, 1232 octets), RFC 7766 (TCP), RFC 5452 (what makes an answer ours), RFC 4398 (CERT), RFC 2782 (SRV),
// RFC 7505 (null MX) and Direct 5.4 (certificates overflow UDP: TCP when truncated).
//
// It departs from them: answers of other sections than the answer section are never used (the addresses of an MX are asked for);
// it does not recurse, so its servers must, or be the zone's own (Stub); search lists and single labels are not completed; SRV
// records of one priority come heaviest first, not at random, since the conformance tests of Direct demand a fixed order.
//
// BUG(resolver): it does not validate DNSSEC. It asks its server whether it did (RFC 6840 §5.7), and keeps what it says as evidence.
// What DNS says is a hint where to find a certificate; trust never hangs on it.
package resolver

import (
	"context"
	"errors"
	"net"
	"time"

	"carepost/addr"
)

// ErrNotFound says that the name or the wanted record does not exist (NXDOMAIN, no data, or a name that DNS cannot carry). It is
// an answer; every other error except ErrNullMX is the want of one, and may be gone when asked again.
var ErrNotFound = errors.New("resolver: no such record")

// ErrNullMX says that the domain takes no mail (RFC 7505). It is an answer.
var ErrNullMX = errors.New("resolver: the domain takes no mail")

// Client asks its servers. It holds no connections; it is safe for concurrent use once its fields are set. The zero Client has no
// servers and answers with an error.
type Client struct {
	Servers []string                                                             // host:port, asked in this order
	Stub    map[addr.Domain][]string                                             // zone → its own servers, host:port; the longest matching zone wins over Servers
	Timeout time.Duration                                                        // for one query to one server; zero = 3 s
	Tries   int                                                                  // rounds through the servers; zero = 2
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // "udp" or "tcp"; nil = the system's
	Cache   *Cache                                                               // nil = every look-up asks
}

// MX is a mail exchanger (RFC 5321 §5.1).
type MX struct {
	Pref uint16
	Host string // lower case, without the final dot
	TTL  time.Duration
}

// CERT is a certificate record (RFC 4398 §2).
type CERT struct {
	Type, KeyTag uint16
	Algorithm    uint8
	Data         []byte // shared with the cache: read only
	TTL          time.Duration
	DNSSEC       bool // the server says that DNSSEC proves the record: evidence, as good as the way to the server
}

// SRV is a server location (RFC 2782).
type SRV struct {
	Priority, Weight, Port uint16
	Host                   string // lower case, without the final dot
	TTL                    time.Duration
	DNSSEC                 bool // as in CERT
}
