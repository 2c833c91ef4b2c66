package flow_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/flow"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/trust/certtest"
)

// named is a directory that has certificates of addresses and of domains: those of an address are the only ones where it has any (Direct 5.2).
type named map[string][]certtest.Pair

func (n named) Lookup(_ context.Context, a addr.Address) (out []discovery.Found, _ []discovery.Step, _ error) {
	for _, name := range []string{a.Key(), a.Domain.String()} {
		for _, p := range n[name] {
			out = append(out, discovery.Found{Certificate: p.Certificate, Source: "test", Name: name})
		}
		if len(out) > 0 {
			break
		}
	}
	return out, nil, nil
}

// Certificates of addresses and of domains side by side, at both ends: who is found, what is sealed for whom, who opens it, who answers. DIR-04, DIR-13.
func TestAddressAndDomainSideBySide(t *testing.T) {
	s := newSide(t)
	there := addr.Address{Endpoint: "a", Domain: "both.example"}      // has one of its own beside the organisation's
	beside := addr.Address{Endpoint: "b", Domain: "both.example"}     // has the organisation's alone
	alone := addr.Address{Endpoint: "c", Domain: "alone.example"}     // has its own, and its organisation has none
	neighbour := addr.Address{Endpoint: "d", Domain: "alone.example"} // has none at all
	ended := addr.Address{Endpoint: "e", Domain: "both.example"}      // has its own, which has ended: the organisation's is not asked for
	dir := named{
		there.Key(): {s.ca.Issue(t, there.String())}, "both.example": {s.ca.Issue(t, "both.example")}, alone.Key(): {s.ca.Issue(t, alone.String())},
		ended.Key(): {s.ca.Issue(t, ended.String(), certtest.Until(s.now.AddDate(0, 0, -1)))},
	}
	s.Flow.Directory = dir
	for _, ps := range dir {
		s.others[addr.Domain(fmt.Sprint(len(s.others), ".keys.example"))] = ps[0] // so that letters opens theirs
	}
	letters := s.letters()
	id := s.submit("to all", there, beside, alone, neighbour, ended)
	s.step("outbound")
	for range s.works("deliver") {
		s.step("deliver")
	}
	for a, want := range map[addr.Address]transit.State{there: transit.Sent, beside: transit.Sent, alone: transit.Sent, neighbour: transit.Failed, ended: transit.Failed} {
		if r := s.recipient(id, a); r.State != want {
			t.Errorf("%s is %q\n%s", a, r.State, s.told(id))
		}
	}
	if len(*letters) != 2 { // one for each domain
		t.Fatalf("%d sealed messages", len(*letters))
	}
	for _, l := range *letters {
		want := map[addr.Domain]int{"both.example": 2, "alone.example": 1}[l.to[0].Domain]
		if l.Recipients != want || len(l.to) != want {
			t.Errorf("%s: sealed for %d certificates, to %d", l.to[0].Domain, l.Recipients, len(l.to))
		}
	}
}

// Ours: an address with a certificate of its own beside the organisation's opens what is sealed for either, and signs with its own; another of ours
// opens what is sealed for the organisation, and nothing that is sealed for that address.
func TestOwnAddressBesideDomain(t *testing.T) {
	s := newSide(t)
	s.account(second)
	personal := s.ca.Issue(t, desk.String())
	s.certify(store.Owner{Address: desk}, personal)
	theirs := s.others[lab.Domain]
	for _, tc := range []struct {
		name         string
		to           []*x509.Certificate
		desk, second transit.State
	}{
		{"the organisation", []*x509.Certificate{s.own.Certificate}, transit.Opened, transit.Opened},
		{"the address", []*x509.Certificate{personal.Certificate}, transit.Opened, transit.Aside},
		{"the organisation, then the address", []*x509.Certificate{s.own.Certificate, personal.Certificate}, transit.Opened, transit.Opened},
		{"the address, then the organisation", []*x509.Certificate{personal.Certificate, s.own.Certificate}, transit.Opened, transit.Opened},
	} {
		id := s.arrives(addr.Path{Address: lab}, s.sealFor(letter(lab, tc.name, desk, second), theirs, tc.to...), desk, second)
		if a, b := s.recipient(id, desk), s.recipient(id, second); a.State != tc.desk || b.State != tc.second {
			t.Errorf("%s: %q and %q\n%s", tc.name, a.State, b.State, s.told(id))
		}
	}
	// Each answers by what it has.
	letters := s.letters()
	for range s.works("notice") {
		s.step("notice")
	}
	for range s.works("outbound") {
		s.step("outbound")
	}
	for range s.works("deliver") {
		s.step("deliver")
	}
	if len(*letters) != 7 {
		t.Errorf("%d answers", len(*letters))
	}
	for _, l := range *letters {
		want := map[addr.Address]*x509.Certificate{desk: personal.Certificate, second: s.own.Certificate}[l.from.Address]
		if !l.Signatures[0].Certificate.Equal(want) {
			t.Errorf("%s answers by another's certificate", l.from.Address)
		}
	}
}

