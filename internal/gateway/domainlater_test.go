package gateway_test

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
	"carepost/resolver"
)

// A domain that comes to an installation with partners trusts them as the others do, and what was there stays. Its mail is judged, and its
// certificate told of when it is revoked, under its own name.
func TestDomainAddedLater(t *testing.T) {
	later := addr.Domain("west.example")
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		if o.Domain == "south.example" {
			o.Network.Stub[later], o.Network.Routes[later] = o.Network.Stub["north.example"], o.Network.Routes["north.example"]
		}
	}, "north.example", "south.example")
	north, south := w.All[0], w.All[1]
	if err := south.TrustCard(t.Context(), gatewaytest.Actor, north.Anchor(), "north.example"); err != nil {
		t.Fatal(err)
	}
	if err := north.TrustCard(t.Context(), gatewaytest.Actor, south.Anchor(), "south.example"); err != nil {
		t.Fatal(err)
	}
	north.Reopen(t, func(o *gateway.Options) { o.Domains = []addr.Domain{later} })
	w.Run()
	ours, theirs := addr.Address{Endpoint: "desk", Domain: later}, addr.Address{Endpoint: "postmaster", Domain: "south.example"}
	for p, a := range map[*gatewaytest.Practice]addr.Address{north: ours, south: theirs} {
		if err := p.AddAccount(t.Context(), gatewaytest.Actor, a); err != nil {
			t.Fatal(err)
		}
	}
	id := south.Submit(t, south.Letter("to west", "a letter", ours), ours)
	south.Await(t, id, ours, transit.Processed)
	anchors, err := operator(t, north).Anchors(t.Context(), later.String())
	if err != nil || !slices.ContainsFunc(anchors, func(a admind.Anchor) bool { return a.Source == "card of south.example" }) {
		t.Errorf("%+v, %v", anchors, err)
	}

	told, err := north.ToldOf(t.Context(), later)
	if err != nil || len(told.Certificates) != 1 {
		t.Fatalf("%+v, %v", told, err)
	}
	revoked, err := operator(t, north).Revoke(t.Context(), admind.RevokeOrder{Which: told.Certificates[0].SHA256, Reason: "keyCompromise", Tell: true})
	if err != nil || len(revoked.Told) != 1 {
		t.Fatalf("%+v, %v", revoked, err)
	}
	north.Await(t, revoked.Told[0].Message, theirs, transit.Processed)
	mail := postmastersLetter(t, south)
	for _, want := range []string{"From: postmaster@west.example", "Subject: A certificate of west.example is revoked", "of             west.example"} {
		if !strings.Contains(mail, want) {
			t.Errorf("the letter lacks %q:\n%s", want, mail)
		}
	}
	if strings.Contains(strings.ToLower(mail), "north.example is revoked") {
		t.Errorf("the letter names another domain:\n%s", mail)
	}
}

func dig(t *testing.T, p *gatewaytest.Practice, name, kind string) string {
	t.Helper()
	ip, port, _ := net.SplitHostPort(p.Hears.DNSTCP.Addr().String())
	out, err := exec.CommandContext(t.Context(), "dig", "-r", "@"+ip, "-p", port, "+tries=3", name, kind).Output()
	if err != nil {
		t.Fatalf("dig: %v", err)
	}
	return string(out)
}

// Zones below zones of ours: a name is answered by the longest, which has all certificates of that name, whoever's they are; names between
// exist (RFC 8020), and zones that are loaded elsewhere are delegated.
func TestNestedDomains(t *testing.T) {
	nested := []addr.Domain{"eye.north.example", "lid.of.eye.north.example", "hand.of.north.example"}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) { o.Domains = nested }, "north.example")
	north := w.All[0]
	person := addr.Address{Endpoint: "eye", Domain: "north.example"}
	if err := north.AddAccount(t.Context(), gatewaytest.Actor, person); err != nil {
		t.Fatal(err)
	}
	w.Run()
	issued, err := operator(t, north).Issue(t.Context(), admind.PilotOrder{Owner: person.String(), Kind: "p256", Use: "both"})
	if err != nil {
		t.Fatal(err)
	}
	if len(issued.Warnings) != 1 || !strings.Contains(issued.Warnings[0], "eye@north.example share the name eye.north.example") {
		t.Errorf("warnings: %q", issued.Warnings)
	}
	asked := resolver.Client{Servers: []string{north.Hears.DNSTCP.Addr().String()}}
	found, err := asked.CERT(t.Context(), "eye.north.example")
	if err != nil || len(found) != 2 {
		t.Errorf("at the name of a person and a domain: %d certificates, %v", len(found), err)
	}
	for _, between := range []string{"of.north.example", "of.eye.north.example"} {
		if out := dig(t, north, between, "NS"); !strings.Contains(out, "NOERROR") || strings.Contains(out, "ANSWER SECTION") {
			t.Errorf("%s, below which names are:\n%s", between, out)
		}
	}
	if out := dig(t, north, "no.eye.north.example", "CERT"); !strings.Contains(out, "NXDOMAIN") || !strings.Contains(out, "hostmaster.eye.north.example") {
		t.Errorf("a name that is not there:\n%s", out)
	}
	for d, cuts := range map[addr.Domain][]string{
		"north.example": {"eye.north.example.", "hand.of.north.example."}, "eye.north.example": {"lid.of.eye.north.example."}, nested[1]: nil,
	} {
		told, err := north.ToldOf(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(told.Zone) {
			if f := strings.Fields(line); f[3] == "NS" && f[0] != d.String()+"." {
				got = append(got, f[0])
			}
		}
		if slices.Sort(got); !slices.Equal(got, cuts) {
			t.Errorf("%s delegates %q, want %q", d, got, cuts)
		}
	}
	told, err := north.ToldOf(t.Context(), "eye.north.example")
	if err != nil || len(told.Certificates) != 1 || len(told.Warnings) != 1 || !strings.Contains(told.Warnings[0], "share the name") || strings.Count(told.Records, "CERT") != 2 {
		t.Errorf("%+v, %v", told, err)
	}
}
