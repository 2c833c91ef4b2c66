package flow_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
)

// submitText submits a message as it is.
func (s *side) submitText(text string, to ...addr.Address) string {
	s.t.Helper()
	id, err := s.trySubmit(text, to...)
	s.must(err)
	return id
}

func (s *side) trySubmit(text string, to ...addr.Address) (string, error) {
	return s.Submit(s.t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: to}, strings.NewReader(text))
}

// raw is a message as it was taken.
func (s *side) raw(id string) string {
	s.t.Helper()
	var m store.Message
	var row store.Blob
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) (err error) {
		if m, err = tx.Message(id); err != nil {
			return err
		}
		row, err = tx.Blob(m.Raw)
		return err
	}))
	b, err := s.Blobs.Open(blob.Ref(row))
	s.must(err)
	defer b.Close()
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	s.must(err)
	return string(text)
}

// What a mail program leaves out is added, and what is nobody's business is taken out; nothing else changes. RFC 6409 §8, RFC 5322 §3.6.3.
func TestSubmitCompletes(t *testing.T) {
	const from, to, date, id = "From: desk@north.example\r\n", "To: lab@south.example\r\n", "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n", "Message-ID: <7@north.example>\r\n"
	s := newSide(t)
	for name, tc := range map[string]struct{ text, want string }{
		"complete":      {from + to + date + "Message-ID: <1@north.example>\r\n\r\nx\r\n\r\n", from + to + date + "Message-ID: <1@north.example>\r\n\r\nx\r\n\r\n"},
		"no date":       {from + to + "Message-ID: <2@north.example>\r\n\r\nx\r\n", from + to + "Message-ID: <2@north.example>\r\nDate: *\r\n\r\nx\r\n"},
		"no Message-ID": {from + to + date + "\r\nx\r\n", from + to + date + "Message-ID: <*@north.example>\r\n\r\nx\r\n"},
		"neither":       {from + to + "\r\nx\r\n", from + to + "Date: *\r\nMessage-ID: <*@north.example>\r\n\r\nx\r\n"},
		"no body":       {from + to + date + "Message-ID: <3@north.example>", from + to + date + "Message-ID: <3@north.example>\r\n\r\n"},
		"only LF":       {"From: desk@north.example\nTo: lab@south.example\n\nx\n", "From: desk@north.example\nTo: lab@south.example\nDate: *\nMessage-ID: <*@north.example>\n\nx\n"},
		"blind copies": {"Bcc: ward@west.example,\r\n boss@west.example\r\n" + from + to + "bCC: x@west.example\r\n" + date + "Resent-Bcc: x@west.example\r\n" + id + "\r\nBcc: stays\r\n",
			from + to + date + id + "\r\nBcc: stays\r\n"},
	} {
		got := s.raw(s.submitText(tc.text, lab))
		rest, ok := got, true
		for i, part := range strings.Split(tc.want, "*") {
			var before string
			before, rest, ok = strings.Cut(rest, part)
			if !ok || i == 0 && before != "" || len(before) > 60 {
				t.Errorf("%s: %q", name, got)
				break
			}
		}
		if ok && rest != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, text := range map[string]string{
		"no header":    "\r\nbody\r\n",
		"not a header": "this is no field\r\n\r\n",
		"a bad date":   from + to + "Date: yesterday\r\n\r\nx\r\n",
		"nobody":       from + "\r\nx\r\n",
		"only blind":   from + "Bcc: lab@south.example\r\n\r\nx\r\n",
	} {
		if _, err := s.trySubmit(text, lab); !isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := io.MultiReader(strings.NewReader(from), failing{})
	if _, err := s.Submit(t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}}, broken); err == nil || isRefusal(err) {
		t.Errorf("a connection that breaks: %v", err)
	}
}

func isRefusal(err error) bool { r := (*flow.Refusal)(nil); return errors.As(err, &r) }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the connection is gone") }

