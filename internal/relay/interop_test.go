package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/relay"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/sasl"
	"carepost/sasl/dovecottest"
	"carepost/smtp/smtptest"
)

// freePort is one that was free a moment ago, and below those that systems give to who asks for any: other tests, running at the same
// time, ask for many.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// openDir is a temporary directory that other users can get into and write to, unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "carepost-relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// awaitPort waits until a process listens.
func awaitPort(t testing.TB, address string, log func() string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		<-time.After(10 * time.Millisecond) // another process: there is nothing to wait on
	}
	t.Fatalf("nobody listens at %s: %s", address, log())
}

// start runs an installed program until the test ends; its absence fails the test.
func start(t testing.TB, address string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	awaitPort(t, address, out.String)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

const letter = "From: a@x.example\r\nTo: b@y.example\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: <1@x.example>\r\nSubject: x\r\n\r\n.\r\n..two\r\n.three\r\nend\r\n"

// Postfix's smtp-sink in its moods: the bytes arrive, whatever it offers; its refusals are understood.
func TestSMTPSink(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"all":           {nil, "delivered 250 2.0.0"},
		"no pipelining": {[]string{"-p"}, "delivered 250 2.0.0"},
		"no ESMTP":      {[]string{"-e"}, "delivered 250 2.0.0"},
		"no codes":      {[]string{"-E"}, "delivered 250 2.0.0"},
		"soft MAIL":     {[]string{"-r", "MAIL"}, "deferred 450 4.3.0"},
		"soft RCPT":     {[]string{"-r", "RCPT"}, "deferred 450 4.3.0"},
		"hard RCPT":     {[]string{"-f", "RCPT"}, "rejected 500 5.3.0"},
		"hard DATA":     {[]string{"-f", "DATA"}, "rejected 500 5.3.0"},
		"soft end":      {[]string{"-r", "."}, "deferred 450 4.3.0"},
		"hard end":      {[]string{"-f", "."}, "rejected 500 5.3.0"},
		"421 at RCPT":   {[]string{"-Q", "RCPT"}, "deferred 421 4.0.0"},
		"gone at DATA":  {[]string{"-q", "DATA"}, "deferred 0 4.4.2"},
		"gone at end":   {[]string{"-q", "."}, "deferred 0 4.4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := openDir(t)
			at := freePort(t)
			start(t, at, "smtp-sink", append(append([]string{"-u", "nobody", "-d", dir + "/m."}, c.args...), at, "10")...)
			o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": at}}
			got := relay.New(o).Deliver(t.Context(), consignment(t, `"a> b"@x.example`, "b@y.example c@y.example", text(letter)))
			for _, a := range got.At {
				if s := describe(a); !strings.HasPrefix(s, c.want) {
					t.Errorf("got %q, want %q", s, c.want)
				}
			}
			if strings.HasPrefix(c.want, "delivered") {
				checkDump(t, dir)
			}
		})
	}
}

// checkDump compares what smtp-sink wrote: its own fields, then the message with LF line ends.
func checkDump(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/m.*")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d dumps, %v", len(files), err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(strings.TrimRight(string(b), "\n"), strings.TrimRight(strings.ReplaceAll(letter, "\r\n", "\n"), "\n")) {
		t.Errorf("dump: %q", b)
	}
	if !strings.Contains(string(b), `X-Mail-Args: <"a> b"@x.example>`) || strings.Count(string(b), "X-Rcpt-Args: <") != 2 {
		t.Errorf("envelope: %.500q", b)
	}
}

// inbox is our own server, which keeps what it is given.
func inbox(t testing.TB, o smtpd.Options) (string, func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	if o.Accept == nil {
		o.Accept = func(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
			b, err := io.ReadAll(body)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, env.TLS+"|"+env.From.String()+"|"+string(b))
			return "id", err
		}
	}
	o.Hostname = "mx.y.example"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- smtpd.New(o).Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String(), func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), got...) }
}

