package flow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// fragments divides a message at line ends as RFC 2046 §5.2.2 has it. Only the last says how many there are, where last is set.
func fragments(t *testing.T, whole []byte, id string, n int, last bool) (out [][]byte) {
	t.Helper()
	step := len(whole)/n + 1
	for i := range n {
		end := len(whole)
		if i < n-1 {
			end = bytes.IndexByte(whole[min(step, len(whole)-1):], '\n') + min(step, len(whole)-1) + 1
		}
		total := fmt.Sprintf("; total=%d", n)
		if last && i < n-1 {
			total = ""
		}
		head := fmt.Sprintf("Received: from a by b; x\r\nFrom: lab@south.example\r\nTo: desk@north.example\r\nSubject: part %d\r\nMessage-ID: <f%d@south.example>\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: message/partial; id=%q; number=%d%s\r\n\r\n", i+1, i+1, id, i+1, total)
		out = append(out, append([]byte(head), whole[:end]...))
		whole = whole[end:]
	}
	return out
}

// late lets the time pass in which fragments are waited for.
func late(s *side) {
	s.t.Helper()
	var works []store.Work
	s.tx(func(tx *store.Tx) (err error) {
		works, err = tx.Works(store.Ready, 100)
		for _, w := range works {
			if w.Kind == "fragments" && err == nil {
				err = tx.RetryWorkNow(w.ID)
			}
		}
		return err
	})
	for _, w := range works {
		if w.Kind == "fragments" {
			s.step("fragments")
		}
	}
}

// DCM-18: fragments are put together after receipt, in whatever order they come; nothing is shown before all are there.
func TestFragments(t *testing.T) {
	s := newSide(t)
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 1, 0, 2}, {2, 2, 3, 3, 1, 0}} {
		before := len(s.inbox())
		sealed := s.seal(letter(lab, fmt.Sprint("in fragments ", order, large), desk), s.others[lab.Domain])
		parts := fragments(t, sealed, fmt.Sprintf("x%v@south.example", order), 4, order[0] == 3)
		var ids []string
		seen := map[int]bool{}
		for i, n := range order {
			if len(s.inbox()) != before {
				t.Fatalf("%v: shown after %d fragments", order, i)
			}
			ids = append(ids, s.accept(lab, parts[n]))
			if !seen[n] { // the same bytes are a repeat of the transmission
				s.step("inbound")
			}
			seen[n] = true
		}
		s.step("inbound") // of what they make
		box := s.inbox()
		if len(box) != before+1 || !strings.Contains(s.text(box[before]), fmt.Sprint("in fragments ", order)) {
			t.Errorf("%v: %d mails", order, len(box)-before)
		}
		for _, id := range ids {
			if r := s.recipient(id, desk); r.State != transit.Settled {
				t.Errorf("%v: a fragment is %s", order, r.State)
			}
		}
	}
	if n := s.audited("message.rejoin"); n != 3 {
		t.Errorf("%d of 3 in the audit", n)
	}
	if s.works("fragments") != 3 { // their time comes, and finds nothing
		t.Error("works")
	}
	late(s)
	if len(s.files()) > 3+3 {
		t.Errorf("files left: %v", s.files())
	}
}

