package gateway_test

import (
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// words finds what a timeline tells under a name.
func words(t *testing.T, p *gatewaytest.Practice, id, name string) string {
	t.Helper()
	for _, e := range timeline(t, p, id).Events {
		for line := range strings.SplitSeq(e.Detail, "\n") {
			if words, ok := strings.CutPrefix(line, name+": "); ok {
				return words
			}
		}
	}
	t.Fatalf("nothing is told of %q", name)
	return ""
}

// What a partner announces in a signed message is used from then on, not before; our own table has the last word. DIR-19; RFC 8551 §2.7.1.
func TestAnnouncedAlgorithms(t *testing.T) {
	algorithms, err := cms.V12.Algorithms().With(cms.AES256GCM, cms.Refuse)
	if err == nil {
		algorithms, err = algorithms.With(cms.AES128GCM, cms.Accept)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		if o.Domain == addr.Domain("west.example") {
			o.Algorithms = algorithms
		}
	}, "north.example", "south.example", "west.example")
	w.Trust()
	w.Run()
	north, south, west := w.All[0], w.All[1], w.All[2]
	send := func(from, to *gatewaytest.Practice) (told, wire string) {
		id := from.Submit(t, from.Letter("s", "t", to.Address), to.Address)
		r := from.Await(t, id, to.Address, transit.Processed)
		return words(t, from, id, "sealed"), sealed(t, from, r)
	}
	for _, c := range []struct {
		name     string
		from, to *gatewaytest.Practice
		told     string
		wire     string
	}{
		{"nothing is known of the partner", north, south, "AES-256-CBC for 1 certificate by RSAES-PKCS1", "enveloped-data"},
		{"it has signed a notice", north, south, "AES-256-GCM for 1 certificate by RSAES-OAEP-SHA-256", "authEnveloped-data"},
		{"it has had our letters", south, north, "AES-256-GCM for 1 certificate by RSAES-OAEP-SHA-256", "authEnveloped-data"},
		{"a partner that reads less", north, west, "AES-256-CBC for 1 certificate by RSAES-PKCS1", "enveloped-data"},
		{"and has said so", north, west, "AES-128-GCM for 1 certificate by RSAES-OAEP-SHA-256", "authEnveloped-data"},
		{"who does not make what the partner reads", west, north, "AES-256-CBC for 1 certificate by RSAES-OAEP-SHA-256", "enveloped-data"},
	} {
		told, wire := send(c.from, c.to)
		if !strings.Contains(told, "encrypted "+c.told) || !strings.Contains(wire, "smime-type="+c.wire) {
			t.Errorf("%s: %s; wire %s", c.name, told, wire[:strings.Index(wire, "\r\n\r\n")])
		}
	}
	mails := south.Inbox(t, 2)
	if told := words(t, south, mails[1].Message, "opened"); !strings.Contains(told, "AES-256-GCM by RSAES-OAEP-SHA-256") {
		t.Errorf("on the other side: %s", told)
	}
}
