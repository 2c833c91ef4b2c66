package dcdt

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/internal/fetch"
	"carepost/resolver"
	"carepost/trust"
)

// agent is a Security/Trust Agent with nothing in its caches, which asks the tool's servers.
func (s *stage) agent() *agent.Agent {
	web, err := url.Parse(s.web.URL)
	if err != nil {
		panic(err)
	}
	port, _ := strconv.Atoi(web.Port())
	guarded := fetch.New(fetch.Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{uint16(port)}})
	r := &resolver.Client{Servers: []string{s.dns}, Cache: resolver.NewCache(0, time.Now)}
	return &agent.Agent{
		Directory: &discovery.Finder{Resolver: r, Fetcher: guarded, Dial: new(net.Dialer).DialContext, Cache: discovery.NewCache(0, 0, time.Now)},
		Judge:     trust.NewJudge(guarded),
	}
}