// ATT-40. Hostile fragments: RFC 2046 §5.2.2 makes nobody wait for ever, nest for ever, or mix what others send.
func TestFragmentsHostile(t *testing.T) {
	s := newSide(t)
	sealed := s.seal(letter(lab, "never whole", desk), s.others[lab.Domain])
	aside := func(what, text string) {
		t.Helper()
		id := s.accept(lab, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
		s.step("inbound")
		if r := s.recipient(id, desk); r.State != transit.Aside {
			t.Errorf("%s: %s", what, r.State)
		}
	}
	const head = "From: lab@south.example\nTo: desk@north.example\nMIME-Version: 1.0\n"
	aside("no number", head+"Content-Type: message/partial; id=a\n\nx\n")
	aside("number 0", head+"Content-Type: message/partial; id=a; number=0; total=2\n\nx\n")
	aside("beyond the total", head+"Content-Type: message/partial; id=a; number=3; total=2\n\nx\n")
	aside("too many", head+"Content-Type: message/partial; id=a; number=1; total=100000\n\nx\n")
	aside("no id", head+"Content-Type: message/partial; number=1; total=1\n\nx\n")
	aside("encoded", head+"Content-Type: message/partial; id=a; number=1; total=1\nContent-Transfer-Encoding: base64\n\neA==\n")
	aside("nested", head+"Content-Type: message/partial; id=a; number=1; total=1\n\nContent-Type: message/partial; id=b; number=1; total=1\n\nx\n")
	aside("no message within", head+"Content-Type: message/partial; id=c; number=1; total=1\n\nthis is no header\n")
	clear := s.accept(lab, []byte(strings.ReplaceAll(head+"Content-Type: message/partial; id=plain; number=1; total=1\n\nSubject: x\n\nin clear\n", "\n", "\r\n")))
	s.step("inbound")
	s.step("inbound")
	if s.recipient(clear, desk).State != transit.Settled || len(s.inbox()) > 0 {
		t.Error("what is not sealed is shown because it came in fragments")
	}
	// Fragments of two senders do not make one message, nor do those for two recipients.
	parts := fragments(t, sealed, "same@south.example", 2, false)
	first := s.accept(lab, parts[0])
	s.step("inbound")
	other := s.accept(addr.Address{Endpoint: "other", Domain: lab.Domain}, parts[1])
	s.step("inbound")
	if s.recipient(first, desk).State != transit.Accepted || s.recipient(other, desk).State != transit.Accepted || len(s.inbox()) > 0 {
		t.Error("fragments of two senders were mixed")
	}
	// One that does not agree with the others is no part of them.
	odd := s.accept(lab, bytes.Replace(fragments(t, sealed, "same@south.example", 2, false)[1], []byte("total=2"), []byte("total=7"), 1))
	s.step("inbound")
	if s.recipient(odd, desk).State != transit.Aside {
		t.Error("a total that does not agree")
	}
	// The rest never comes.
	s.tx(func(tx *store.Tx) error {
		all, err := tx.Transfers("", store.Fragments, 10)
		if len(all) != 2 {
			t.Errorf("%d wait", len(all))
		}
		return err
	})
	late(s)
	if s.recipient(first, desk).State != transit.Aside || s.recipient(other, desk).State != transit.Aside || len(s.inbox()) > 0 {
		t.Error("they wait for ever")
	}
	if s.works("notice")+s.works("outbound")+s.works("failure") > 0 {
		t.Error("somebody is answered")
	}
}

// DCM-16: by rule, to partners who know no Direct, a sealed message goes in fragments, which any reader puts together; what was taken is not sent
// again when a delivery is tried anew.
func TestInFragments(t *testing.T) {
	s := newSide(t)
	s.personal()
	r := packed(rule.SMIME, lab.Domain)
	r.Fragment = 100_000
	s.Rules = rule.Rules{r}
	var got []string
	calls := 0
	s.reply = func(c transit.Consignment) transit.Outcome {
		if calls++; calls == 2 {
			return answers(c, transit.Deferred, 451)
		}
		b, err := io.ReadAll(io.NewSectionReader(c.Body, 0, c.Body.Size()))
		s.must(err)
		got = append(got, string(b))
		return answers(c, transit.Delivered, 250)
	}
	id := s.submit(strings.Repeat(large, 4), lab)
	s.step("outbound")
	j := s.claim("deliver")
	s.must(s.run(t.Context(), j))
	if len(got) != 1 || s.recipient(id, lab).State != transit.Sealed {
		t.Fatalf("%d fragments were taken; %s", len(got), s.recipient(id, lab).State)
	}
	s.tx(func(tx *store.Tx) error { return tx.RetryWorkNow(j.ID) })
	s.must(s.run(t.Context(), s.claim("deliver")))
	if len(got) < 3 || calls != len(got)+1 || s.recipient(id, lab).State != transit.Relayed {
		t.Fatalf("%d fragments in %d calls; %s", len(got), calls, s.recipient(id, lab).State)
	}
	for i, x := range got {
		if len(x) > 100_000 || !strings.Contains(x, fmt.Sprintf("number=%d; total=%d\r\n", i+1, len(got))) || !strings.HasSuffix(x, "\r\n") {
			t.Errorf("fragment %d has %d bytes and begins\n%s", i+1, len(x), x[:min(len(x), 700)])
		}
	}
	// Fragments of another size are others: nobody puts the two together.
	r.Fragment = 150_000
	s.Rules = rule.Rules{r}
	was := got
	got, calls = nil, 0
	s.submit(strings.Repeat(large, 4)+"other", lab)
	s.step("outbound")
	j = s.claim("deliver")
	s.must(s.run(t.Context(), j))
	r.Fragment = 100_000
	s.Rules = rule.Rules{r}
	s.tx(func(tx *store.Tx) error { return tx.RetryWorkNow(j.ID) })
	s.must(s.run(t.Context(), s.claim("deliver")))
	if idOf := regexp.MustCompile(`id="([^"]*)"`).FindString; len(got) < 4 || idOf(got[0]) == "" || idOf(got[0]) == idOf(got[1]) || !strings.Contains(got[1], "number=1;") {
		t.Errorf("%d fragments of two sizes", len(got))
	}
	got = was
	// Whoever gets them puts them together to the sealed message: here we do, with Python's reader for the headers.
	const peer = `
import email, email.policy, json, sys
parts = [email.message_from_string(x, policy=email.policy.SMTP) for x in json.load(sys.stdin)]
ids = {p.get_param('id') for p in parts}
assert len(ids) == 1 and all(p.get_content_type() == 'message/partial' for p in parts), ids
raw = ''.join(p.as_string().split('\r\n\r\n', 1)[1] for p in parts)
m = email.message_from_string(raw, policy=email.policy.SMTP)
print(m.get_content_type(), len(m.get_payload()) > 300000)`
	in, err := json.Marshal(got)
	s.must(err)
	cmd := exec.Command("/usr/bin/python3", "-c", peer)
	cmd.Stdin = bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "application/pkcs7-mime True\n" {
		t.Errorf("%v %s", err, out)
	}
	// Never to Direct peers.
	s.Rules = rule.Rules{{Fragment: 100_000}} // says nothing of the form
	got, calls = nil, 10
	s.submit(strings.Repeat(large, 3), ward)
	s.step("outbound")
	s.step("deliver")
	if len(got) != 1 || strings.Contains(got[0], "message/partial") {
		t.Errorf("%d pieces to a Direct peer", len(got))
	}
}
