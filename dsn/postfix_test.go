package dsn

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
)

// postfix runs a Postfix of its own on loopback: mail for h.example is laid into a Maildir, whose folder is returned; nobody lives at
// p.example. Its absence fails the test.
func postfix(t *testing.T) (at, box string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "carepost-dsn") // unlike that of t.TempDir, other users can get into it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))); err == nil {
			at = l.Addr().String()
			l.Close()
			break
		}
	}
	_, port, _ := net.SplitHostPort(at)
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
virtual_mailbox_domains = h.example
virtual_mailbox_base = %[1]s
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
default_transport = error:5.1.1 nobody lives there
alias_maps =
alias_database =
`, dir)
	master := "127.0.0.1:" + port + ` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`
	for _, sub := range []string{"etc", "queue", "data", "box"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.cf": main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"chown", "postfix", filepath.Join(dir, "data")}, {"chown", "65534:65534", filepath.Join(dir, "box")},
		{"postfix", "-c", filepath.Join(dir, "etc"), "start"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("%v: %v %s %s", args, err, out, log)
		}
	}
	t.Cleanup(func() { exec.Command("postfix", "-c", filepath.Join(dir, "etc"), "stop").Run() })
	await(t, "Postfix", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return at, filepath.Join(dir, "box")
}

// await waits for another process.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// hand gives a message to a server, with what RFC 3461 adds to the commands.
func hand(t *testing.T, at, mail, text string, rcpt ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(code int, format string, args ...any) {
		t.Helper()
		id, err := c.Text.Cmd(format, args...)
		if err != nil {
			t.Fatal(err)
		}
		c.Text.StartResponse(id)
		defer c.Text.EndResponse(id)
		if _, _, err := c.Text.ReadResponse(code); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
	}
	say(250, "EHLO c.example")
	say(250, "MAIL FROM:%s", mail)
	for _, r := range rcpt {
		say(250, "RCPT TO:%s", r)
	}
	say(354, "DATA")
	w := c.Text.DotWriter()
	fmt.Fprint(w, text)
	w.Close()
	if _, _, err := c.Text.ReadResponse(250); err != nil {
		t.Fatal(err)
	}
}

// A round trip by Postfix: what it reports of failures and successes is read, with the words that the sender gave it; a report of ours
// that it has carried is read by us as it was written, and its bounce of one of ours as what it is. DIR-20, DIR-26.
func TestPostfix(t *testing.T) {
	at, box := postfix(t)
	mails := func() (out []string) {
		names, _ := filepath.Glob(filepath.Join(box, "new", "*"))
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(b))
		}
		return out
	}
	hand(t, at, "<a@h.example> RET=HDRS ENVID=QQ+2B314159", "From: a@h.example\nTo: b@p.example\nMessage-ID: <m1@h.example>\nSubject: x\n\nx\n",
		"<b@p.example> NOTIFY=FAILURE ORCPT=rfc822;B+2Bx@p.example", "<c@h.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@h.example", "<d@p.example> NOTIFY=NEVER")
	await(t, "three mails", func() bool { return len(mails()) == 3 })
	seen := map[Action]int{}
	for _, m := range mails() {
		r, err := read([]byte(m))
		if err == ErrNotDSN {
			continue // the mail itself, at c's
		}
		if err != nil || len(r.Recipients) != 1 || r.OriginalEnvelopeID != "QQ+2B314159" && r.OriginalEnvelopeID != "QQ+314159" || r.ReportingMTA != "postfix.example" {
			t.Fatalf("%v, %+v\n%s", err, r, m)
		}
		s := r.Recipients[0]
		seen[s.Action]++
		switch s.Action {
		case Failed:
			if s.FinalRecipient != b || s.OriginalRecipient.String() != "B+x@p.example" || s.Code != "5.1.1" {
				t.Errorf("failed: %+v", s)
			}
		case Delivered:
			if s.FinalRecipient.String() != "c@h.example" || !strings.HasPrefix(s.Code, "2.") {
				t.Errorf("delivered: %+v", s)
			}
		}
	}
	if seen[Failed] != 1 || seen[Delivered] != 1 {
		t.Errorf("%v", seen)
	}

	// Our report passes through it, and a bounce of a report of ours is told from the report that it returns.
	ours := full(true)
	hand(t, at, "<>", string(compose(t, ours)), "<a@h.example>")
	lost := report()
	lost.MessageID, lost.To = "<m3@h.example>", []addr.Address{b}
	hand(t, at, "<a@h.example> RET=FULL", string(compose(t, lost)), "<b@p.example> NOTIFY=FAILURE")
	await(t, "our report and the bounce of one", func() bool { return len(mails()) == 5 })
	carried, bounced := false, false
	for _, m := range mails() {
		got, err := read([]byte(m))
		switch {
		case strings.Contains(m, ours.MessageID):
			carried = true
			again, _ := read(compose(t, ours))
			if g, w := summary(got, err), summary(again, nil); g != w {
				t.Errorf("carried by Postfix:\n%swas\n%s", g, w)
			}
		case strings.Contains(m, lost.MessageID):
			bounced = true
			if err != nil || len(got.Recipients) != 1 || got.Recipients[0].FinalRecipient != b || got.Recipients[0].Action != Failed ||
				got.OriginalMessageID == lost.OriginalMessageID || got.ReportingMTA != "postfix.example" {
				t.Errorf("the bounce of a report: %v, %+v\n%s", err, got, m)
			}
		}
	}
	if !carried || !bounced {
		t.Errorf("our report %v, a bounce of one %v", carried, bounced)
	}
}
