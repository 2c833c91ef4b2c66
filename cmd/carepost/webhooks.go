package main

import (
	"fmt"
	"net/netip"

	"carepost/internal/config"
	"carepost/internal/hook"
)

// webhooksOf reads the secrets of the webhooks, and tells which places inside the house they lead to.
func webhooksOf(c *config.Config) (hooks []hook.Hook, places []netip.AddrPort, err error) {
	for _, w := range c.Webhooks {
		text, err := w.Secret.Read()
		if err != nil {
			return nil, nil, err
		}
		secret, err := hook.Secret(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", w.Secret.File, err)
		}
		hooks = append(hooks, hook.Hook{URL: w.URL, Events: w.Events, Secret: secret})
		if w.Place.IsValid() {
			places = append(places, w.Place)
		}
	}
	return hooks, places, nil
}
