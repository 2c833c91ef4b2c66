package ldap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// tlv is an element with a definite length.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	n := len(body)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 1<<16:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
	return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func message(id byte, op []byte) []byte { return tlv(0x30, []byte{2, 1, id}, op) }
func text(s string) []byte              { return tlv(4, []byte(s)) }

// result is one of a bind (0x61) or of a search (0x65).
func result(op, code byte) []byte {
	return tlv(op, []byte{0x0a, 1, code}, text(""), text("who asks for lab@h.example?"))
}

func entry(values ...[]byte) []byte {
	return tlv(0x64, text("cn=x"), tlv(0x30, tlv(0x30, text("userCertificate;binary"), tlv(0x31, values...))))
}

// idOf reads the number of a request: 30 length 02 01 id.
func idOf(b []byte) byte {
	_, rest, _ := length(b[1:])
	return rest[2]
}

// strange is a server that answers the bind and then says what it likes, until the client leaves.
func strange(t *testing.T, bind []byte, say func(id byte, w io.Writer)) *Session {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { there.Close() })
	go func() {
		buf := make([]byte, 4096)
		for first := true; ; first = false {
			if _, err := there.Read(buf); err != nil {
				return
			}
			id := idOf(buf)
			if first {
				there.Write(message(id, bind))
				continue
			}
			go say(id, there)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Open(ctx, here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func once(b []byte) func(byte, io.Writer) { return func(_ byte, w io.Writer) { w.Write(b) } }

// ATT: a directory is anybody's server. Whatever it sends ends soon, in little memory, and says nothing about whom we looked for.
func TestHostile(t *testing.T) {
	deep := []byte{4, 0}
	for range 40 {
		deep = tlv(0x30, deep)
	}
	for name, tc := range map[string]struct {
		say  func(id byte, w io.Writer)
		want error
	}{
		"a length of gigabytes":         {once([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2, 1, 2}), ErrLimit},
		"a length of exabytes":          {once([]byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), ErrLimit},
		"a value of gigabytes inside":   {once(tlv(0x30, []byte{2, 1, 2}, []byte{0x64, 0x84, 0x7f, 0xff, 0xff, 0xff})), ErrMalformed},
		"no definite length":            {once([]byte{0x30, 0x80, 2, 1, 2, 0, 0}), ErrMalformed},
		"nine octets of length":         {once([]byte{0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}), ErrMalformed},
		"no LDAP":                       {once([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), ErrMalformed},
		"nesting":                       {func(id byte, w io.Writer) { w.Write(message(id, deep)) }, ErrLimit},
		"elements":                      {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x64, bytes.Repeat([]byte{4, 0}, 100_000)))) }, ErrLimit},
		"a message too long":            {func(id byte, w io.Writer) { w.Write(message(id, entry(bytes.Repeat([]byte{0}, 300_000)))) }, ErrLimit},
		"endless messages for somebody": {endless(message(99, entry())), ErrLimit},
		"endless entries":               {func(id byte, w io.Writer) { endless(message(id, entry(tlv(4, make([]byte, 40_000)))))(id, w) }, ErrLimit},
		"a high tag":                    {func(id byte, w io.Writer) { w.Write(message(id, []byte{0x7f, 0x81, 1, 0})) }, ErrMalformed},
		"an entry without attributes":   {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x64, text("x")))) }, nil},
		"an entry of nothing":           {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x64))) }, nil},
		"attributes of nothing":         {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x64, text("x"), tlv(0x30, tlv(0x30))))) }, nil},
		"a result of nothing":           {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x65))) }, nil},
		"a result without text":         {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x65, []byte{0x0a, 1, 0}))) }, nil},
		"no operation":                  {func(id byte, w io.Writer) { w.Write(tlv(0x30, []byte{2, 1, id})) }, nil},
		"another operation":             {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x77))); w.(net.Conn).Close() }, nil},
		"an empty reference":            {func(id byte, w io.Writer) { w.Write(message(id, tlv(0x73))) }, nil},
		"busy":                          {func(id byte, w io.Writer) { w.Write(message(id, result(0x65, 51))) }, &ResultError{51}},
		"goodbye":                       {func(_ byte, w io.Writer) { w.(net.Conn).Close() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := strange(t, result(0x61, 0), tc.say)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := s.Certificates(ctx, "ou=x", "lab@h.example")
			runtime.ReadMemStats(&after)
			var code *ResultError
			switch want := tc.want.(type) {
			case nil:
				if err == nil {
					t.Errorf("%+v and no error", r)
				}
			case *ResultError:
				if !errors.As(err, &code) || code.Code != want.Code {
					t.Errorf("%v, want %v", err, want)
				}
			default:
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			}
			if ctx.Err() != nil {
				t.Error("it took until the deadline")
			}
			if err != nil && (strings.Contains(err.Error(), "lab") || !strings.HasPrefix(err.Error(), "ldap: ")) {
				t.Errorf("said %q", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
				t.Errorf("%d octets allocated", took)
			}
		})
	}
}

