package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/relay"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// two installations that trust each other and run.
func two(t *testing.T) (w *gatewaytest.World, a, b *gatewaytest.Practice) {
	t.Helper()
	w = gatewaytest.New(t, "north.example", "south.example")
	w.Trust()
	w.Run()
	return w, w.All[0], w.All[1]
}

// The whole way of a letter: sealed, delivered, opened, trusted, in the mailbox once, and a processed notice back that nobody
// answers. DIR-12, DIR-13, DIR-14, DIR-21, DIR-22, DIR-27, DIR-28, DIR-29, DIR-30, DIR-49, DIR-50, DIR-57.
func TestLetterAndNotice(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("About Grace", "the knee is better", b.Address), b.Address)
	sent := a.Await(t, id, b.Address, transit.Processed)

	mails := b.Inbox(t, 1)
	if len(mails) != 1 || mails[0].Subject != "About Grace" {
		t.Fatalf("mailbox: %+v", mails)
	}
	if text := b.Text(t, mails[0]); !strings.Contains(text, "the knee is better") {
		t.Errorf("the mail reads %q", text)
	}
	wire := sealed(t, a, sent)
	for _, secret := range []string{"Grace", "knee", "Subject:"} {
		if strings.Contains(wire, secret) {
			t.Errorf("the wire shows %q", secret)
		}
	}
	if !strings.Contains(wire, "smime-type=enveloped-data") {
		t.Error("the wire shows no EnvelopedData")
	}

	in := timeline(t, b, mails[0].Message)
	b.Await(t, mails[0].Message, b.Address, transit.Settled)
	notice, err := b.Flow().NoticeOf(t.Context(), in.Recipients[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	out := timeline(t, b, notice)
	if out.Message.Kind != transit.Report || out.Message.Envelope.From.Address != b.Address /* DIR-25 */ || out.Recipients[0].Address != a.Address {
		t.Errorf("the notice: %+v", out)
	}
	if w := sealed(t, b, out.Recipients[0]); strings.Contains(w, "Processed") || !strings.Contains(w, "smime-type=authEnveloped-data") {
		t.Error("the notice is not sealed")
	}
	// DIR-22: a report is answered by nobody, so everything comes to rest: nothing but the deadline is left on a queue.
	for _, p := range []*gatewaytest.Practice{a, b} {
		p.Quiet(t)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d processed notices in the audit, want 1", n)
	}
	if len(a.Inbox(t, 0)) != 0 {
		t.Error("the processed notice shows in the sender's mailbox as mail")
	}
	if n := actions(t, a, "notice.receive"); n != 1 {
		t.Errorf("%d received notices in the audit, want 1", n)
	}
}

// One bad recipient never holds back the good, and the sender learns why: DIR-11, DIR-38, DIR-41.
func TestUnknownRecipientOthersServed(t *testing.T) {
	_, a, b := two(t)
	nobody := addr.Address{Endpoint: "x", Domain: "nowhere.south.example"}
	id := a.Submit(t, a.Letter("s", "t", b.Address, nobody), b.Address, nobody)
	a.Await(t, id, b.Address, transit.Processed)
	a.Await(t, id, nobody, transit.Failed)
	report := a.Text(t, a.Inbox(t, 1)[0])
	for _, want := range []string{"message/delivery-status", "X-Original-Message-ID", "Direct 2.3", nobody.String(), "Action: failed"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, b.Address.String()+"\n") {
		t.Error("the report names a recipient who was served")
	}
}

// A certificate without a trusted anchor: nothing is sealed, nothing is sent. DIR-37, DIR-40.
func TestUntrustedRecipient(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	w.Run()
	a, b := w.All[0], w.All[1]
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	r := a.Await(t, id, b.Address, transit.Failed)
	if r.Delivery != "" {
		t.Error("a message was sealed for an untrusted recipient")
	}
	if report := a.Text(t, a.Inbox(t, 1)[0]); !strings.Contains(report, "Direct 4.2") {
		t.Errorf("the report names no clause of trust:\n%s", report)
	}
	if len(b.Inbox(t, 0)) != 0 {
		t.Error("something arrived")
	}
}

// The receiver does not trust the sender: set aside, no plaintext shown, no answer of any kind. DIR-16, DIR-22, DIR-41. ATT-06.
func TestUntrustedSenderIsNotAnswered(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	a, b := w.All[0], w.All[1]
	a.Admit(t, b) // but not the other way round
	w.Run()
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Sent)
	gatewaytest.Until(t, func() bool { return actions(t, b, "recipient.set-aside") == 1 }, func() string { return "the message to be set aside" })
	b.Quiet(t)
	if len(b.Inbox(t, 0)) != 0 || actions(t, b, "notice.send") != 0 {
		t.Error("an untrusted message was shown or answered")
	}
}

