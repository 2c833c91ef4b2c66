package config

import (
	"fmt"
	"time"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/trust"
)

// maxGrace bounds how long a list counts beyond its time: what is older says nothing of today.
const maxGrace = 31 * 24 * time.Hour

// revocation is [policy.revocation].
type revocation struct {
	Unknown unknown            `toml:"unknown"`
	Grace   grace              `toml:"grace"`
	Domains map[string]unknown `toml:"domains"`
}

type (
	unknown trust.Unknown
	grace   time.Duration
)

func (u *unknown) UnmarshalText(text []byte) error {
	switch string(text) {
	case "await":
		*u = unknown(trust.Await)
	case "accept":
		*u = unknown(trust.Accept)
	case "demand":
		*u = unknown(trust.Demand)
	default:
		return fmt.Errorf("%q is none of await, accept, demand", text)
	}
	return nil
}

func (g *grace) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 || d > maxGrace {
		return fmt.Errorf("%q is no time from 0s to %.0fh, such as 24h", text, maxGrace.Hours())
	}
	*g = grace(d)
	return nil
}

// revocations is what the table says.
func revocations(r revocation, wrong func(key, format string, a ...any) error) (agent.Revocations, error) {
	out := agent.Revocations{Unknown: trust.Unknown(r.Unknown), Grace: time.Duration(r.Grace)}
	for name, u := range r.Domains {
		d, err := addr.ParseDomain(name)
		if err != nil {
			return out, wrong("policy.revocation.domains", "%q is no domain such as clinic.example", name)
		}
		if _, twice := out.Domains[d]; twice {
			return out, wrong("policy.revocation.domains", "%s stands here twice", d)
		}
		if out.Domains == nil {
			out.Domains = map[addr.Domain]trust.Unknown{}
		}
		out.Domains[d] = trust.Unknown(u)
	}
	return out, nil
}
