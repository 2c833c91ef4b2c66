package smtpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/smtp/smtptest"
)

// peer runs an installed program; its absence fails the test.
func peer(t testing.TB, input string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func withTLS(t testing.TB, o smtpd.Options) smtpd.Options {
	t.Helper()
	cert, _, err := smtptest.Certificate("mx.example")
	if err != nil {
		t.Fatal(err)
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	return o
}

// swaks: in clear, over TLS, pipelined, from nobody; dots, 8 bits. DIR-57.
func TestSwaks(t *testing.T) {
	content := "From: a@x.example\r\nTo: b@y.example\r\nSubject: x\r\n\r\n.\r\n..two\r\n\xe4\r\n"
	for name, c := range map[string]struct {
		args []string
		from string
		tls  string
		helo string
	}{
		"clear":     {nil, "<a@x.example>", "", "c.example"},
		"pipelined": {[]string{"--pipeline"}, "<a@x.example>", "", "c.example"},
		"tls":       {[]string{"--tls", "--pipeline"}, "<a@x.example>", "TLS 1.3", "c.example"},
		"tls 1.2":   {[]string{"--tls", "--tls-protocol", "tlsv1_2"}, "<a@x.example>", "TLS 1.2", "c.example"},
		"null path": {[]string{"--from", "<>"}, "<>", "", "c.example"},
		"helo":      {[]string{"--protocol", "SMTP", "--ehlo", "[127.0.0.1]"}, "<a@x.example>", "", "[127.0.0.1]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{}
			addr := serve(t, withTLS(t, smtpd.Options{Accept: s.accept}))
			_, port, _ := net.SplitHostPort(addr.String())
			args := append([]string{"--server", "127.0.0.1", "--port", port, "--ehlo", "c.example", "--from", "a@x.example",
				"--to", `b@y.example,"q r"@y.example`, "--data", "-"}, c.args...)
			out := peer(t, content, "swaks", args...)
			if !strings.Contains(out, "250 2.0.0 Taken as id-1") || len(s.taken) != 1 {
				t.Fatalf("not taken:\n%s", out)
			}
			m := s.taken[0]
			// swaks ends its content with an empty line of its own.
			if _, body, _ := cutTrace(m.body); strings.TrimSuffix(body, "\r\n") != strings.TrimSuffix(content, "\r\n") &&
				strings.TrimSuffix(body, "\r\n\r\n") != strings.TrimSuffix(content, "\r\n") {
				t.Errorf("got %q", body)
			}
			if m.env.From.String() != c.from || m.env.TLS != c.tls || m.env.Helo != c.helo || len(m.env.To) != 2 || m.env.To[1].Endpoint != "q r" {
				t.Errorf("got %+v", m.env)
			}
		})
	}
}

// Postfix's smtp-source: many sessions, many messages in each.
func TestSMTPSource(t *testing.T) {
	var n, size atomic.Int64
	addr := serve(t, smtpd.Options{Accept: func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
		k, err := io.Copy(io.Discard, body)
		size.Add(k)
		return "id", errOr(err, func() { n.Add(1) })
	}})
	for _, args := range [][]string{{"-s", "20", "-m", "200"}, {"-s", "5", "-m", "200", "-d"}, {"-s", "2", "-m", "10", "-r", "50", "-d"}} {
		n.Store(0)
		peer(t, "", "smtp-source", append(args, "-l", "10240", "-f", "a@x.example", "-t", "b@y.example", "inet:"+addr.String())...)
		if want, _ := strconv.ParseInt(args[3], 10, 64); n.Load() != want {
			t.Errorf("%v: %d taken", args, n.Load())
		}
	}
}

func errOr(err error, then func()) error {
	if err == nil {
		then()
	}
	return err
}

// openssl: STARTTLS with what is allowed, and not with what is not. DIR-57.
func TestOpenSSL(t *testing.T) {
	addr := serve(t, withTLS(t, smtpd.Options{Accept: (&sink{}).accept})).String()
	try := func(args ...string) string {
		cmd := exec.Command("openssl", append([]string{"s_client", "-starttls", "smtp", "-name", "c.example", "-connect", addr}, args...)...)
		cmd.Stdin = strings.NewReader("QUIT\r\n")
		out, _ := cmd.CombinedOutput() // it fails where it is to fail
		return string(out)
	}
	for _, good := range [][]string{{"-tls1_3"}, {"-tls1_2"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}} {
		if out := try(good...); !strings.Contains(out, "CONNECTED") || strings.Contains(out, "Cipher is (NONE)") {
			t.Errorf("%v: %s", good, out)
		}
	}
	for _, bad := range [][]string{{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, {"-tls1", "-cipher", "ALL:@SECLEVEL=0"},
		{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0"}} {
		if out := try(bad...); !strings.Contains(out, "CONNECTED") || !strings.Contains(out, "Cipher is (NONE)") {
			t.Errorf("%v: %s", bad, out)
		}
	}
	if out := try("-tls1_2"); strings.Contains(out, "TLS session ticket:") {
		t.Error("a session ticket was given")
	}
}

// 200 MB pass in flat memory, by DATA and by BDAT. DESIGN promise 4.
func TestMemory(t *testing.T) {
	const size = 200 << 20
	block := []byte(strings.Repeat(strings.Repeat("0123456789", 7)+"012345\r\n", 1024))
	for name, chunked := range map[string]bool{"DATA": false, "BDAT": true} {
		t.Run(name, func(t *testing.T) {
			heap := newGauge()
			addr := serve(t, smtpd.Options{Accept: func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
				n, err := io.Copy(heap, body)
				return strconv.FormatInt(n, 10), err
			}})
			conn, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &client{t, conn, bufio.NewReader(conn)}
			c.want("220")
			c.send("EHLO c.example\r\n")
			c.want("250")
			c.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n")
			c.want("250")
			c.want("250")
			if chunked {
				c.send("BDAT 8\r\na: b\r\n\r\n")
				c.want("250")
			} else {
				c.send("DATA\r\n")
				c.want("354")
				c.send("a: b\r\n\r\n")
			}
			for n := 0; n < size; n += 10 * len(block) {
				if chunked {
					c.send("BDAT " + strconv.Itoa(10*len(block)) + "\r\n")
				}
				for range 10 {
					conn.Write(block)
				}
				if chunked {
					c.want("250")
				}
			}
			if chunked {
				c.send("BDAT 0 LAST\r\n")
			} else {
				c.send(".\r\n")
			}
			c.want("250 2.0.0 Taken as 2") // and more digits
			if heap.n < size || heap.peak > heap.base+16<<20 {
				t.Errorf("%d bytes, heap %d KiB over %d KiB", heap.n, (heap.peak-heap.base)>>10, heap.base>>10)
			}
		})
	}
}

// gauge notes how far the heap grows over what it was.
type gauge struct {
	base, peak uint64
	n, next    int64
}

func newGauge() *gauge {
	g := &gauge{}
	runtime.GC()
	g.base = g.inUse()
	return g
}

func (g *gauge) inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func (g *gauge) Write(p []byte) (int, error) {
	if g.n += int64(len(p)); g.n >= g.next {
		g.next += 8 << 20
		g.peak = max(g.peak, g.inUse())
	}
	return len(p), nil
}
