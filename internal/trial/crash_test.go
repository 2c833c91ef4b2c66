package trial_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// fall is one point at which one side dies, while one tale is told.
type fall struct {
	point  string
	sender bool // the sender's side dies, else the recipient's
	how    func(w *stage) *tale
}

// stage is a pair of installations on which falls happen one after the other. The recipient's mail and studies are laid into folders.
type stage struct {
	a, b             *practice
	maildir, studies string
	archive          []byte // a DICOM.ZIP
	tales            []*tale
}

// newStage has a pair serve that has exchanged a letter.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{archive: smallStudy(t, binary(t, "crashpoints"))}
	s.a, s.b = pair(t, binary(t, "crashpoints"))
	home := filepath.Join(filepath.Dir(s.b.dir), "home")
	s.maildir, s.studies = filepath.Join(home, "Maildir"), filepath.Join(home, "studies")
	s.b.run(t, "", "account", "drop", s.b.desk.String(), "--maildir", s.maildir, "--studies", s.studies, "--config", s.b.dir)
	s.a.start(t)
	s.b.start(t)
	x := letter(s)
	x.name = "before the first fall"
	x.submit(t)
	x.come(t)
	rest(t, s.a, s.b)
	return s
}

func (s *stage) tell(from, to *practice, recipient addr.Address, e end) *tale {
	x := &tale{from: from, to: to, sender: from.desk, recipient: recipient, end: e,
		messageID: fmt.Sprintf("<%d.%d@%s>", time.Now().UnixNano(), len(s.tales), from.domain)}
	x.text = x.letter(40 << 10) // more than lies in the database
	s.tales = append(s.tales, x)
	return x
}

func letter(s *stage) *tale { return s.tell(s.a, s.b, s.b.desk, read) }
func within(s *stage) *tale {
	return s.tell(s.a, s.a, addr.Address{Endpoint: canaryTo, Domain: s.a.domain}, read)
}
func nobody(s *stage) *tale {
	return s.tell(s.a, s.b, addr.Address{Endpoint: "nobody", Domain: s.b.domain}, unknown)
}
func images(s *stage) *tale {
	x := letter(s)
	x.text = x.study(s.archive)
	return x
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
		"drop.written":         {{"drop.written", false, letter}},
		"drop.unpacked":        {{"drop.unpacked", false, images}},
		"drop.laid":            {{"drop.laid", false, letter}, {"drop.laid:2", false, images}},
		"drop.settled":         {{"drop.settled", false, letter}, {"drop.settled:2", false, images}},
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
		if room, _, _ := strings.Cut(a.Name, "."); room == "store" || room == "delay" || room == "deadline" {
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

// die has a side die at a point while a tale is told, and starts it again. It is false where the point was not passed.
func (s *stage) die(t *testing.T, who *practice, point string, x *tale) (died bool) {
	t.Helper()
	who.stop(t)
	run := who.launch(t, point)
	select {
	case <-run.ready:
		submitted := make(chan struct{})
		go func() {
			defer close(submitted)
			x.submit(t)
		}()
		died = s.over(t, run, submitted, x)
		if died {
			who.start(t)
		}
		<-submitted
	case <-run.ended: // while it started
		died = true
		who.start(t)
		x.submit(t)
	}
	if died && !run.killed() {
		t.Fatalf("it ended by itself: %v\n%s", run.err, who.lastWords())
	}
	x.come(t)
	rest(t, s.a, s.b)
	return died
}

// over waits until a process has died, or until there is nothing more for it to do.
func (s *stage) over(t *testing.T, run *process, submitted chan struct{}, x *tale) (died bool) {
	t.Helper()
	until(t, func() bool {
		select {
		case <-run.ended:
			died = true
			return true
		case <-submitted:
		default:
			return false
		}
		return x.state() == x.wanted() && s.a.quiet() && s.b.quiet()
	}, func() string { return "a process to die, or everything to be done" })
	return died
}

// end stops both sides and reads what they have written about every tale, and what was laid into the folders.
func (s *stage) end(t *testing.T) {
	t.Helper()
	s.a.stop(t)
	s.b.stop(t)
	books := map[*practice]*books{s.a: s.a.books(t), s.b: s.b.books(t)}
	mails, studies := map[string]int{}, 0
	for _, x := range s.tales {
		x.check(t, books[x.from], books[x.to])
		if x.recipient == s.b.desk {
			mails[x.messageID]++
		}
		if strings.Contains(x.text, "DICOM.ZIP") {
			studies++
		}
	}
	s.checkReports(t, books[s.a])
	view(t, books[s.b], func(tx *store.Tx) error {
		for action, want := range map[string]int{"mail.drop": len(mails), "study.drop": studies} {
			entries, err := audit.List(tx, audit.Filter{Action: action, Limit: 10_000})
			if err != nil || len(entries) != want {
				t.Errorf("%d entries of %s, want %d (%v)", len(entries), action, want, err)
			}
		}
		return nil
	})
	if laid := inMaildir(t, s.maildir); !maps.Equal(laid, mails) {
		t.Errorf("the Maildir holds %v, want %v", laid, mails)
	}
	folders, err := os.ReadDir(s.studies)
	if studies > 0 && err != nil || len(folders) != studies {
		t.Errorf("there are %d folders of studies, want %d (%v)", len(folders), studies, err)
	}
	for _, f := range folders {
		if strings.HasPrefix(f.Name(), ".") {
			t.Errorf("a hidden folder is left: %s", f.Name())
		}
	}
}

// checkReports looks for what the sender was told, in the sender's mailbox: each report that was made about a recipient, once.
func (s *stage) checkReports(t *testing.T, books *books) {
	t.Helper()
	view(t, books, func(tx *store.Tx) error {
		want := 0
		for _, x := range s.tales {
			_, r, err := one(t, x.name, tx, x.messageID, transit.Outbound)
			if err != nil {
				return ignore(err)
			}
			for _, kind := range []string{"delayed", "final"} {
				if _, err := tx.NoticeOf(r.ID, kind); err == nil {
					want++
				} else if strings.HasPrefix(x.name, "delay.") && kind == "delayed" {
					t.Errorf("%s: the sender was not told of the delay (%v)", x.name, err)
				}
			}
		}
		mails, err := copies(tx, s.a.desk)
		if mails[""] != want { // of no message: made here
			t.Errorf("the sender has %d reports, want %d", mails[""], want)
		}
		return err
	})
}

// inMaildir counts the mails in a Maildir by their Message-ID.
func inMaildir(t *testing.T, dir string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, folder := range []string{"tmp", "new", "cur"} {
		files, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			t.Error(err)
		}
		if folder == "tmp" && len(files) > 0 {
			t.Errorf("%d files are left under tmp", len(files))
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, folder, f.Name()))
			if err != nil {
				t.Error(err)
			}
			m, err := mail.ReadMessage(bytes.NewReader(text))
			if err != nil {
				t.Errorf("%s: %v", f.Name(), err)
				continue
			}
			out[m.Header.Get("Message-ID")]++
		}
	}
	return out
}

// Each side dies before and after each of its commits in turn, whatever that commit is about.
func TestEveryCommit(t *testing.T) {
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
	s.a.start(t)
	return x
}