// A whole Postfix between us and us: our relay to it by STARTTLS, it to our server by STARTTLS; signed bytes come through. DIR-57.
func TestPostfix(t *testing.T) {
	cert, pool, err := smtptest.Certificate("mx.y.example")
	if err != nil {
		t.Fatal(err)
	}
	last, got := inbox(t, smtpd.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	at := postfix(t, last)
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": at}, TLS: &tls.Config{RootCAs: pool}}
	o.Security = func(addr.Domain) relay.Security { return relay.Encrypted }
	d := consignment(t, `"a> SIZE=1 <b"@x.example`, "b@y.example", text(letter))
	d.To = append(d.To, address(t, `"q r"@y.example`))
	out := relay.New(o).Deliver(t.Context(), d)
	for _, a := range out.At {
		if a.Result != transit.Delivered || out.TLS != "TLS 1.3" {
			t.Fatalf("%s over %q", describe(a), out.TLS)
		}
	}
	var all []string
	for deadline := time.Now().Add(30 * time.Second); len(all) == 0 && time.Now().Before(deadline); all = got() {
		<-time.After(10 * time.Millisecond)
	}
	if len(all) != 1 || !strings.HasPrefix(all[0], `TLS 1.3|<"a> SIZE=1 <b"@x.example>|Received: from `) || !strings.HasSuffix(all[0], "\r\n"+letter) {
		t.Errorf("Postfix gave us %q", all)
	}
}

// A Postfix that sends for others once it knows them, and Dovecot behind it that knows passwords: by STARTTLS and by TLS from the first byte.
// With a wrong password the mail waits. DCM-30, RFC 4954.
func TestPostfixKnowsUs(t *testing.T) {
	cert, _, err := smtptest.Certificate("mx.y.example")
	if err != nil {
		t.Fatal(err)
	}
	known := dovecottest.Start(t, map[string]string{"praxis": "a secret of theirs"})
	last, got := inbox(t, smtpd.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	at, roots := postfixOf(t, last, "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = "+known.Auth+"\nsmtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n"+
		"smtpd_relay_restrictions = permit_sasl_authenticated, reject\n", "")
	wrapped, itsRoots := postfixOf(t, last, "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = "+known.Auth+"\nsmtpd_sasl_auth_enable = yes\n"+
		"smtpd_relay_restrictions = permit_sasl_authenticated, reject\n", " -o smtpd_tls_wrappermode=yes")
	for _, x := range []struct {
		name, password, want string
		via                  relay.Through
	}{
		{"STARTTLS", "a secret of theirs", "delivered 250 2.0.0", relay.Through{Address: at, TLS: &tls.Config{RootCAs: roots}}},
		{"implicit", "a secret of theirs", "delivered 250 2.0.0", relay.Through{Address: wrapped, Implicit: true, TLS: &tls.Config{RootCAs: itsRoots}}},
		{"wrong password", "guessed", "deferred 535 4.7.8 the server that sends for us does not take user and password", relay.Through{Address: at, TLS: &tls.Config{RootCAs: roots}}},
		{"nobody", "", "deferred 554", relay.Through{Address: at, TLS: &tls.Config{RootCAs: roots}}},
	} {
		x.via.Credentials = sasl.Credentials{User: "praxis", Password: x.password}
		if x.password == "" {
			x.via.Credentials, x.want = sasl.Credentials{}, "rejected 554 5.7.1"
		}
		c := relay.New(relay.Options{Hostname: "us.example", Through: []relay.Through{x.via}})
		out := c.Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text(letter)))
		if s := describe(out.At[0]); !strings.HasPrefix(s, x.want) {
			t.Errorf("%s: %q", x.name, s)
		} else if out.TLS != "TLS 1.3, verified" {
			t.Errorf("%s: over %q", x.name, out.TLS)
		}
	}
	var all []string
	for deadline := time.Now().Add(30 * time.Second); len(all) < 2 && time.Now().Before(deadline); all = got() {
		<-time.After(10 * time.Millisecond)
	}
	if len(all) != 2 || !strings.HasSuffix(all[0], "\r\n"+letter) || !strings.HasSuffix(all[1], "\r\n"+letter) {
		t.Errorf("Postfix sent %q", all)
	}
}

