package trial_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/crash"
)

// fall is one point at which one side dies, while one tale is told.
type fall struct {
	point  string
	sender bool // the sender's side dies, else the recipient's
	how    func(w *stage) *tale
}

// stage is a pair of installations on which falls happen one after the other.
type stage struct {
	a, b  *practice
	tales []*tale
}

func (s *stage) tell(name string, from, to *practice, recipient addr.Address, e end) *tale {
	x := &tale{name: name, from: from, to: to, sender: from.desk, recipient: recipient, end: e,
		messageID: fmt.Sprintf("<%d.%d@%s>", time.Now().UnixNano(), len(s.tales), from.domain)}
	s.tales = append(s.tales, x)
	return x
}

func letter(s *stage) *tale { return s.tell("", s.a, s.b, s.b.desk, read) }
func within(s *stage) *tale {
	return s.tell("", s.a, s.a, addr.Address{Endpoint: canaryTo, Domain: s.a.domain}, read)
}
func nobody(s *stage) *tale {
	return s.tell("", s.a, s.b, addr.Address{Endpoint: "nobody", Domain: s.b.domain}, unknown)
}

// falls are the ways to die at a point. What a message passes, its notice passes too, on the other side: such points are tried twice.
func falls() map[string][]fall {
	both := func(points ...string) (out []fall) {
		for _, p := range points {
			out = append(out, fall{p, true, letter}, fall{p, false, letter})
		}
		return out
	}
	all := map[string][]fall{
		"open.drafted":         both("open.drafted"),
		"open.body-durable":    {{"open.body-durable", false, letter}},
		"open.rows-durable":    {{"open.rows-durable", false, letter}},
		"notice.composed":      {{"notice.composed", false, letter}},
		"notice.rows-durable":  {{"notice.rows-durable", false, letter}},
		"report.verified":      {{"report.verified", true, letter}},
		"report.noted":         {{"report.noted", true, letter}},
		"failure.composed":     {{"failure.composed", false, nobody}},
		"failure.rows-durable": {{"failure.rows-durable", false, nobody}},
		"deliver.local":        {{"deliver.local", true, within}, {"deliver.local:2", true, within}},
	}
	for _, p := range []string{"blob.synced", "blob.named", "accept.answered", "seal.body-durable", "seal.rows-durable",
		"outbound.decided", "outbound.settled", "deliver.before-dot", "deliver.answered", "deliver.noted", "deliver.settled"} {
		all[p] = both(p)
	}
	for _, p := range []string{"accept.body-durable", "accept.rows-durable"} {
		all[p] = append(both(p), fall{p + ":2", true, letter})
	}
	for _, p := range []string{"work.claimed", "work.done"} {
		all[p] = append(both(p), both(p+":2", p+":3")...)
	}
	return all
}

// Each side dies once at each arrow between what is durable and what follows, and is started again: one copy in the mailbox, one processed
// notice, made and noted, one audit entry of each act, nothing left over. Facts of storage §6.2; DIR-27, DIR-29, DIR-30.
func TestEveryPoint(t *testing.T) {
	// First the senders die: what the recipients' processes know by then of the senders' certificates they need not ask for while the
	// other side is dead, which would cost the time that a fetch which failed is not tried again.
	first, then := make(chan fall, 1000), make(chan fall, 1000)
	for _, f := range chosen(t) {
		if f.sender {
			first <- f
		} else {
			then <- f
		}
	}
	close(first)
	close(then)
	var wg sync.WaitGroup
	for lane := range lanes { // they wait more than they work: more of them than processors, which t.Parallel would not have
		wg.Go(func() {
			t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
				s := newStage(t)
				for _, todo := range []chan fall{first, then} {
					for f := range todo {
						if !s.fall(t, f) {
							return
						}
					}
				}
				s.end(t)
			})
		})
	}
	wg.Wait()
}

const lanes = 3

// chosen are the falls of every point that stands in the sources and has no test of its own.
func chosen(t *testing.T) (out []fall) {
	all := falls()
	for _, a := range crash.All() {
		if strings.HasPrefix(a.Name, "deadline.") || strings.HasPrefix(a.Name, "store.") {
			continue
		}
		if len(all[a.Name]) == 0 {
			t.Errorf("nobody dies at %s", a.Name)
		}
		out = append(out, all[a.Name]...)
	}
	return out
}

// newStage has a pair serve that has exchanged a letter.
func newStage(t *testing.T) *stage {
	s := &stage{}
	s.a, s.b = pair(t, binary(t, "crashpoints"))
	s.a.start(t)
	s.b.start(t)
	x := letter(s)
	x.name = "before the first fall"
	x.submit(t, x.letter(0))
	x.come(t)
	return s
}

// fall has one side die on the way of one message.
func (s *stage) fall(t *testing.T, f fall) bool {
	who, side := s.b, "recipient's"
	if f.sender {
		who, side = s.a, "sender's"
	}
	return t.Run(f.point+" at the "+side, func(t *testing.T) {
		x := f.how(s)
		x.name = t.Name()
		who.stop(t)
		run := who.launch(t, f.point)
		<-run.ready
		submitted := make(chan struct{})
		go func() {
			defer close(submitted)
			x.submit(t, x.letter(40<<10))
		}()
		select {
		case <-run.ended:
		case <-time.After(patience):
			t.Fatalf("%s was not passed within %s\n%s", f.point, patience, who.lastWords())
		}
		if !run.killed() {
			t.Fatalf("it ended by itself: %v\n%s", run.err, who.lastWords())
		}
		who.start(t)
		<-submitted
		if x.id == "" {
			// told by nobody: the check finds it by its Message-ID
		} else {
			x.come(t)
		}
		rest(t, s.a, s.b)
	})
}

// end stops both sides and reads what they have written about every tale.
func (s *stage) end(t *testing.T) {
	s.a.stop(t)
	s.b.stop(t)
	for _, x := range s.tales {
		x.check(t)
	}
}
