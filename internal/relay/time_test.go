package relay_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/internal/relay"
)

// RFC 5321 §4.5.3.2: how long each step is waited for.
func TestPatience(t *testing.T) {
	hello := "S: 220 m.example\nC: EHLO us.example\n"
	begun := untilMail + "S: 250 ok\nC: RCPT TO:<b@y.example>\n"
	data := begun + "S: 250 ok\nC: DATA\n"
	for name, c := range map[string]struct {
		script string
		after  time.Duration
		want   string
	}{
		"greeting":    {"C: EOF\n", 5 * time.Minute, "deferred 0 4.4.2 waiting for the reply to the connection"},
		"EHLO":        {hello + "C: EOF\n", 5 * time.Minute, "deferred 0 4.4.2 waiting for the reply to EHLO"},
		"MAIL":        {untilMail + "C: EOF\n", 5 * time.Minute, "deferred 0 4.4.2 waiting for the reply to MAIL"},
		"RCPT":        {begun + "C: EOF\n", 5 * time.Minute, "deferred 0 4.4.2 waiting for the reply to RCPT"},
		"DATA":        {data + "C: EOF\n", 2 * time.Minute, "deferred 0 4.4.2 waiting for the reply to DATA"},
		"end of data": {data + "S: 354 go\nC~ a: b\\r\\n\\r\\n.\\r\\n\nS~ \nC: EOF\n", 10 * time.Minute, "deferred 0 4.4.2 waiting for the reply to the end of data"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
				var end func()
				o.Dial, end = playFor(t, time.Hour, c.script)
				begin := time.Now()
				got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
				end()
				if d := time.Since(begin); d != c.after {
					t.Errorf("after %v, want %v", d, c.after)
				}
				if a := describe(got.At[0]); !strings.HasPrefix(a, c.want) {
					t.Errorf("got %q, want %q", a, c.want)
				}
			})
		})
	}
}

// peer is a server that reads content in pieces with pauses, and thinks before it answers the end of data.
func peer(bytes int, pause, think time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		us, them := net.Pipe()
		go func() {
			defer them.Close()
			io.WriteString(them, "220 m.example\r\n")
			buf := make([]byte, 4096)
			for _, answer := range []string{"250 m.example\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"} {
				them.Read(buf)
				io.WriteString(them, answer)
			}
			var tail string
			for !strings.HasSuffix(tail, "\r\n.\r\n") {
				n, err := them.Read(buf[:bytes])
				if err != nil {
					return
				}
				tail += string(buf[:n])
				tail = tail[max(0, len(tail)-5):]
				time.Sleep(pause)
			}
			time.Sleep(think)
			io.WriteString(them, "250 2.0.0 ok\r\n")
			them.Read(buf)
		}()
		return us, nil
	}
}

// A server that takes content by the drop is given up, one that takes it slowly is not.
func TestSlowServer(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		want  string
	}{"drops": {16, "deferred 0 4.4.2 sending the message"}, "slowly": {4096, "delivered 250"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}, Dial: peer(c.bytes, 2*time.Second, 0)}
				o.Timeouts.DataBlock = time.Hour
				b := "a: b\r\n\r\n" + strings.Repeat("0123456789\r\n", 1<<18)
				got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text(b)))
				if a := describe(got.At[0]); !strings.HasPrefix(a, c.want) {
					t.Errorf("got %q, want %q", a, c.want)
				}
			})
		})
	}
}

// When ctx ends the delivery ends, but for the reply to the final dot, which is given a little time.
func TestInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		pause, think, after time.Duration
		want                string
	}{
		"before the end":        {2 * time.Second, 0, time.Second, "deferred 0 4.4.2 sending the message"},
		"after it, and it came": {0, 5 * time.Second, 5 * time.Second, "delivered 250 2.0.0 ok"},
		"after it, and lost":    {0, time.Minute, 11 * time.Second, "deferred 0 4.4.2 waiting for the reply to the end of data"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}, Dial: peer(4096, c.pause, c.think)}
				begin := time.Now()
				b := "a: b\r\n\r\n" + strings.Repeat("0123456789\r\n", 1<<14)
				got := relay.New(o).Deliver(ctx, consignment(t, "a@x.example", "b@y.example", text(b)))
				if d := time.Since(begin); d != c.after {
					t.Errorf("after %v, want %v", d, c.after)
				}
				if a := describe(got.At[0]); !strings.HasPrefix(a, c.want) {
					t.Errorf("got %q, want %q", a, c.want)
				}
				time.Sleep(time.Hour) // until the server has noticed
			})
		})
	}
}
