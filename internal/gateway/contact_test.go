package gateway_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/flow"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// waiting waits for one request on p.
func waiting(t *testing.T, p *gatewaytest.Practice) flow.Request {
	t.Helper()
	for range 600 {
		all, err := p.Flow().Requests(t.Context(), gatewaytest.Actor)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			return all[0]
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no request came")
	return flow.Request{}
}

func vouch(t *testing.T, p *gatewaytest.Practice, r flow.Request) {
	t.Helper()
	_, n, err := p.Vouch(t.Context(), gatewaytest.Actor, admin.NewPin{Owner: admin.Owner{Address: r.To}, Address: r.Sender, Certificate: r.Certificate, Vouched: "by telephone"})
	if err != nil || n != 1 {
		t.Fatalf("%d letters judged again, %v", n, err)
	}
}

func signing(t *testing.T, p *gatewaytest.Practice) *x509.Certificate {
	t.Helper()
	_, text, err := p.ExportIdentity(t.Context(), gatewaytest.Actor)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Two practices without a common anchor: one says hello, the other sees it set aside with its fingerprint, calls, and accepts; the answer
// introduces it in its turn. From then on they write, and nobody else of either side is believed. Direct 4.2.3, DIR-41.
func TestFirstContact(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	a, b := w.All[0], w.All[1]
	w.Run()
	hello, cert, err := a.Flow().Hello(t.Context(), gatewaytest.Actor, a.Address, b.Address)
	if err != nil {
		t.Fatal(err)
	}
	at := waiting(t, b)
	if !at.Sender.Equal(a.Address) || !at.To.Equal(b.Address) || !at.Certificate.Equal(cert) || !cert.Equal(signing(t, a)) {
		t.Fatalf("%+v", at)
	}
	b.Await(t, at.Message, b.Address, transit.Aside)
	if len(b.Inbox(t, 0)) != 0 || actions(t, b, "notice.send") != 0 {
		t.Fatal("shown or answered before anybody vouched")
	}
	// Mail with content is not sent on the strength of a hello.
	early := a.Submit(t, a.Letter("About Grace", "the knee is better", b.Address), b.Address)
	a.Await(t, early, b.Address, transit.Failed)

	vouch(t, b, at)
	if text := b.Text(t, b.Inbox(t, 1)[0]); !strings.Contains(text, "This letter introduces") || strings.Contains(text, "Grace") {
		t.Errorf("the hello reads %q", text)
	}
	b.Await(t, at.Message, b.Address, transit.Aside) // its history stays
	back := waiting(t, a)                            // the notice
	if !back.Sender.Equal(b.Address) || !back.Certificate.Equal(signing(t, b)) {
		t.Fatalf("%+v", back)
	}
	a.Await(t, hello, b.Address, transit.Sent)
	vouch(t, a, back)
	a.Await(t, hello, b.Address, transit.Processed)

	id := a.Submit(t, a.Letter("About Grace", "the knee is better", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	id = b.Submit(t, b.Letter("Thanks", "good to hear", a.Address), a.Address)
	b.Await(t, id, a.Address, transit.Processed)

	// The certificate speaks for the whole of south.example, and is believed for one address of it.
	other := addr.Address{Endpoint: "other", Domain: b.Address.Domain}
	if err := b.AddAccount(t.Context(), gatewaytest.Actor, other); err != nil {
		t.Fatal(err)
	}
	id = a.Submit(t, a.Letter("About Grace", "the knee is better", other), other)
	a.Await(t, id, other, transit.Failed)
	if n := actions(t, a, "pin.add"); n != 1 {
		t.Errorf("%d pins in the audit", n)
	}
}

// What is no introduction.
func TestNoHello(t *testing.T) {
	_, a, b := two(t)
	if err := a.Gateway.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.Flow().Hello(t.Context(), gatewaytest.Actor, a.Address, b.Address)
	if err == nil {
		t.Error("a hello was signed with a revoked certificate")
	}
	if _, _, err := b.Flow().Hello(t.Context(), gatewaytest.Actor, b.Address, b.Address); err == nil {
		t.Error("a hello to oneself")
	}
	if _, _, err := b.Flow().Hello(t.Context(), gatewaytest.Actor, a.Address, b.Address); err == nil {
		t.Error("a hello in somebody else's name")
	}
}
