package gateway_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// remembering makes two practices, of which the second has written to the first, and how the first reaches others.
func remembering(t *testing.T, remember bool) (a, b *gatewaytest.Practice, n gateway.Network) {
	t.Helper()
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		if remember {
			o.Network.Discovery.Remember = true
		}
		if o.Domain == "north.example" {
			n = o.Network
		}
	}, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b = w.All[0], w.All[1]
	id := b.Submit(t, b.Letter("first", "hello", a.Address), a.Address)
	b.Await(t, id, a.Address, transit.Processed) // the answer took b's certificate from DNS
	a.Quiet(t)
	return a, b, n
}

// source is where a finds the certificate of b.
func source(t *testing.T, a *gatewaytest.Practice, b addr.Address) (string, error) {
	t.Helper()
	found, _, err := a.Lookup(t.Context(), b)
	if len(found) == 0 {
		return "", err
	}
	return found[0].Source, err
}

// Certificates of trusted signed mail serve where the installation wants it, and then only where nothing else answers: what is published
// goes before them. DIR-11.
func TestRemembered(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0") // a name server that knows nothing and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, remember := range map[string]bool{"off, as it is by default": false, "on": true} {
		t.Run(name, func(t *testing.T) {
			a, b, n := remembering(t, remember)
			if from, err := source(t, a, b.Address); err != nil || from != discovery.SourceCERT {
				t.Errorf("published: taken from %q, %v", from, err)
			}
			n.Stub = map[addr.Domain][]string{b.Address.Domain: {silent.LocalAddr().String()}}
			n.Discovery.Deadline = time.Second
			a.Reach(n) // with nothing in its caches
			from, err := source(t, a, b.Address)
			if want := map[bool]string{true: discovery.SourceRemembered}[remember]; from != want || (err == nil) != remember {
				t.Errorf("no answer: taken from %q, %v", from, err)
			}
			id := a.Submit(t, a.Letter("second", "and you", b.Address), b.Address)
			if !remember {
				gatewaytest.Until(t, func() bool {
					works, err := a.Queue(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return slices.ContainsFunc(works, func(w store.Work) bool { return w.Kind == "outbound" && w.Error != "" })
				}, func() string { return "the first try to be put off" })
				a.Await(t, id, b.Address, transit.Accepted)
				return
			}
			a.Await(t, id, b.Address, transit.Sent)
			if got := b.Text(t, b.Inbox(t, 1)[0]); got == "" {
				t.Error("it came empty")
			}
		})
	}
}