// A revoked certificate is published no more, so nobody seals for it: DIR-32, DIR-60.
func TestRevokedRecipient(t *testing.T) {
	_, a, b := two(t)
	for range 2 { // the second time nothing is left to revoke
		if err := b.Revoke(t.Context(), gatewaytest.Actor); err != nil {
			t.Fatal(err)
		}
	}
	if n := actions(t, b, "certificate.revoke"); n != 1 {
		t.Errorf("%d revocations in the audit", n)
	}
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Failed)
	if report := a.Text(t, a.Inbox(t, 1)[0]); !strings.Contains(report, "no certificate is published") {
		t.Errorf("the report does not say that there is no certificate:\n%s", report)
	}
}

// A signature by a revoked certificate is refused by the revocation list of its own authority, which the receiver fetches: DIR-32,
// DIR-33, DIR-52, DIR-60. The message was under way when the certificate was revoked.
func TestRevokedSender(t *testing.T) {
	_, a, b := two(t)
	a.Valve.Shut()
	id := b.Submit(t, b.Letter("s", "t", a.Address), a.Address)
	b.Await(t, id, a.Address, transit.Sealed)
	if err := b.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	a.Valve.Open()
	gatewaytest.Until(t, func() bool { return actions(t, a, "recipient.set-aside") == 1 }, func() string { return "the message to be set aside" })
	records, err := a.Audit(t.Context(), audit.Filter{Action: "recipient.set-aside"})
	if err != nil || len(records) != 1 || !strings.Contains(fmt.Sprint(records[0].Detail), "revoked") {
		t.Errorf("set aside for another reason: %+v, %v", records, err)
	}
	if len(a.Inbox(t, 0)) != 0 {
		t.Error("the message is shown")
	}
}

// Mail waits while the receiver is down and goes out when it is back.
func TestReceiverDown(t *testing.T) {
	_, a, b := two(t)
	b.Valve.Shut()
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	var r store.Recipient
	gatewaytest.Until(t, func() bool {
		r = timeline(t, a, id).Recipients[0]
		return r.Attempts > 0
	}, func() string { return "an attempt" })
	if r.State != transit.Sealed {
		t.Fatalf("after a failed attempt the recipient is %q", r.State)
	}
	b.Valve.Open()
	a.Await(t, id, b.Address, transit.Processed)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d copies arrived", n)
	}
}

// Damaged, cut, foreign and plain mail: set aside, no report, nothing shown, nothing in the clear on the disk.
func TestDamagedMailIsSetAside(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("s", "the canary sings", b.Address), b.Address)
	good := sealed(t, a, a.Await(t, id, b.Address, transit.Processed))
	head, body, _ := strings.Cut(good, "\r\n\r\n")
	middle := len(body) / 2 / 78 * 78
	cases := map[string]string{
		"flipped": head + "\r\n\r\n" + body[:middle+10] + flip(body[middle+10:middle+11]) + body[middle+11:],
		"cut":     head + "\r\n\r\n" + body[:middle],
		"foreign": strings.Replace(head, "enveloped-data", "signed-data", 1) + "\r\n\r\n" + body,
		"plain":   b.Letter("plain", "no seal", b.Address),
		"empty":   "From: <a@north.example>\r\n\r\n",
	}
	want := 0
	for name, text := range cases {
		want++
		deliver(t, a, b, text)
		gatewaytest.Until(t, func() bool { return actions(t, b, "recipient.set-aside") == want }, func() string { return name + " to be set aside" })
	}
	b.Quiet(t)
	if n := len(b.Inbox(t, 0)); n != 1 {
		t.Errorf("%d mails are shown, want the good one", n)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d notices went out, want one for the good message", n)
	}
}

