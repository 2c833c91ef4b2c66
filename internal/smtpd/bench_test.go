package smtpd_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
)

// A server whose Accept does nothing but read: what the wire costs.
func reader(b *testing.B) string {
	return serve(b, smtpd.Options{Accept: func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
		_, err := io.Copy(struct{ io.Writer }{io.Discard}, body) // 32 KiB at a time, unlike io.Discard itself
		return "id", err
	}}).String()
}

// Messages of 10 KB from Postfix's smtp-source, 20 sessions, each used again or new for each message; the same load on smtp-sink
// gives the ratio.
func BenchmarkMessages(b *testing.B) {
	for _, mode := range []string{"reused", "new"} {
		for _, to := range []string{"smtpd", "smtp-sink"} {
			b.Run(mode+"/"+to, func(b *testing.B) {
				address := reader(b)
				if to == "smtp-sink" {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						b.Fatal(err)
					}
					address = l.Addr().String()
					l.Close()
					cmd := exec.Command("smtp-sink", "-u", "nobody", address, "1000")
					if err := cmd.Start(); err != nil {
						b.Fatal(err)
					}
					defer cmd.Wait()
					defer cmd.Process.Kill()
					for {
						if c, err := net.Dial("tcp", address); err == nil {
							c.Close()
							break
						}
					}
				}
				args := []string{"-s", "20", "-m", strconv.Itoa(b.N), "-l", "10240", "-f", "a@x.example", "-t", "b@y.example"}
				if mode == "reused" {
					args = append(args, "-d")
				}
				b.ResetTimer()
				peer(b, "", "smtp-source", append(args, "inet:"+address)...)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// One message of 64 MiB over loopback, by a client that only writes.
func BenchmarkData(b *testing.B) {
	block := bytes.Repeat([]byte(strings.Repeat("0123456789", 7)+"012345\r\n"), 840)
	const blocks = 1024
	conn, err := net.Dial("tcp", reader(b))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	say := func(s, want string) {
		io.WriteString(conn, s)
		if n, err := conn.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			b.Fatalf("%q: %q, %v", s, buf[:n], err)
		}
	}
	say("", "220")
	say("EHLO c.example\r\n", "250")
	b.SetBytes(int64(blocks * len(block)))
	for b.Loop() {
		say("MAIL FROM:<a@x.example>\r\n", "250")
		say("RCPT TO:<b@y.example>\r\n", "250")
		say("DATA\r\n", "354")
		io.WriteString(conn, "a: b\r\n\r\n")
		for range blocks {
			if _, err := conn.Write(block); err != nil {
				b.Fatal(err)
			}
		}
		say(".\r\n", "250")
	}
}
