package gateway_test

import (
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
	"carepost/resolver"
)

// Several Health Domains in one installation: each is found, written to, answers and writes under its own certificate, and none speaks for
// another (DIR-01, DIR-34, DIR-42).
func TestSeveralDomains(t *testing.T) {
	others := []addr.Domain{"eye.north.example", "west.example"}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		if o.Domain == "north.example" {
			o.Domains = others
			return
		}
		for _, d := range others {
			o.Network.Stub[d], o.Network.Routes[d] = o.Network.Stub["north.example"], o.Network.Routes["north.example"]
		}
	}, "north.example", "south.example")
	north, south := w.All[0], w.All[1]
	w.Trust()
	var ours []addr.Address
	for _, d := range others {
		a := addr.Address{Endpoint: "desk", Domain: d}
		ours = append(ours, a)
		if err := north.AddAccount(t.Context(), gatewaytest.Actor, a); err != nil {
			t.Fatal(err)
		}
	}
	w.Run()
	asked := resolver.Client{Servers: []string{north.Hears.DNSTCP.Addr().String()}}
	seen := map[string]bool{}
	for _, d := range append(others, "north.example") {
		found, err := asked.CERT(t.Context(), d.String())
		if err != nil || len(found) != 1 || seen[string(found[0].Data)] {
			t.Fatalf("%s: %d certificates, %v", d, len(found), err)
		}
		seen[string(found[0].Data)] = true
		if mx, err := asked.MX(t.Context(), d); err != nil || len(mx) != 1 || mx[0].Host != "mx.north.example" {
			t.Errorf("%s: %v, %v", d, mx, err)
		}
		if told, err := north.ToldOf(t.Context(), d); err != nil || told.Domain != d || len(told.Certificates) != 1 || !strings.Contains(told.LDIF, "o: "+d.String()) {
			t.Errorf("%s: %+v, %v", d, told, err)
		}
	}
	if _, err := north.ToldOf(t.Context(), "other.example"); err == nil {
		t.Error("somebody else's domain is told of")
	}
	id := south.Submit(t, south.Letter("to all", "one letter", append(ours, north.Address)...), append(ours, north.Address)...)
	for _, a := range append(ours, north.Address) {
		south.Await(t, id, a, transit.Processed)
	}
	for _, a := range ours {
		text := strings.Replace(north.Letter("from each", "a letter", south.Address), north.Address.String(), a.String(), 1)
		sent, err := north.Flow().Submit(t.Context(), gatewaytest.Actor, transit.Envelope{From: addr.Path{Address: a}, To: []addr.Address{south.Address}}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		north.Await(t, sent, south.Address, transit.Processed)
	}
	within := north.Submit(t, north.Letter("within", "from one to the other", ours[1]), ours[1])
	north.Await(t, within, ours[1], transit.Processed)
	south.Inbox(t, 2)
	if err := north.AddAccount(t.Context(), gatewaytest.Actor, addr.Address{Endpoint: "desk", Domain: "other.example"}); err != admin.ErrNoDomain {
		t.Errorf("an account of a domain that is not ours: %v", err)
	}
}
