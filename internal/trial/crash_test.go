package trial_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/internal/crash"
)

// fall is one point at which one side dies, while one tale is told.
type fall struct {
	point  string
	sender bool // the sender's side dies, else the recipient's
	how    func(w *stage) *tale
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
		"open.drafted":          both("open.drafted"),
		"open.body-durable":     {{"open.body-durable", false, letter}},
		"open.rows-durable":     {{"open.rows-durable", false, letter}},
		"notice.composed":       {{"notice.composed", false, letter}},
		"notice.rows-durable":   {{"notice.rows-durable", false, letter}},
		"report.verified":       {{"report.verified", true, letter}},
		"report.noted":          {{"report.noted", true, letter}},
		"failure.composed":      {{"failure.composed", false, nobody}},
		"failure.rows-durable":  {{"failure.rows-durable", false, nobody}},
		"delivery.composed":     {{"delivery.composed", false, final}},
		"delivery.rows-durable": {{"delivery.rows-durable", false, final}},
		"success.composed":      {{"success.composed", true, final}},
		"success.settled":       {{"success.settled", true, final}},
		"deliver.local":         {{"deliver.local", true, within}, {"deliver.local:2", true, within}},
		"drop.written":          {{"drop.written", false, letter}},
		"drop.unpacked":         {{"drop.unpacked", false, images}},
		"drop.laid":             {{"drop.laid", false, letter}, {"drop.laid:2", false, images}},
		"drop.settled":          {{"drop.settled", false, letter}, {"drop.settled:2", false, images}},
	}
	for _, p := range []string{"blob.synced", "blob.named", "accept.answered", "seal.body-durable", "seal.rows-durable",
		"outbound.decided", "outbound.settled", "deliver.before-dot", "deliver.answered", "deliver.noted", "deliver.settled"} {
		all[p] = both(p)
	}
	for _, p := range []string{"accept.body-durable", "accept.rows-durable"} {
		all[p] = append(both(p), fall{p + ":2", true, letter})
	}
	for _, p := range []string{"work.claimed", "work.done"} {
		all[p] = both(p)
		if full() { // the same point, about the other kinds of work
			all[p] = append(all[p], both(p+":2", p+":3")...)
			all[p] = append(all[p], fall{p + ":4", false, letter}, fall{p + ":5", false, letter}, fall{p + ":6", false, letter})
		}
	}
	return all
}

// Each side dies once at each arrow between what is durable and what follows, and is started again: one copy in the mailbox, one processed
// notice, made and noted, one audit entry of each act, nothing left over. Facts of storage §6.2; DIR-27, DIR-29, DIR-30.
func TestEveryPoint(t *testing.T) {
	t.Parallel()
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
		if room, _, _ := strings.Cut(a.Name, "."); room == "store" || room == "delay" || room == "deadline" || room == "intake" || room == "handover" || room == "transfer" || room == "fragment" || room == "rejoin" || room == "collect" {
			continue
		}
		if len(all[a.Name]) == 0 {
			t.Errorf("nobody dies at %s", a.Name)
		}
		out = append(out, all[a.Name]...)
	}
	return out
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
		if !s.die(t, who, f.point, x) {
			t.Fatalf("%s was not passed\n%s", f.point, who.lastWords())
		}
	})
}

// Each side dies before and after each of its commits in turn, whatever that commit is about.
func TestEveryCommit(t *testing.T) {
	t.Parallel()
	step := 4
	if full() {
		step = 1
	}
	var wg sync.WaitGroup
	for _, point := range []string{"store.commit", "store.committed"} {
		for _, sender := range []bool{true, false} {
			if sender != (point == "store.commit") && !full() {
				continue
			}
			wg.Go(func() {
				t.Run(fmt.Sprintf("%s at the sender %v", point, sender), func(t *testing.T) {
					s := newStage(t)
					who := s.b
					if sender {
						who = s.a
					}
					for n := 1; ; n += step {
						x := letter(s)
						x.name = fmt.Sprintf("%s:%d", point, n)
						if !s.die(t, who, x.name, x) {
							t.Logf("%d commits and more", n-step)
							break
						}
					}
					s.end(t)
				})
			})
		}
	}
	wg.Wait()
}

// The sender's side dies when it tells its sender that a message waits, and when it tells him that no notice came: told once of each.
// What comes after all is noted, and changes nothing.
func TestTimesThatPass(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.a.stop(t)
	s.a.queue(t, `delay_notice = "1s"`)
	reports := 0
	for _, point := range []string{"delay.passed", "delay.settled"} {
		s.b.kill(t) // and nobody can seal for it, or deliver
		x := s.pass(t, point)
		reports++
		until(t, func() bool { return len(s.a.mails(s.a.desk)) == reports }, func() string { return "the notice of delay" })
		s.b.start(t)
		x.come(t)
		rest(t, s.a, s.b)
		s.a.stop(t)
	}
	s.a.queue(t, `patience = "1s"`)
	for _, point := range []string{"deadline.passed", "deadline.settled"} {
		s.b.stop(t)
		receiver := s.b.launch(t, "accept.answered") // and no notice goes out
		<-receiver.ready
		x := s.pass(t, point)
		x.end = late
		<-receiver.ended
		x.come(t)
		s.b.start(t)
		rest(t, s.a, s.b)
		s.a.stop(t)
	}
	s.a.start(t)
	s.end(t)
}

// pass sends a letter whose time passes: the sender's side dies of it and is started again.
func (s *stage) pass(t *testing.T, point string) *tale {
	t.Helper()
	x := letter(s)
	x.name = point
	run := s.a.launch(t, point)
	<-run.ready
	x.submit(t)
	select {
	case <-run.ended:
	case <-time.After(patience):
	}
	if !run.killed() {
		t.Fatalf("%s was not passed: %v\n%s", point, run.err, s.a.lastWords())
	}
	s.look.silent(t, s.a, s.b)
	s.a.start(t)
	return x
}
