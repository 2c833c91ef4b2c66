package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"carepost/internal/hook"
)

// Webhook is a URL that is told what becomes of messages.
type Webhook struct {
	URL    string
	Events []string // nil: all
	Secret Secret
	Place  netip.AddrPort // of a host inside the house; zero: it is outside
}

// webhook is one [[webhook]].
type webhook struct {
	URL     string    `toml:"url"`
	Events  []string  `toml:"events"`
	Secret  string    `toml:"secret_file"`
	Address ipAddress `toml:"address"`
}

// webhooks is what the tables [[webhook]] say. What goes by http alone stays inside the house.
func webhooks(all []webhook, within func(string) string, wrong func(key, format string, a ...any) error) (out []Webhook, err error) {
	for i, w := range all {
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			return nil, wrong("webhook", "webhook %d: url is no URL such as https://host.example/path", i+1)
		}
		at := netip.Addr(w.Address)
		if literal, err := netip.ParseAddr(u.Hostname()); err == nil && !at.IsValid() && (literal.IsLoopback() || literal.IsPrivate()) {
			at = literal
		}
		if u.Scheme == "http" && !at.IsValid() {
			return nil, wrong("webhook", "webhook %d: http is for hosts inside the house, whose address is named; others want https", i+1)
		}
		if port := portOf(u); !at.IsValid() && port != 443 {
			return nil, wrong("webhook", "webhook %d: port %d is not that of https; a host inside the house has any, once its address is named", i+1, port)
		}
		if w.Secret == "" {
			return nil, wrong("webhook", "webhook %d: secret_file is missing: receivers know by it that we speak", i+1)
		}
		for _, e := range w.Events {
			if !slices.Contains(hook.Events(), e) {
				return nil, wrong("webhook", "webhook %d: %q is none of %s", i+1, e, strings.Join(hook.Events(), ", "))
			}
		}
		if slices.ContainsFunc(out, func(o Webhook) bool { return o.URL == w.URL }) {
			return nil, wrong("webhook", "webhook %d: the url stands there twice", i+1)
		}
		h := Webhook{URL: w.URL, Events: w.Events, Secret: Secret{File: within(w.Secret)}}
		if at.IsValid() {
			h.Place = netip.AddrPortFrom(at, portOf(u))
		}
		out = append(out, h)
	}
	return out, nil
}

func portOf(u *url.URL) uint16 {
	if at, err := netip.ParseAddrPort("0.0.0.0:" + u.Port()); err == nil {
		return at.Port()
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
