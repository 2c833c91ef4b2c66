package trial_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// stage is a pair of installations on which falls happen one after the other. The recipient's mail and studies are laid into folders.
type stage struct {
	a, b             *practice
	maildir, studies string
	archive          []byte // a DICOM.ZIP
	look             *lookout
	tales            []*tale
}

// newStage has a pair serve that has exchanged a letter.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{archive: smallStudy(t, binary(t, "crashpoints")), look: newLookout()}
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
func final(s *stage) *tale {
	x := letter(s)
	x.end = laid
	x.text = "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\r\n" + x.text
	return x
}
func images(s *stage) *tale {
	x := letter(s)
	x.text = x.study(s.archive)
	return x
}

// die has a side die at a point while a tale is told, and starts it again. It is false where the point was not passed.
func (s *stage) die(t *testing.T, who *practice, point string, x *tale) (died bool) {
	t.Helper()
	who.stop(t)
	run := who.launch(t, point)
	select {
	case <-run.ready:
		submitted := make(chan struct{})
		m := x.from.mailer(t, x.sender)
		defer m.close()
		go func() {
			defer close(submitted)
			x.post(t, m)
		}()
		died = s.over(t, run, submitted, x)
		s.look.silent(t, s.a, s.b)
		if !died {
			who.end() // or it would die later, of whatever it does next
		}
		who.start(t)
		<-submitted
	case <-run.ended: // while it started
		died = true
		who.start(t)
		x.submit(t)
	}
	if !run.killed() {
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
	if !died { // the commit that ends everything is seen before a death that comes right after it
		select {
		case <-run.ended:
			died = true
		case <-time.After(2 * time.Second):
		}
	}
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
