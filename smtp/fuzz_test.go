package smtp

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
)

// What is read as a command can be written again and is read as the same; nothing gets through that ends a line or a path.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"EHLO a.example", "MAIL FROM:<>", `MAIL FROM:<"a> SIZE=1 <b"@x.example> SIZE=10 BODY=8BITMIME RET=FULL ENVID=a+2Bb`, "RCPT TO:<Postmaster>",
		"RCPT TO:<a@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@x.example", "MAIL FROM:<@r.example:a@x.example>", "BDAT 10 LAST", "RCPT TO:<\"\\\"\"@x.example>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cmd, refused := ParseCommand(line)
		if refused != nil {
			return
		}
		var path string
		switch cmd.Verb {
		case "MAIL":
			m, refused := ParseMail(cmd.Args)
			if refused != nil {
				return
			}
			path = m.From.String()
			again, refused := ParseMail("FROM:" + path + " ENVID=" + FormatXtext(m.EnvID+"x"))
			if refused != nil && len(FormatXtext(m.EnvID)) < 90 || refused == nil && again.From != m.From {
				t.Fatalf("%q → %q → %+v %v", line, path, again, refused)
			}
		case "RCPT":
			r, refused := ParseRcpt(cmd.Args)
			if refused != nil || r.Postmaster {
				return
			}
			path = r.To.String()
			if again, refused := ParseRcpt("TO:" + path); refused != nil || again.To != r.To {
				t.Fatalf("%q → %q → %+v %v", line, path, again, refused)
			}
		case "BDAT":
			if n, _, refused := ParseBDAT(cmd.Args); n < 0 || refused != nil && refused.Code != 501 {
				t.Fatalf("%q: %d %v", line, n, refused)
			}
		}
		if strings.ContainsAny(path, "\r\n\x00") {
			t.Fatalf("%q passes", path)
		}
	})
}

// What is read as a PLAIN message is exactly what was sent, in one way of writing it.
func FuzzAuth(f *testing.F) {
	for _, s := range []string{"PLAIN AGEAYg==", "PLAIN", "plain =", "PLAIN *", "PLAIN AGEAYh==", "X-1_ AAAA", "PLAIN  AGEAYg==", "PLAIN AGEA\nYg=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		a, refused := ParseAuth(args)
		if refused != nil {
			if !refused.Permanent() || a.Initial != nil {
				t.Fatalf("%q: %+v %+v", args, refused, a)
			}
			return
		}
		name, text, given := strings.Cut(args, " ")
		if !strings.EqualFold(name, a.Mechanism) || given != a.Given || given && text != cmp.Or(base64.StdEncoding.EncodeToString(a.Initial), "=") {
			t.Fatalf("%q is read as %+v", args, a)
		}
		as, user, password, refused := ParsePlain(a.Initial)
		if refused == nil && (as+"\x00"+user+"\x00"+password != string(a.Initial) || user == "" || password == "" || strings.Contains(user+password, "\x00")) {
			t.Fatalf("%q: %q %q %q", args, as, user, password)
		}
	})
}

// The framing of content: what is stored is what was sent, unstuffed; sent again it reads the same; and it agrees with a reader of
// three lines that knows nothing of buffers.
func FuzzData(f *testing.F) {
	for _, s := range []string{".\r\n", "a\r\n.\r\n", "a\r\n..b\r\n.\r\nQUIT\r\n", "a\r\r\n.\r\n", "a\n.\r\n", "a\r\n.\r", "..\r\n.\r\n"} {
		f.Add([]byte(s), uint8(3), uint8(2))
	}
	f.Fuzz(func(t *testing.T, wire []byte, in, out uint8) {
		r := NewReader(pieces(string(wire), int(in)+1))
		var got bytes.Buffer
		_, err := io.CopyBuffer(&got, struct{ io.Reader }{r.Data()}, make([]byte, int(out)+1))
		want, rest, ok := naive(string(wire))
		if (err == nil) != ok || ok && got.String() != want {
			t.Fatalf("%q: got %q, %v; want %q, %v", wire, got.String(), err, want, ok)
		}
		if !ok {
			if !errors.Is(err, ErrBareByte) && err != io.ErrUnexpectedEOF {
				t.Fatalf("%q: %v", wire, err)
			}
			return
		}
		tail, err := io.ReadAll(r.Chunk(int64(len(rest))))
		if err != nil || string(tail) != rest {
			t.Fatalf("%q: rest %q, %v; want %q", wire, tail, err, rest)
		}
		var sent bytes.Buffer
		d := NewDotWriter(&sent)
		for b := got.Bytes(); len(b) > 0; b = b[min(len(b), int(out)+1):] {
			if _, err := d.Write(b[:min(len(b), int(out)+1)]); err != nil {
				t.Fatalf("%q was taken and cannot be sent: %v", got.String(), err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatalf("%q was taken and cannot be sent: %v", got.String(), err)
		}
		again, err := io.ReadAll(NewReader(&sent).Data())
		if err != nil || !bytes.Equal(again, got.Bytes()) {
			t.Fatalf("%q sent again reads %q, %v", got.String(), again, err)
		}
	})
}

// naive reads content as RFC 5321 §4.5.2 tells it, line by line.
func naive(wire string) (content, rest string, ok bool) {
	for {
		line, after, found := strings.Cut(wire, "\r\n")
		if !found || strings.ContainsAny(line, "\r\n\x00") {
			return "", "", false
		}
		wire = after
		if line == "." {
			return content, wire, true
		}
		content += strings.TrimPrefix(line, ".") + "\r\n"
	}
}

// Chunks: any cut gives the same verdict on the same octets.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n"), uint8(2))
	f.Add([]byte("a\r\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, cut uint8) {
		var one, two Lines
		bad := one.Check(content) != nil
		k := min(int(cut), len(content))
		bad2 := two.Check(content[:k]) != nil || two.Check(content[k:]) != nil
		text := strings.ReplaceAll(string(content), "\r\n", "$")
		plain := strings.ContainsAny(strings.TrimSuffix(text, "\r"), "\r\n\x00") // a final CR may get its LF yet
		if bad != bad2 || bad != plain || !bad && one.Whole() != (len(content) == 0 || bytes.HasSuffix(content, []byte("\r\n"))) {
			t.Fatalf("%q cut at %d: %v, %v, want %v", content, k, bad, bad2, plain)
		}
	})
}

// A peer's replies: bounded, and what is read can be said again.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\n", "250\r\n", "421 4.3.2 bye\r\nx", "250-\r\n250-5.0.0\r\n250 \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := ReadReply(NewReader(bytes.NewReader(wire)))
		if err != nil {
			return
		}
		if len(r.Text) > maxReplyLines || r.Code < 200 || r.Code > 599 {
			t.Fatalf("%q: %+v", wire, r)
		}
		again, err := ReadReply(NewReader(bytes.NewReader(r.AppendTo(nil))))
		if len(wire) < maxReplyLine && (err != nil || again.Code != r.Code || len(again.Text) != len(r.Text)) {
			t.Fatalf("%q → %+v → %+v, %v", wire, r, again, err)
		}
	})
}