// The same bytes again are stored once and answered once.
func TestRepeatIsKnown(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	good := sealed(t, a, a.Await(t, id, b.Address, transit.Processed))
	deliver(t, a, b, good)
	deliver(t, a, b, good)
	b.Quiet(t)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d copies are shown", n)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// Nobody has the address: it is not given away at RCPT time; after trust is proven, processed and then failed. DIR-31.
func TestUnknownLocalPart(t *testing.T) {
	_, a, b := two(t)
	nobody := addr.Address{Endpoint: "nobody", Domain: b.Address.Domain}
	id := a.Submit(t, a.Letter("s", "t", nobody), nobody)
	a.Await(t, id, nobody, transit.Failed)
	processedFirst(t, b)
	if report := a.Text(t, a.Inbox(t, 1)[0]); !strings.Contains(report, "nobody has this address") {
		t.Errorf("the report:\n%s", report)
	}
}

// processedFirst looks into the audit of a receiver: a failure notice follows a processed one (Direct 3.3), and that one had left
// before.
func processedFirst(t *testing.T, p *gatewaytest.Practice) {
	t.Helper()
	records, err := p.Audit(t.Context(), audit.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var story []string
	for _, r := range records {
		if r.Action == "notice.send" || r.Action == "recipient.hand-over" {
			story = append(story, strings.TrimSpace(r.Action+" "+r.Detail["kind"]))
		}
	}
	if got, want := strings.Join(story[:min(3, len(story))], ", "), "notice.send processed, recipient.hand-over, notice.send failed"; got != want {
		t.Errorf("the receiver's story is %s; want %s", got, want)
	}
}

// No notice comes in time: the sender is told. The clock of the deadline is the queue's.
func TestDeadline(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	a, b := w.All[0], w.All[1]
	a.Admit(t, b)
	a.Flow().Patience = time.Second
	w.Run()
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Failed)
	if report := a.Text(t, a.Inbox(t, 1)[0]); !strings.Contains(report, "no processed notice") {
		t.Errorf("the report:\n%s", report)
	}
}

// Mail between accounts of one installation takes the same way, sealed to its own certificate.
func TestWithinOneDomain(t *testing.T) {
	_, a, _ := two(t)
	other := addr.Address{Endpoint: "lab", Domain: a.Address.Domain}
	if err := a.AddAccount(t.Context(), gatewaytest.Actor, other); err != nil {
		t.Fatal(err)
	}
	id := a.Submit(t, a.Letter("s", "t", other), other)
	a.Await(t, id, other, transit.Processed)
}

// What cannot be taken is refused at once, with the clause: DIR-09, DIR-46.
func TestSubmitRefuses(t *testing.T) {
	_, a, b := two(t)
	good := a.Letter("s", "t", b.Address)
	stranger := addr.Address{Endpoint: "stranger", Domain: a.Address.Domain}
	for name, tc := range map[string]struct {
		from   addr.Address
		text   string
		clause string
	}{
		"no account":   {stranger, good, "Direct 1.4"},
		"bad date":     {a.Address, strings.Replace(good, "Date: Sat", "Date: Someday", 1), "Direct 2.2"}, // a missing one is added (RFC 6409 §8)
		"no recipient": {a.Address, drop(good, "To:"), "Direct 2.2"},
		"other author": {a.Address, strings.Replace(good, "From: desk", "From: chief", 1), "Direct 2.2"},
		"no header":    {a.Address, "\x00\x01", "RFC 5322 §2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.Flow().Submit(t.Context(), gatewaytest.Actor, transit.Envelope{From: addr.Path{Address: tc.from}, To: []addr.Address{b.Address}}, strings.NewReader(tc.text))
			var r *flow.Refusal
			if !errors.As(err, &r) || r.Clause != tc.clause {
				t.Errorf("%v, want a refusal by %s", err, tc.clause)
			}
		})
	}
}

// Nothing that tells who wrote what to whom lies on the disk in the clear, in any state. DIR-44, NHS-01.
func TestNothingInTheClear(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("canary-subject", "canary-body", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	b.Inbox(t, 1)
	for _, p := range []*gatewaytest.Practice{a, b} {
		noCanary(t, filepath.Join(p.Dir, "data"), "canary-subject", "canary-body", a.Address.String(), b.Address.String(), "PRIVATE KEY")
	}
}

func noCanary(t *testing.T, dir string, canaries ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a draft that has gone
		}
		if err != nil {
			return err
		}
		files++
		for _, c := range canaries {
			if bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(c))) {
				t.Errorf("%s holds %q in the clear", path, c)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files read in %s: %v", files, dir, err)
	}
}

// deliver brings b a message over SMTP as if a had sent it.
func deliver(t *testing.T, a, b *gatewaytest.Practice, text string) {
	t.Helper()
	c := relay.New(relay.Options{Hostname: "mx.north.example", Routes: map[addr.Domain]string{b.Address.Domain: b.Valve.Addr}})
	o := c.Deliver(t.Context(), transit.Consignment{From: addr.Path{Address: a.Address}, To: []addr.Address{b.Address}, Domain: b.Address.Domain, Body: body(text)})
	if len(o.At) != 1 || o.At[0].Result != transit.Delivered {
		t.Fatalf("not delivered: %+v", o)
	}
}

type textBody struct{ *strings.Reader }

func body(s string) transit.Body { return textBody{strings.NewReader(s)} }

func sealed(t *testing.T, p *gatewaytest.Practice, r store.Recipient) string {
	t.Helper()
	b, err := p.Sealed(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func timeline(t *testing.T, p *gatewaytest.Practice, id string) flow.Timeline {
	t.Helper()
	l, err := p.Flow().Timeline(t.Context(), gatewaytest.Actor, id)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// actions counts entries of the audit.
func actions(t *testing.T, p *gatewaytest.Practice, action string) int {
	t.Helper()
	records, err := p.Audit(t.Context(), audit.Filter{Action: action, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// drop leaves out the header field that begins with name.
func drop(text, name string) string {
	i := strings.Index(text, name)
	j := i + strings.Index(text[i:], "\r\n") + 2
	return text[:i] + text[j:]
}

// flip gives another base64 character.
func flip(c string) string {
	if c == "A" {
		return "B"
	}
	return "A"
}