// A mail program that has not heard our answer sends again: it is the same message, sent once, whatever trace our listener puts in
// front. What is not the same is refused, unless it goes to others (RFC 5322 §3.6.4, RFC 5321 §4.5.3.1.10).
func TestSubmitTwice(t *testing.T) {
	s := newSide(t)
	text := letter(desk, "once", lab, ward)
	first := s.submitText("Received: from a by b; now\r\n"+text, lab)
	if again := s.submitText("Received: from a by b;\r\n\tlater\r\n"+text, lab); again != first {
		t.Errorf("the repeat is %s, not %s", again, first)
	}
	if n := s.works("outbound"); n != 1 || s.audited("message.accept") != 1 {
		t.Errorf("sent %d times, with %d entries", n, s.audited("message.accept"))
	}
	if other := s.submitText(text, ward); other == first {
		t.Error("another recipient was passed over")
	}
	for name, again := range map[string]struct {
		text string
		to   []addr.Address
	}{
		"another text":             {text + "and more\r\n", []addr.Address{lab}},
		"one recipient more":       {text, []addr.Address{lab, {Endpoint: "boss", Domain: lab.Domain}}},
		"in other letters as well": {text + "x", []addr.Address{{Endpoint: "LAB", Domain: lab.Domain}}},
	} {
		if _, err := s.trySubmit(again.text, again.to...); !isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without a Message-ID there is no telling a repeat from a second message.
	bare := "From: desk@north.example\r\nTo: lab@south.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nthe same\r\n"
	if a, b := s.submitText(bare, lab), s.submitText(bare, lab); a == b {
		t.Error("two messages became one")
	}
	// Also when the first one is done with.
	for range s.works("outbound") {
		s.step("outbound")
	}
	for range s.works("deliver") {
		s.step("deliver")
	}
	s.accept(lab, s.seal(processedMDN(t, text), s.others[lab.Domain]))
	s.step("inbound")
	if r := s.recipient(first, lab); r.State != transit.Processed {
		t.Fatalf("the first is %q", r.State)
	}
	if again := s.submitText(text, lab); again != first {
		t.Error("the repeat is sent again")
	}
}

// What the operator has cancelled is not sent by a mail program that repeats it.
func TestSubmitAgainWhatWasCancelled(t *testing.T) {
	s := newSide(t)
	text := letter(desk, "cancelled", lab)
	s.submitText(text, lab)
	s.must(s.Cancel(t.Context(), operator, s.work("outbound", store.Ready).ID))
	if _, err := s.trySubmit(text, lab); !isRefusal(err) {
		t.Errorf("the repeat: %v", err)
	}
	if n := s.works(""); n != 0 {
		t.Errorf("%d pieces of work", n)
	}
}

func processedMDN(t *testing.T, about string) string {
	t.Helper()
	_, rest, _ := strings.Cut(about, "Message-ID: ")
	original, _, _ := strings.Cut(rest, "\r\n")
	var out strings.Builder
	err := mdn.Compose(&out, mdn.Notice{
		From: lab, To: []addr.Address{desk}, Date: time.Now(), MessageID: "<mdn@south.example>", Subject: "Processed", OriginalMessageID: original,
		FinalRecipient: lab, Disposition: mdn.Processed, ReportingUA: "mx.south.example; other", Text: "processed\n",
	}, "boundary-of-a-report")
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What has failed for everybody is not taken for sent: its sender, who has the report, would wait in vain. Nor is it sent again under the
// same Message-ID; he is told how.
func TestSubmitAgainWhatFailed(t *testing.T) {
	s := newSide(t)
	text := letter(desk, "once more", lab, ward)
	first := s.submitText(text, lab, ward)
	s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Rejected, 550) }
	s.step("outbound")
	s.must(s.run(t.Context(), s.claim("deliver")))
	if again := s.submitText(text, lab, ward); again != first {
		t.Error("who has it still waits in vain")
	}
	s.must(s.run(t.Context(), s.claim("deliver")))
	for _, to := range [][]addr.Address{{lab, ward}, {ward}} {
		_, err := s.trySubmit(text, to...)
		if r := (*flow.Refusal)(nil); !errors.As(err, &r) || !strings.Contains(r.Reason, "failed") || !strings.Contains(r.Reason, "as a new message") {
			t.Errorf("for %d: %v", len(to), err)
		}
	}
	if n := len(s.inbox()); n != 2 {
		t.Errorf("%d reports", n)
	}
}

// A mail program that gives all its messages one Message-ID does not make each of them cost more than the one before.
func TestSubmitManyUnderOneID(t *testing.T) {
	s := newSide(t)
	text := letter(desk, "circular", lab)
	for i := range 150 {
		_, err := s.trySubmit(text, addr.Address{Endpoint: fmt.Sprintf("lab%d", i), Domain: lab.Domain})
		if got := isRefusal(err); got != (i >= 100) || err != nil && !got {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}
