package lossy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// side is one gateway, which may be between two lives.
type side struct {
	*gatewaytest.Practice
	lives sync.RWMutex // held for reading by those who use the gateway
	sent  []letter
	over  map[string]bool // by id: nobody of theirs is awaited any more
	mu    sync.Mutex
}

// letter is a message that a gateway took.
type letter struct {
	id, messageID string
	to            []addr.Address
	final         bool // a notice of the final delivery is asked for
}

// using runs do while the gateway lives.
func (s *side) using(do func()) {
	s.lives.RLock()
	defer s.lives.RUnlock()
	do()
}

// again ends a life of the gateway and begins the next.
func (s *side) again(t *testing.T) {
	s.lives.Lock()
	defer s.lives.Unlock()
	s.Reopen(t)
	s.Start(t)
}

// write submits a letter to the account of the other side; every tenth one also to somebody whom nobody knows there. Every fifth asks for a
// notice of the final delivery.
func (s *side) write(t *testing.T, n int, other *side) {
	l := letter{messageID: fmt.Sprintf("<%d.%d@%s>", n, rand.Uint64(), s.Address.Domain), to: []addr.Address{other.Address}, final: n%5 == 1}
	if n%10 == 0 {
		l.to = append(l.to, addr.Address{Endpoint: "nobody", Domain: other.Address.Domain})
	}
	var names []string
	for _, a := range l.to {
		names = append(names, a.String())
	}
	options := ""
	if l.final {
		options = "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\n"
	}
	text := strings.ReplaceAll(fmt.Sprintf("From: %s\nTo: %s\nDate: %s\nMessage-ID: %s\n%sSubject: letter %d\nMIME-Version: 1.0\nContent-Type: text/plain\n\n%s\n",
		s.Address, strings.Join(names, ", "), time.Now().Format(time.RFC1123Z), l.messageID, options, n, strings.Repeat("x", rand.IntN(70))), "\n", "\r\n")
	s.using(func() {
		var err error
		l.id, err = s.Flow().Submit(t.Context(), gatewaytest.Actor, transit.Envelope{From: addr.Path{Address: s.Address}, To: l.to}, strings.NewReader(text))
		if err != nil {
			t.Error(err)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, l)
}

// settled says whether nobody awaits anything more about a recipient.
func (l letter) settled(r store.Recipient) bool {
	return r.State == transit.Processed && !l.final || r.State.Final()
}

// open counts the recipients of whom something is awaited still.
func (s *side) open(t *testing.T) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.using(func() {
		for _, l := range s.sent {
			if s.over[l.id] {
				continue
			}
			before := n
			for _, r := range s.timeline(t, l).Recipients {
				if !l.settled(r) {
					n++
				}
			}
			s.over[l.id] = n == before
		}
	})
	return n
}

func (s *side) timeline(t *testing.T, l letter) flow.Timeline {
	tl, err := s.Flow().Timeline(t.Context(), gatewaytest.Actor, l.id)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// mails are the texts of everything in the account's mailbox.
func (s *side) mails(t *testing.T) (out []string) {
	for after := uint32(0); ; {
		list, err := s.Mailboxes().List(t.Context(), gatewaytest.Actor, s.Address, "INBOX", after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return out
		}
		for _, m := range list {
			after = m.UID
			out = append(out, s.Text(t, m))
		}
	}
}

// Two gateways with a relay between them that drops mail, doubles it, puts it out of order, holds it past every deadline and does not say that
// it took it, and both are stopped and started in between: every recipient ends in exactly one state, is shown the letter at most once and
// answered once; every sender is told of each failure once, and of nothing else. The audit logs verify. DIR-27, DIR-29, DIR-31, DIR-50.
func TestLossyRelay(t *testing.T) {
	letters, patience, restarts, underWay := 80, 6*time.Second, 2, 20
	if os.Getenv("CAREPOST_FULL") != "" {
		letters, patience, restarts, underWay = 10_000, 60*time.Second, 12, 200
	}
	relays := map[addr.Domain]*relay{"north.example": between(t, patience), "south.example": between(t, patience)}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Queue.Patience = patience
		for d := range o.Network.Routes {
			o.Network.Routes[d] = relays[d].addr
		}
	}, "north.example", "south.example")
	w.Trust()
	sides := []*side{{Practice: w.All[0], over: map[string]bool{}}, {Practice: w.All[1], over: map[string]bool{}}}
	for _, s := range sides {
		relays[s.Address.Domain].to = s.Hears.MX.Addr().String()
		s.Start(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	run(ctx, t, sides, letters, restarts, underWay)
	for open := -1; open != 0; {
		if open = sides[0].open(t) + sides[1].open(t); ctx.Err() != nil {
			t.Fatalf("%d recipients have no end", open)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, r := range relays { // what was forgotten comes late
		r.work.Wait()
	}
	for _, s := range sides {
		s.QuietWithin(t, 25*time.Minute) // what was refused four times waits five minutes, five times fifteen
	}
	ends := map[transit.State]int{}
	for i, s := range sides {
		s.account(t, sides[1-i], ends)
	}
	if ends[transit.Processed] == 0 || ends[transit.Failed] == 0 {
		t.Errorf("it was too easy, or too hard: %v", ends)
	}
	t.Logf("%d letters: %v", letters, ends)
	for d, r := range relays {
		t.Logf("to %s: %v", d, r.counted)
	}
}

// run has both sides write to one another, with few letters under way at a time, and ends lives in between.
func run(ctx context.Context, t *testing.T, sides []*side, letters, restarts, underWay int) {
	var all sync.WaitGroup
	for i, s := range sides {
		all.Go(func() {
			for n := range letters / 2 {
				s.write(t, n, sides[1-i])
				for n%(underWay/4) == 0 && s.open(t) > underWay && ctx.Err() == nil {
					time.Sleep(200 * time.Millisecond)
				}
			}
		})
	}
	written := func() int {
		n := 0
		for _, s := range sides {
			s.mu.Lock()
			n += len(s.sent)
			s.mu.Unlock()
		}
		return n
	}
	for k := range restarts {
		for written() < (k+1)*letters/(restarts+1) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
		}
		sides[k%2].again(t)
	}
	all.Wait()
}

// account checks what became of everything that s sent to other, and counts it.
func (s *side) account(t *testing.T, other *side, ends map[transit.State]int) {
	t.Helper()
	shown := map[string]int{} // by Message-ID
	for _, text := range other.mails(t) {
		if !strings.Contains(text, "multipart/report") {
			shown[headerOf(text, "Message-ID")]++
		}
	}
	told := map[string][]string{} // the reports about a message
	for _, text := range s.mails(t) {
		if about := headerOf(text, "In-Reply-To"); strings.Contains(text, "multipart/report") {
			told[about] = append(told[about], text)
		}
	}
	for _, l := range s.sent {
		tl := s.timeline(t, l)
		for _, r := range tl.Recipients {
			ends[r.State]++
			bad, good := about(told[l.messageID], r, "failed"), about(told[l.messageID], r, "delivered")
			there := shown[l.messageID]
			switch who := fmt.Sprintf("%s for %s is %s", l.messageID, r.Address.Endpoint, r.State); {
			case r.State == transit.Failed && (bad != 1 || good != 0):
				t.Errorf("%s, and its sender was told %d times of failure, %d times of delivery", who, bad, good)
			case r.State == transit.Processed && bad+good != 0:
				t.Errorf("%s, and its sender was told %d times of failure, %d times of delivery", who, bad, good)
			case r.State == transit.Dispatched && (bad != 0 || good != 1):
				t.Errorf("%s, and its sender was told %d times of failure, %d times of delivery", who, bad, good)
			case r.State != transit.Failed && r.Address.Endpoint != "nobody" && there != 1:
				t.Errorf("%s, and there %d times", who, there)
			}
			if n := steps(tl, r); n > 1 {
				t.Errorf("%s for %s came to an end %d times", l.messageID, r.Address.Endpoint, n)
			}
		}
		if shown[l.messageID] > 1 {
			t.Errorf("%s is there %d times", l.messageID, shown[l.messageID])
		}
	}
	s.once(t)
	if err := s.SealAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := s.VerifyAudit(t.Context(), gatewaytest.Actor, audit.VerifyOptions{})
	if err != nil || len(v.Findings) > 0 || v.Entries < int64(len(s.sent)) {
		t.Errorf("the audit log of %s: %+v, %v", s.Address.Domain, v, err)
	}
	t.Logf("the audit log of %s verifies: %d entries, %d heads", s.Address.Domain, v.Entries, v.Heads)
}

// about counts the reports that tell of a recipient with an action.
func about(reports []string, r store.Recipient, action string) (n int) {
	for _, text := range reports {
		for _, group := range strings.Split(text, "\r\n\r\n") {
			if strings.Contains(group, "Final-Recipient: rfc822;"+r.Address.String()+"\r\n") && strings.Contains(group, "Action: "+action) {
				n++
			}
		}
	}
	return n
}

// steps counts how often a recipient failed.
func steps(tl flow.Timeline, r store.Recipient) (n int) {
	for _, e := range tl.Events {
		if e.Recipient == r.ID && e.To == string(transit.Failed) && e.From != e.To {
			n++
		}
	}
	return n
}

// once checks that no recipient's duty to answer was met twice.
func (s *side) once(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for after := ""; ; {
		list, err := s.Audit(t.Context(), audit.Filter{Action: "notice.send", After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return
		}
		for _, e := range list {
			after = e.ID
			key := e.Object + " " + e.Detail["kind"]
			if seen[key] {
				t.Errorf("a notice was made twice: %s", e.Detail["kind"])
			}
			seen[key] = true
		}
	}
}

func headerOf(text, name string) string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, line := range strings.Split(strings.ReplaceAll(head, "\r\n ", " "), "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
