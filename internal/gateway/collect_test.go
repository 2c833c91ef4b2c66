package gateway_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/collect"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/relay"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/sasl"
	"carepost/sasl/dovecottest"
	"carepost/smtp/smtptest"
)

// provider takes mail from who signs in, and lays it into a mailbox of Dovecot, as a delivery agent does.
func provider(t *testing.T, box *dovecottest.Server, user string) relay.Through {
	t.Helper()
	cert, roots, err := smtptest.Certificate("mail.provider.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtpd.New(smtpd.Options{Hostname: "mail.provider.example", TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Auth: func(_ context.Context, _ smtpd.Session, name, password string) (addr.Address, error) {
			if name != "south" || password != "their secret" {
				return addr.Address{}, smtpd.ErrCredentials
			}
			return addr.Parse("desk@south.example")
		},
		Accept: func(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
			text, err := io.ReadAll(body)
			if err == nil {
				box.Put(t, user, "Return-Path: "+env.From.String()+"\r\n"+string(text))
			}
			return "1", err
		}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return relay.Through{Address: l.Addr().String(), TLS: &tls.Config{RootCAs: roots}, Credentials: sasl.Credentials{User: "south", Password: "their secret"}}
}

// A practice that nobody can call: its partner's provider takes the mail, Dovecot keeps it, and it is fetched, opened, answered and removed; once,
// by either protocol. What is no mail stays at the provider. DCM-30.
func TestPracticeWithoutConnection(t *testing.T) {
	for name, pop := range map[string]bool{"IMAP": false, "POP3": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := dovecottest.Start(t, map[string]string{"north": "our secret"})
			through := provider(t, box, "north")
			through.Domains = []addr.Domain{"north.example"}
			w := gatewaytest.NewWith(t, func(o *gateway.Options) {
				if o.Domain == "south.example" {
					o.Network.Through = []relay.Through{through}
					return
				}
				at := box.IMAP
				if pop {
					at = box.POP3S
				}
				o.Collects = []collect.Source{{Name: "provider", For: addr.Address{Endpoint: "desk", Domain: "north.example"}, POP3: pop, Address: at, Implicit: pop,
					TLS: &tls.Config{RootCAs: box.Roots}, Credentials: sasl.Credentials{User: "north", Password: "our secret"}, Manual: true, Largest: 1 << 20}}
			}, "north.example", "south.example")
			w.Trust()
			w.Run()
			north, south := w.All[0], w.All[1]
			id := south.Submit(t, south.Letter("About Grace", strings.Repeat("the knee is better\r\n", 5000), north.Address), north.Address)
			south.Await(t, id, north.Address, transit.Sent)
			box.Put(t, "north", "Subject: a newsletter\r\n\r\nfor everybody")
			box.Put(t, "north", "Subject: too large\r\n\r\n"+strings.Repeat("0123456789\r\n", 1<<20/10))
			if pop { // Dovecot mends line ends, and gives a NUL as what it is by POP3 alone
				box.Put(t, "north", "Subject: odd\r\n\r\nNUL \x00 in it\r\n")
			}

			got := fetchNow(t, north)
			refused := 1
			if pop {
				refused = 2
			}
			if len(got.Mailboxes) != 1 || got.Mailboxes[0] != (admind.FetchedFrom{Name: "provider", Taken: 2, Refused: refused, Removed: 2}) {
				told, err := north.Collecting(t.Context())
				t.Fatalf("%+v; %+v, %v", got, told, err)
			}
			south.Await(t, id, north.Address, transit.Processed)
			if mails := north.Inbox(t, 1); len(mails) != 1 || !strings.Contains(north.Text(t, mails[0]), "the knee is better") {
				t.Errorf("%d mails", len(mails))
			}
			if n := box.Count(t, "north"); n != refused {
				t.Errorf("%d mails lie at the provider", n)
			}
			if n := actions(t, north, "collect.refuse"); n != refused {
				t.Errorf("%d refusals in the audit", n)
			}
			if got := fetchNow(t, north); got.Mailboxes[0] != (admind.FetchedFrom{Name: "provider"}) {
				t.Errorf("once more: %+v", got)
			}
			if len(north.Inbox(t, 1)) != 1 || actions(t, north, "recipient.set-aside") != 1 {
				t.Error("the letter came twice, or the newsletter did not come")
			}
		})
	}
}

// fetchNow is carepost fetch.
func fetchNow(t *testing.T, p *gatewaytest.Practice) admind.Fetched {
	t.Helper()
	got, err := p.FetchNow(t.Context(), gatewaytest.Actor, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