// Among ourselves the address's own certificate is the only one too: who holds the organisation's key does not read on. Direct 5.2.
func TestWithinOneHouse(t *testing.T) {
	s := newSide(t)
	s.account(second)
	personal := s.ca.Issue(t, second.String())
	s.certify(store.Owner{Address: second}, personal)
	id := s.submit("in the house", second, desk)
	s.step("outbound")
	l, err := s.Timeline(t.Context(), by, id)
	s.must(err)
	if n := len(l.Recipients); n != 2 {
		t.Fatal(n)
	}
	for _, e := range l.Events {
		if e.To == string(transit.Failed) {
			t.Error(e.Detail)
		}
	}
	s.step("deliver")
	s.step("inbound")
	for _, a := range []addr.Address{second, desk} {
		mails, err := s.Mailboxes.List(t.Context(), by, a, "INBOX", 0, 10)
		if err != nil || len(mails) != 1 {
			t.Errorf("%s has %d, %v", a, len(mails), err)
		}
	}
	found, _, err := flow.LocalLookup(s.Flow, t.Context(), second)
	if err != nil || len(found) != 1 || !found[0].Certificate.Equal(personal.Certificate) {
		t.Errorf("%d certificates, %v", len(found), err)
	}
	if found, _, err := flow.LocalLookup(s.Flow, t.Context(), desk); err != nil || len(found) != 1 || !found[0].Certificate.Equal(s.own.Certificate) {
		t.Errorf("of another: %d, %v", len(found), err)
	}
}

// What was sealed for one of us is not for another because somebody adds a RecipientInfo that names her: nothing authenticates these. ATT-13.
func TestAddedRecipient(t *testing.T) {
	s := newSide(t)
	s.account(second)
	personal := s.ca.Issue(t, desk.String())
	s.certify(store.Owner{Address: desk}, personal)
	theirs := s.others[lab.Domain]
	for _, first := range []*x509.Certificate{personal.Certificate, s.own.Certificate} {
		captured := s.sealFor(letter(lab, "for the desk alone", desk), theirs, personal.Certificate)
		added := s.sealFor(letter(lab, "another letter", second), theirs, s.own.Certificate)
		id := s.arrives(addr.Path{Address: lab}, spliced(t, captured, added, first == s.own.Certificate), desk, second)
		if r := s.recipient(id, second); r.State != transit.Aside {
			t.Errorf("named by somebody else: %q", r.State)
		}
		if r := s.recipient(id, desk); first == personal.Certificate && r.State != transit.Opened {
			t.Errorf("for whom it was sealed: %q", r.State)
		}
	}
	if mails, err := s.Mailboxes.List(t.Context(), by, second, "INBOX", 0, 10); err != nil || len(mails) != 0 {
		t.Errorf("%d letters, %v", len(mails), err)
	}
}

// spliced is the message a with the RecipientInfos of b beside its own, before or behind them.
func spliced(t *testing.T, a, b []byte, before bool) []byte {
	t.Helper()
	begin := []byte{0x30, 0x80, 2, 1, 0} // the EnvelopedData and its version
	cut := func(sealed []byte) (head, der, infos []byte, rest cryptobyte.String) {
		h, body, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
		der, err := io.ReadAll(message.NewBase64Reader(bytes.NewReader(body)))
		i := bytes.Index(der, begin)
		if err != nil || i < 0 {
			t.Fatal(err, i)
		}
		rest = cryptobyte.String(der[i+len(begin):])
		var set cryptobyte.String
		if !rest.ReadASN1(&set, asn1.SET) {
			t.Fatal("no recipientInfos")
		}
		return h, der[:i+len(begin)], set, rest
	}
	head, der, infos, rest := cut(a)
	_, _, more, _ := cut(b)
	if before {
		infos, more = more, infos
	}
	var set cryptobyte.Builder
	set.AddASN1(asn1.SET, func(c *cryptobyte.Builder) { c.AddBytes(infos); c.AddBytes(more) })
	out := bytes.NewBuffer(append(slices.Clone(head), "\r\n\r\n"...))
	w := message.NewBase64Writer(out)
	for _, part := range [][]byte{der, set.BytesOrPanic(), rest} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
