package admind_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// reached gives an installation that does not run, and the client that its operator has.
func reached(t *testing.T) (*gatewaytest.Practice, *admind.Client) {
	t.Helper()
	p := gatewaytest.New(t, "north.example").All[0]
	c, stop := admind.Pair(p.Admind())
	t.Cleanup(stop)
	return p, c
}

// coded fails unless err is an answer with that code.
func coded(t *testing.T, what string, err error, code string) *admind.Error {
	t.Helper()
	var e *admind.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
		return &admind.Error{}
	}
	return e
}

func address(local string) addr.Address {
	return addr.Address{Endpoint: local, Domain: "north.example"}
}

// endless is a body that must not be asked for.
type endless struct{ asked int }

func (e *endless) Read(p []byte) (int, error) {
	e.asked++
	return len(p), nil
}

// A message is taken whole or not at all; what its envelope refuses is refused before the body is asked for (RFC 9110 §10.1.1).
func TestSubmit(t *testing.T) {
	p, c := reached(t)
	desk := []addr.Address{p.Address}
	body := &endless{}
	_, err := c.Send(t.Context(), address("nobody"), desk, body)
	if e := coded(t, "a foreign sender", err, admind.Refused); e.Clause != "Direct 1.4" || e.Status != http.StatusUnprocessableEntity {
		t.Errorf("%+v", e)
	}
	if body.asked > 0 {
		t.Errorf("the body was asked for %d times", body.asked)
	}
	_, err = c.Send(t.Context(), p.Address, nil, body)
	coded(t, "for nobody", err, admind.Refused)
	if _, err = c.Send(t.Context(), p.Address, make([]addr.Address, 1), body); err == nil || body.asked > 0 {
		t.Errorf("an empty recipient: %v", err)
	}

	broken := errors.New("the disk of the sender")
	text := p.Letter("cut", "half a", desk...)
	if _, err = c.Send(t.Context(), p.Address, desk, io.MultiReader(strings.NewReader(text), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a body that broke: %v", err)
	}
	if works, err := c.Queue(t.Context(), "", 0); err != nil || len(works) != 0 {
		t.Errorf("after a body that broke: %v, %+v", err, works)
	}
	_, err = c.Send(t.Context(), p.Address, desk, strings.NewReader("From: x@y.example\r\n\r\nhi"))
	coded(t, "another's From", err, admind.Refused)

	id, err := c.Send(t.Context(), p.Address, desk, strings.NewReader(p.Letter("whole", "text", desk...)))
	if err != nil {
		t.Fatal(err)
	}
	line, err := c.Message(t.Context(), id)
	if err != nil || line.ID != id || line.Direction != "outbound" || line.Subject != "whole" || len(line.Recipients) != 1 || len(line.Events) != 1 ||
		line.Recipients[0].Address != p.Address || line.Recipients[0].State != string(transit.Accepted) || line.Recipients[0].Final {
		t.Errorf("timeline: %v, %+v", err, line)
	}
	_, err = c.Message(t.Context(), "nothing")
	coded(t, "an unknown message", err, admind.NotFound)
	if n := acts(t, p, "message.accept"); n != 1 {
		t.Errorf("%d messages accepted, want 1", n)
	}
}

// failing is a reader that has failed.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// acts counts the entries of the audit that were made in the name of this operator.
func acts(t *testing.T, p *gatewaytest.Practice, action string) int {
	t.Helper()
	by := audit.Actor(fmt.Sprintf("operator:%d", os.Getuid()))
	rs, err := p.Audit(t.Context(), audit.Filter{Action: action, Actor: by})
	if err != nil {
		t.Fatal(err)
	}
	return len(rs)
}

// The queue as the operator sees it and acts on it.
func TestQueue(t *testing.T) {
	p, c := reached(t)
	id := p.Submit(t, p.Letter("s", "t", p.Address), p.Address)
	works, err := c.Queue(t.Context(), "ready", 0)
	if err != nil {
		t.Fatal(err)
	}
	var work admind.Work
	for _, w := range works {
		if w.Kind == "outbound" {
			work = w
		}
	}
	if work.Message != id || work.State != "ready" {
		t.Fatalf("%+v", works)
	}
	for _, act := range []struct {
		do   func(context.Context, string) error
		want string
	}{{c.HoldWork, "held"}, {c.RetryWork, "ready"}} {
		if err := act.do(t.Context(), work.ID); err != nil {
			t.Fatal(err)
		}
		if w, err := c.Work(t.Context(), work.ID); err != nil || w.State != act.want {
			t.Errorf("%v, %+v, want %s", err, w, act.want)
		}
	}
	if err := c.CancelWork(t.Context(), work.ID); err != nil {
		t.Fatal(err)
	}
	_, err = c.Work(t.Context(), work.ID)
	coded(t, "cancelled work", err, admind.NotFound)
	for what, do := range map[string]func(context.Context, string) error{"retry": c.RetryWork, "hold": c.HoldWork, "cancel": c.CancelWork} {
		coded(t, what+" of nothing", do(t.Context(), "nothing"), admind.NotFound)
	}
	_, err = c.Queue(t.Context(), "waiting", 0)
	coded(t, "a state that is none", err, admind.Usage)
	if line, err := c.Message(t.Context(), id); err != nil || line.Recipients[0].State != string(transit.Failed) {
		t.Errorf("%v, %+v", err, line.Recipients)
	}
	if mails, err := c.Mails(t.Context(), p.Address, "", 0, 0); err != nil || len(mails) != 1 || !strings.Contains(mails[0].Subject, "Not delivered") {
		t.Errorf("the sender's mailbox: %v, %+v", err, mails)
	}
}

// Mail is read by parts, whole, and not past its end; deleted mail is gone.
func TestMails(t *testing.T) {
	p, c := reached(t)
	p.Start(t)
	text := "From: desk@north.example\r\nTo: desk@north.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@north.example>\r\n" +
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n" +
		"Content-Type: application/pdf; name=\"a/b.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b\r\n" +
		"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 100_000) + "!!\r\n--b\r\n" +
		"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD!!\r\n--b--\r\n"
	if _, err := c.Send(t.Context(), p.Address, []addr.Address{p.Address}, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	p.Inbox(t, 1)
	o, err := c.MailOutline(t.Context(), p.Address, "", 1)
	if err != nil || o.Subject != "Grüße" || len(o.Parts) != 4 || o.Parts[1].Name != "a/b.pdf" || !o.Parts[1].Attached || o.Parts[0].Attached || o.Study {
		t.Errorf("%v, %+v", err, o)
	}
	r, err := c.OpenPart(t.Context(), p.Address, "INBOX", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	r.Close()
	// What ends in the middle must not look whole, however short it is.
	for _, n := range []int{3, 4} {
		r, err = c.OpenPart(t.Context(), p.Address, "", 1, n)
		if err != nil {
			t.Fatalf("part %d: %v", n, err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != io.ErrUnexpectedEOF {
			t.Errorf("part %d with a broken encoding: %d octets, %v", n, len(b), err)
		}
	}
	r, size, err := c.OpenMail(t.Context(), p.Address, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || int64(len(b)) != size || !strings.Contains(string(b), "a/b.pdf") {
		t.Errorf("%d of %d octets, %v", len(b), size, err)
	}
	r.Close()
	for _, n := range []int{0, 5, -1} {
		_, err = c.OpenPart(t.Context(), p.Address, "", 1, n)
		coded(t, fmt.Sprint("part ", n), err, admind.NotFound)
	}
	_, err = c.CheckStudy(t.Context(), p.Address, "", 1)
	coded(t, "no set", err, admind.NotFound)
	_, _, err = c.OpenStudy(t.Context(), p.Address, "", 1)
	coded(t, "no set", err, admind.NotFound)
	_, _, err = c.OpenMail(t.Context(), p.Address, "", 2)
	coded(t, "no such mail", err, admind.NotFound)
	_, err = c.Mails(t.Context(), address("nobody"), "", 0, 0)
	coded(t, "no such account", err, admind.NotFound)
	if f, err := c.Folders(t.Context(), p.Address); err != nil || len(f) != 1 || f[0] != "INBOX" {
		t.Errorf("%v, %v", f, err)
	}
	if err := c.DeleteMail(t.Context(), p.Address, "", 1); err != nil {
		t.Fatal(err)
	}
	coded(t, "deleted twice", c.DeleteMail(t.Context(), p.Address, "", 1), admind.NotFound)
	if n := acts(t, p, "mail.open"); n == 0 {
		t.Error("reading left no trace in the audit")
	}
}

// Addresses of any form find their way through a URL.
func TestAccounts(t *testing.T) {
	p, c := reached(t)
	for _, local := range []string{"a/b", "../..", "x?y", "jo hn", "per%41cent", "q\"uo\\te", "ü"} {
		a, err := addr.Parse(addr.Address{Endpoint: local, Domain: "north.example"}.String())
		if err != nil {
			continue // no address: nobody can have it
		}
		if err := c.AddAccount(t.Context(), a); err != nil {
			t.Errorf("%q: %v", local, err)
			continue
		}
		if _, err := c.Mails(t.Context(), a, "", 0, 0); err != nil {
			t.Errorf("%q: %v", local, err)
		}
		if err := c.SetPassword(t.Context(), a, "correct horse battery"); err != nil {
			t.Errorf("%q: %v", local, err)
		}
		if err := c.CloseAccount(t.Context(), a); err != nil {
			t.Errorf("%q: %v", local, err)
		}
	}
	coded(t, "again", c.AddAccount(t.Context(), p.Address), admind.Conflict)
	coded(t, "a foreign domain", c.AddAccount(t.Context(), addr.Address{Endpoint: "x", Domain: "other.example"}), admind.NotFound)
	coded(t, "a short password", c.SetPassword(t.Context(), p.Address, "short"), admind.Usage)
	coded(t, "no account", c.SetPassword(t.Context(), address("nobody"), "correct horse battery"), admind.NotFound)
	coded(t, "a drop inside", c.SetDrops(t.Context(), p.Address, admind.Drops{Maildir: filepath.Join(p.Dir, "data", "m")}), admind.Usage)
	coded(t, "no anchor", c.RemoveAnchor(t.Context(), "nothing", ""), admind.NotFound)
	_, err := c.AddAnchor(t.Context(), admind.NewAnchor{PEM: "-----BEGIN NOTHING-----"})
	coded(t, "no certificate", err, admind.Usage)
	as, err := c.Anchors(t.Context(), "")
	if err != nil || len(as) != 2 || as[0].Owner != "north.example" || len(as[0].SHA256) != 64 {
		t.Errorf("%v, %+v", err, as)
	}
}

// listen serves p on a socket in a directory that everybody may enter.
func listen(t *testing.T, p *gatewaytest.Practice) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admind")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{dir: 0o755, path: 0o777} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, p, l)
	return path
}

func serve(t *testing.T, p *gatewaytest.Practice, l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Admind().Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func dialer(network, at string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, at) }
}

// Who is not told by the kernel is nobody; another user is refused, whatever the modes of the files say.
func TestPeer(t *testing.T) {
	if path := os.Getenv("ADMIND_ASK"); path != "" { // the child of below
		_, err := admind.NewClient(dialer("unix", path)).Status(context.Background())
		var e *admind.Error
		if !errors.As(err, &e) || e.Code != admind.Denied || e.Status != http.StatusForbidden {
			fmt.Println("answered:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	p, c := reached(t)
	if s, err := c.Status(t.Context()); err != nil || s.Serving || len(s.Domains) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, p, tcp)
	_, err = admind.NewClient(dialer("tcp", tcp.Addr().String())).Status(t.Context())
	coded(t, "over TCP", err, admind.Denied)

	path := listen(t, p)
	if _, err := admind.NewClient(dialer("unix", path)).Status(t.Context()); err != nil {
		t.Errorf("our own user: %v", err)
	}
	if os.Getuid() == 0 { // only root can become somebody else
		self := filepath.Join(filepath.Dir(path), "ask")
		copyFile(t, os.Args[0], self)
		cmd := exec.Command(self, "-test.run=^TestPeer$")
		cmd.Env = append(os.Environ(), "ADMIND_ASK="+path)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("another user: %v\n%s", err, out)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is no request of ours is answered, and nothing breaks.
func TestHostileRequests(t *testing.T) {
	p, _ := reached(t)
	path := listen(t, p)
	h := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer("unix", path)(ctx) }}}
	for _, tc := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/", "", 404},
		{"GET", "/v1/nothing", "", 404},
		{"DELETE", "/v1/status", "", 405},
		{"POST", "/v1/accounts", "{", 400},
		{"POST", "/v1/accounts", "", 400},
		{"POST", "/v1/accounts", `{"address":"x@north.example","admin":true}`, 400},
		{"POST", "/v1/accounts", `{"address":"` + strings.Repeat("x", 2<<20) + `"}`, 400},
		{"POST", "/v1/accounts", `{"address":""}`, 400},
		{"POST", "/v1/anchors", `{"pem":"x","owner":"desk@@"}`, 400},
		{"GET", "/v1/accounts/nobody/mails", "", 400},
		{"GET", "/v1/accounts/desk@north.example/mails?limit=-1", "", 400},
		{"GET", "/v1/accounts/desk@north.example/mails?after=99999999999", "", 400},
		{"GET", "/v1/accounts/desk@north.example/mails/0", "", 400},
		{"GET", "/v1/accounts/desk@north.example/mails/4294967296", "", 400},
		{"GET", "/v1/accounts/desk@north.example/mails/4294967295", "", 404},
		{"GET", "/v1/accounts?domain=..", "", 400},
		{"POST", "/v1/messages", "From: x", 400},
		{"POST", "/v1/messages?from=desk@north.example&to=x@y.example" + strings.Repeat("&to=x@y.example", 1000), "From: x", 400},
		{"POST", "/v1/messages?from=desk@north.example&to=desk@north.example", "\x00\x00", 422},
		{"POST", "/v1/backup?dir=relative", "", 400},
		{"POST", "/v1/queue/%00/cancel", "", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://carepost"+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.Do(req)
		if err != nil {
			t.Errorf("%s %.60s: %v", tc.method, tc.path, err)
			continue
		}
		said, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tc.want {
			t.Errorf("%s %.60s %.60s: %s, want %d: %.200s", tc.method, tc.path, tc.body, res.Status, tc.want, said)
		}
	}
}

// Work that takes long tells how far it is, and its error comes after that.
func TestLong(t *testing.T) {
	p, c := reached(t)
	calls := 0
	dir := filepath.Join(t.TempDir(), "backup")
	b, err := c.Backup(t.Context(), dir, func(done, total int64) { calls++ })
	if err != nil || b.Dir != dir || b.Files == 0 {
		t.Errorf("%v, %+v", err, b)
	}
	_, err = c.Backup(t.Context(), dir, nil)
	coded(t, "a backup over another", err, admind.Conflict)
	before, err := c.Keys(t.Context())
	if err != nil || len(before.Sealing) == 0 {
		t.Fatalf("%v, %+v", err, before)
	}
	r, err := c.RotateKey(t.Context(), func(done, total int64) { calls++ })
	if err != nil || r.Key == "" || r.Key == before.Sealing[0].ID {
		t.Errorf("%v, %+v", err, r)
	}
	if err := c.Rekey(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Mails(t.Context(), p.Address, "", 0, 0); err != nil {
		t.Error(err)
	}
	_, err = c.Reload(t.Context())
	coded(t, "no reload", err, admind.NotFound)
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// A gateway that hangs does not make those hang who ask; one that has nothing to hurry for is waited for.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admind.NewClient(func(context.Context) (net.Conn, error) {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there) // hears, and says nothing
			return here, nil
		})
		defer c.Close()
		start := time.Now()
		_, err := c.Accounts(t.Context(), "")
		if took := time.Since(start); err != admind.ErrSilent || took != 30*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if _, err = c.CheckStudy(ctx, address("desk"), "", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a check that takes long: %v", err)
		}
	})
}

// A server that ends waits for those it has cut off: the store is closed after it.
func TestEnd(t *testing.T) {
	entered := make(chan struct{})
	var left atomic.Bool
	s := admind.New(admind.Options{Host: admind.Host{Status: func(ctx context.Context) (admind.Status, error) {
		close(entered)
		<-ctx.Done()
		for range 10_000 { // it has to clean up
			runtime.Gosched()
		}
		left.Store(true)
		return admind.Status{}, ctx.Err()
	}}})
	s.SetGrace(time.Millisecond)
	c, stop := admind.Pair(s)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Status(t.Context())
		failed <- err
	}()
	<-entered
	stop()
	if !left.Load() {
		t.Error("a request was still at work when the server had ended")
	}
	if err := <-failed; err == nil {
		t.Error("who was cut off had an answer")
	}
}
