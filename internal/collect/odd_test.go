package collect

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carepost/internal/audit"
	"carepost/sasl"
	"carepost/sasl/dovecottest"
)

// DCM-30: what cannot be taken stays at the provider with its reason, is audited, and keeps back no other mail; once it can be taken, or the
// operator wants it tried again, it is looked at anew.
func TestRefused(t *testing.T) {
	large := lies{uid: "large", text: "Subject: large\r\n\r\n" + strings.Repeat("0123456789\r\n", 1000)}
	liar := lies{uid: "liar", text: "Subject: liar\r\n\r\n" + strings.Repeat("0123456789\r\n", 1001)}
	nul := lies{uid: "nul", text: "Subject: nul\r\n\r\na\x00b"}
	lf := lies{uid: "lf", text: "Subject: lf\r\n\r\na\nb"}
	headless := lies{uid: "headless", text: "no header\r\n\r\ntext"}
	p := newProvider(t, large, letter("a"), liar, nul, letter("b"), lf, headless, letter("c"))
	p.answers(func(_ int, line string) (string, bool) {
		if line == "LIST" { // smaller than it is
			return fmt.Sprintf("+OK\r\n1 %d\r\n2 9\r\n3 100\r\n4 9\r\n5 9\r\n6 9\r\n7 9\r\n8 9\r\n.\r\n", len(large.text)), false
		}
		return "", false
	})
	h := newHouse(t, p, func(x *Source) { x.Largest = 10_000 })
	h.round(3, 5, 3, "")
	if got := p.lying(); !slices.Equal(got, []string{"large", "liar", "nul", "lf", "headless"}) {
		t.Errorf("%q lie there", got)
	}
	told := h.told()
	var reasons []string
	for _, r := range told.Refused {
		reasons = append(reasons, r.Reason)
	}
	slices.Sort(reasons)
	want := []string{"RFC 5322 §2.2: it has no header that can be read", bareByte, bareByte, "it is larger than is taken (0 MB)", "it is larger than is taken, and than the provider said"}
	if !slices.Equal(reasons, want) || told.Error != "" || told.Heard.IsZero() {
		t.Errorf("%q, %+v", reasons, told)
	}
	if es := h.entries("collect.refuse"); len(es) != 5 || es[0].Object != "collect:provider" || es[0].Detail["reason"] == "" || es[0].Detail["size"] != fmt.Sprint(len(large.text)) {
		t.Errorf("%+v", es)
	}
	if len(h.texts()) != 3 || h.drafts() != 0 {
		t.Errorf("%d are ours, %d drafts", len(h.texts()), h.drafts())
	}
	p.answers(nil)
	h.round(0, 0, 0, "")

	p.set(func() {
		p.mails = append(slices.Clone(p.mails[:3]), lies{uid: "headless", text: "Subject: mended\r\n\r\ntext"}) // lf is gone
	})
	h.round(0, 0, 0, "")
	if n := len(h.told().Refused); n != 4 {
		t.Errorf("%d are refused after one is gone there", n)
	}
	if _, err := h.Retry(t.Context(), audit.Actor("operator"), "nobody"); err != ErrUnknown {
		t.Error(err)
	}
	if n, err := h.Retry(t.Context(), audit.Actor("operator"), "provider"); n != 4 || err != nil {
		t.Error(n, err)
	}
	if es := h.entries("collect.retry"); len(es) != 1 || es[0].Actor != "operator" || es[0].Detail["mails"] != "4" {
		t.Errorf("%+v", es)
	}
	h.round(1, 3, 1, "")
	if n := len(h.told().Refused); n != 3 || len(h.texts()) != 4 {
		t.Errorf("%d are refused, %d ours", n, len(h.texts()))
	}
}

// ATT-44: a mail that the provider lists and does not give, or at which it breaks off each time, keeps back no other; the error stands until it comes.
func TestWithheld(t *testing.T) {
	p := newProvider(t, letters("a", "b", "c", "d", "e")...)
	h := newHouse(t, p)
	p.answers(func(_ int, line string) (string, bool) {
		switch line {
		case "RETR 1":
			return "-ERR [SYS/PERM] north@north.example: their secret is unreadable\r\n", false
		case "RETR 3":
			return "+OK\r\nSubject: c\r\n\r\nhalf a l", true
		}
		return "", false
	})
	h.round(3, 0, 3, "the provider does not give 2 of the mails that it lists: pop3: the server says no: [SYS/PERM]")
	if got, told := p.lying(), h.told(); !slices.Equal(got, []string{"a", "c"}) || !told.Heard.IsZero() || len(told.Refused) != 0 || h.drafts() != 0 ||
		strings.Contains(told.Error, "north") || strings.Contains(told.Error, "secret") {
		t.Errorf("%q lie there, %+v, %d drafts", got, told, h.drafts())
	}
	p.answers(nil)
	h.round(2, 0, 2, "")
	if len(h.texts()) != 5 || len(p.lying()) != 0 || h.told().Heard.IsZero() {
		t.Errorf("%d are ours, %q lie there", len(h.texts()), p.lying())
	}
}