func endless(m []byte) func(byte, io.Writer) {
	return func(_ byte, w io.Writer) {
		for {
			if _, err := w.Write(m); err != nil {
				return
			}
		}
	}
}

// A referral leads to a server of a stranger's choice: it is told, and goes nowhere (RFC 4511 §4.1.10, §4.5.3).
func TestReferrals(t *testing.T) {
	for name, say := range map[string]func(id byte, w io.Writer){
		"result": func(id byte, w io.Writer) { w.Write(message(id, result(0x65, 10))) },
		"reference": func(id byte, w io.Writer) {
			w.Write(message(id, tlv(0x73, text("ldap://127.0.0.1/"))))
			w.Write(message(id, result(0x65, 0)))
		},
	} {
		s := strange(t, result(0x61, 0), say)
		if r, err := s.Certificates(t.Context(), "ou=x", "lab@h.example"); err != nil || !r.Referred || len(r.Entries) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// An entry with more certificates than are read: the first of them count, and it is told that there are more.
func TestManyValues(t *testing.T) {
	values := make([][]byte, maxValues+8)
	for i := range values {
		values[i] = text(string(rune('A' + i)))
	}
	s := strange(t, result(0x61, 0), func(id byte, w io.Writer) {
		w.Write(message(id, entry(values...)))
		w.Write(message(id, entry(values...)))
		w.Write(message(id, result(0x65, 0)))
	})
	r, err := s.Certificates(t.Context(), "ou=x", "lab@h.example")
	if err != nil || !r.Cut || len(r.Entries) != 1 || len(r.Entries[0].Values) != maxValues || string(r.Entries[0].Values[0]) != "A" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Silence ends with the caller's time, at the bind and at a search, and leaves nothing behind.
func TestSilence(t *testing.T) {
	before := runtime.NumGoroutine()
	silent := strange(t, result(0x61, 0), func(byte, io.Writer) {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := silent.Bases(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a search: %v", err)
	}
	silent.Close()
	here, there := net.Pipe()
	defer there.Close()
	go io.Copy(io.Discard, there)
	if _, err := Open(ctx, here); err == nil {
		t.Error("the bind was never answered")
	}
	there.Close()
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A server that takes nobody without a name is no server for us.
func TestBindRefused(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		buf := make([]byte, 4096)
		there.Read(buf)
		there.Write(message(idOf(buf), result(0x61, 48)))
		io.Copy(io.Discard, there)
	}()
	var code *ResultError
	if _, err := Open(t.Context(), here); !errors.As(err, &code) || code.Code != 48 {
		t.Errorf("%v", err)
	}
}

// What a directory returns is read without panic and within the limits.
func FuzzAnswer(f *testing.F) {
	f.Add(message(2, entry(text("x"))))
	f.Add(message(2, result(0x65, 0)))
	f.Add(append(message(2, tlv(0x73, text("ldap://h.example/"))), message(2, result(0x65, 0))...))
	f.Add([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2, 1, 2})
	f.Fuzz(func(t *testing.T, answer []byte) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			buf := make([]byte, 4096)
			there.Read(buf)
			there.Write(message(idOf(buf), result(0x61, 0)))
			there.Read(buf)
			there.Write(answer)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, err := Open(ctx, here)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r, err := s.Certificates(ctx, "ou=x", "lab@h.example")
		if ctx.Err() != nil {
			t.Fatal("it took until the deadline")
		}
		if err != nil && len(r.Entries) > 0 || len(r.Entries) > maxEntries {
			t.Fatalf("%d entries, %v", len(r.Entries), err)
		}
	})
}
