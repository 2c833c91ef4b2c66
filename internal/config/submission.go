package config

import (
	"fmt"
	"net/netip"
)

// network is an address, or a network that is not larger than one house has.
type network netip.Prefix

// The smallest prefix lengths of networks whose hosts may send for everybody.
const (
	minBits4 = 16
	minBits6 = 48
)

func (n *network) UnmarshalText(text []byte) error {
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		a, aerr := netip.ParseAddr(string(text))
		if aerr != nil || a.Zone() != "" {
			return fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/28", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() || p.Masked() != p {
		return fmt.Errorf("%q is no network: write it as %s", text, p.Masked())
	}
	if p.Addr().Is4() && p.Bits() < minBits4 || p.Addr().Is6() && p.Bits() < minBits6 {
		return fmt.Errorf("%q is too large: every host in it could send in the name of every account", text)
	}
	*n = network(p)
	return nil
}