// postfix starts an instance of its own under a temporary directory, which relays everything to next.
func postfix(t *testing.T, next string) string {
	t.Helper()
	at, _ := postfixOf(t, next, "smtpd_relay_restrictions = permit_mynetworks, reject\n", "")
	return at
}

// postfixOf is postfix with further lines of main.cf, and options of its listener; roots vouch for it at 127.0.0.1.
func postfixOf(t *testing.T, next, lines, listener string) (at string, roots *x509.CertPool) {
	t.Helper()
	dir := openDir(t)
	at = freePort(t)
	cert, roots, err := smtptest.Certificate("postfix.example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...)
	host, port, _ := net.SplitHostPort(next)
	for name, content := range map[string]string{
		"etc/chain.pem": string(chain),
		"etc/main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [%[2]s]:%[3]s
smtpd_tls_chain_files = %[1]s/etc/chain.pem
smtpd_tls_security_level = may
smtp_tls_security_level = encrypt
alias_maps =
alias_database =
%[4]s`, dir, host, port, lines),
		"etc/master.cf": `127.0.0.1:` + at[strings.LastIndex(at, ":")+1:] + ` inet n - n - - smtpd` + listener + `
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"queue", "data"} {
		os.Mkdir(filepath.Join(dir, sub), 0o755)
	}
	log := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(b)
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := exec.Command("postfix", "-c", filepath.Join(dir, "etc"), "start").CombinedOutput(); err != nil {
		t.Fatalf("postfix: %v %s %s", err, out, log())
	}
	t.Cleanup(func() {
		exec.Command("postfix", "-c", filepath.Join(dir, "etc"), "stop").Run()
		if t.Failed() {
			t.Log(log())
		}
	})
	awaitPort(t, at, log)
	return at, roots
}

// synthetic is a message of any size that takes no memory.
type synthetic int64

const syntheticLine = "0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n"

func (s synthetic) Size() int64 { return int64(s) }
func (s synthetic) ReadAt(p []byte, off int64) (n int, err error) {
	head := "a: b\r\n\r\n" + strings.Repeat("\r\n", 35) // one line long
	for n < len(p) && off < int64(s) {
		src := syntheticLine
		if off < 78 {
			src = head
		}
		k := copy(p[n:min(int64(len(p)), int64(n)+int64(s)-off)], src[off%78:])
		n, off = n+k, off+int64(k)
	}
	if off == int64(s) && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// 200 MB from our relay to our server in flat memory, and the same bytes: over TLS and in clear. DESIGN promise 4.
func TestMemory(t *testing.T) {
	const size = synthetic(78 * (200 << 20 / 78))
	cert, _, err := smtptest.Certificate("mx.y.example")
	if err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	io.Copy(want, io.NewSectionReader(size, 0, size.Size()))
	for name, o := range map[string]smtpd.Options{"clear": {}, "TLS": {TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}} {
		t.Run(name, func(t *testing.T) {
			got := sha256.New()
			o.Accept = func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
				for range 3 { // our own trace field
					var one [1]byte
					for one[0] != '\n' {
						if _, err := io.ReadFull(body, one[:]); err != nil {
							return "", err
						}
					}
				}
				_, err := io.Copy(got, body)
				return "id", err
			}
			at, _ := inbox(t, o)
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			base, peak, next := m.HeapInuse, m.HeapInuse, int64(0)
			d := consignment(t, "a@x.example", "b@y.example", size)
			d.Progress = func(sent int64) error {
				if sent >= next {
					next += 8 << 20
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapInuse)
				}
				return nil
			}
			out := relay.New(relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": at}}).Deliver(t.Context(), d)
			if out.At[0].Result != transit.Delivered || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("%s; same bytes: %v", describe(out.At[0]), bytes.Equal(got.Sum(nil), want.Sum(nil)))
			}
			if peak > base+16<<20 { // of 200 MB; the garbage between two collections varies
				t.Errorf("heap grew by %d KiB", (peak-base)>>10)
			}
		})
	}
}
