package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"carepost/cms"
	"carepost/internal/agent"
	"carepost/trust"
)

// use is what is done with an algorithm: refuse, accept or send.
type use cms.Use

func (u *use) UnmarshalText(text []byte) error {
	for _, known := range []cms.Use{cms.Refuse, cms.Accept, cms.Send} {
		if known.String() == string(text) {
			*u = use(known)
			return nil
		}
	}
	return fmt.Errorf("%q is none of refuse, accept, send", text)
}

// algorithms is the column of a policy with changes.
func algorithms(p trust.Policy, changes map[string]use, wrong func(key, format string, a ...any) error) (cms.Algorithms, error) {
	const table = "policy.algorithms"
	all := agent.Party{Policy: p}.Algorithms()
	seen := map[cms.Algorithm]bool{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		key := table + "." + name
		x, err := cms.ParseAlgorithm(name)
		switch {
		case err != nil:
			return all, wrong(key, "%q is no algorithm that can be chosen; they are %s", name, strings.Join(names(), ", "))
		case seen[x]:
			return all, wrong(key, "%s stands here twice", x)
		}
		seen[x] = true
		if all, err = all.With(x, cms.Use(changes[name])); err != nil {
			return all, wrong(key, "%s", strings.TrimPrefix(err.Error(), "cms: "))
		}
	}
	if err := agent.CanSeal(all); err != nil {
		return all, wrong(table, "%s", strings.TrimPrefix(err.Error(), "agent: "))
	}
	return all, nil
}

// names are those of all algorithms.
func names() (out []string) {
	for x := cms.Algorithm(1); ; x++ {
		if _, err := cms.ParseAlgorithm(x.String()); err != nil {
			return out
		}
		out = append(out, x.String())
	}
}