// A round has an end (maxAgain), however many mails break sessions off; the next ones come to what lies behind them.
func TestAgain(t *testing.T) {
	for _, c := range []struct{ how, text string }{{"refused", "Subject: x\r\n\r\n\x00"}, {"cut", ""}} {
		t.Run(c.how, func(t *testing.T) {
			var mails []lies
			for i := range maxAgain + 5 {
				mails = append(mails, lies{uid: fmt.Sprint("odd", i), text: c.text})
			}
			p := newProvider(t, append(mails, letter("a"))...)
			if c.text == "" {
				p.answers(func(_ int, line string) (string, bool) {
					return "", strings.HasPrefix(line, "RETR ") && line != fmt.Sprint("RETR ", len(mails)+1)
				})
			}
			h := newHouse(t, p)
			refused := 0
			if c.text != "" {
				refused = maxAgain
			}
			h.round(0, refused, 0, "too many mails break the session off")
			p.set(func() {
				if p.sessions != maxAgain {
					t.Errorf("%d sessions", p.sessions)
				}
			})
			if c.text != "" {
				h.round(1, 5, 1, "")
			} else {
				h.round(1, 0, 0, "too many mails break the session off")
			}
			if len(h.texts()) != 1 {
				t.Errorf("%d are ours", len(h.texts()))
			}
		})
	}
}

// What ends in the middle of a line is ended; what ends in CR is no mail of lines. RFC 5322 §2.3.
func TestLastLine(t *testing.T) {
	for text, want := range map[string]string{"a\r\nb": "a\r\nb\r\n", "a\r\n": "a\r\n", "": "", "a\r": bareByte, "a\r\n\r": bareByte, "a\n": bareByte} {
		c := &checked{r: strings.NewReader(text), left: 100}
		var got strings.Builder
		buf := make([]byte, 2)
		for {
			n, err := c.Read(buf)
			got.Write(buf[:n])
			if u, ok := err.(*unfit); ok {
				got.Reset()
				got.WriteString(u.reason)
			}
			if err != nil {
				break
			}
		}
		if got.String() != want {
			t.Errorf("%q: %q, want %q", text, got.String(), want)
		}
	}
}

// By IMAP from Dovecot: once; what cannot be taken stays; a folder made anew, with another UIDVALIDITY, brings nothing twice. DCM-30.
func TestDovecot(t *testing.T) {
	box := dovecottest.Start(t, map[string]string{"north": "their secret"})
	large := "Subject: large\r\n\r\n" + strings.Repeat("0123456789\r\n", 1000)
	for _, m := range []string{letter("a").text, large, letter("b").text} {
		box.Put(t, "north", m)
	}
	h := newHouse(t, nil, func(x *Source) {
		x.POP3, x.Address, x.TLS, x.Largest, x.Keep = false, box.IMAPS, &tls.Config{RootCAs: box.Roots}, 10_000, -1
		x.Credentials = sasl.Credentials{User: "north", Password: "their secret"}
	})
	h.round(2, 1, 0, "")
	h.round(0, 0, 0, "")
	box.Renew(t, "north")
	h.round(2, 1, 0, "") // by other names
	if told := h.told(); len(h.texts()) != 2 || told.Taken != 2 || len(told.Refused) != 1 || box.Count(t, "north") != 3 {
		t.Errorf("%d are ours, %+v, %d lie there", len(h.texts()), told, box.Count(t, "north"))
	}
	h.sources[0].Keep = 0
	h.round(0, 0, 2, "")
	if told := h.told(); told.Taken != 0 || box.Count(t, "north") != 1 || len(h.entries("collect.refuse")) != 2 {
		t.Errorf("%+v, %d lie there", told, box.Count(t, "north"))
	}
}
