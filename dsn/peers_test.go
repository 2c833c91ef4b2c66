package dsn

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carepost/message/messagetest"
)

// peer runs an installed program; its absence fails the test.
func peer(t *testing.T, in []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.Bytes())
	}
	return string(out)
}

// full is a report with everything that a sender can ask to get back.
func full(whole bool) Report {
	r := report()
	r.Recipients[0].OriginalAs = "rfc822;b+x@p.example"
	r.Returned = []byte("From: A <a@h.example>\nTo: b@p.example,\n c@p.example\nSubject: Röntgen\nMessage-ID: <m1@h.example>\n")
	if whole {
		r.Returned, r.Whole = append(r.Returned, "\nGrüße\n"...), true
	}
	return r
}

// DIR-20: the parsers that mailing lists tell bad addresses by, of Python and of Perl, read our reports as they are meant.
func TestBounceParsersRead(t *testing.T) {
	const flufl = `
import email, sys
from flufl.bounce import all_failures
temporary, permanent = all_failures(email.message_from_bytes(sys.stdin.buffer.read()))
print(sorted(temporary), sorted(permanent))
`
	const perl = `
use Mail::DeliveryStatus::BounceParser; local $/;
my $b = Mail::DeliveryStatus::BounceParser->new(scalar <STDIN>);
print join(" ", $b->is_bounce ? "bounce" : "none", $b->orig_message_id, map { $_->get("email") . " " . $_->get("status") } $b->reports), "\n";
`
	for name, r := range map[string]Report{"Message-ID": report(), "header": full(false), "whole": full(true)} {
		src := compose(t, r)
		b := "b@p.example" // a list knows the address that it wrote to (ORCPT) and not what became of it on the way
		if r.Recipients[0].OriginalAs != "" {
			b = "b+x@p.example"
		}
		if got, want := peer(t, src, "/usr/bin/python3", "-c", flufl), "[b'c@p.example'] [b'"+b+"']\n"; got != want {
			t.Errorf("%s: flufl.bounce reads %s", name, got)
		}
		got := peer(t, src, "perl", "-e", perl)
		if fields := strings.Fields(got); len(fields) < 4 || fields[0] != "bounce" || strings.Trim(fields[1], "<>") != "m1@h.example" ||
			fields[2] != b || !strings.HasPrefix(fields[3], "5.7.1") {
			t.Errorf("%s: BounceParser reads %s", name, got)
		}
	}
}

// What comes back of the original is a part of its own, whole or its header, as Python reads it; and what cannot be a part is left out.
// RFC 3461 §4.3, §6.3.
func TestReturned(t *testing.T) {
	const script = `
import email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not m.defects and all(not p.defects for p in m.walk()), "defects"
p = m.get_payload()[2]
inner = p.get_payload()[0] if p.get_content_type() == "message/rfc822" else email.message_from_string(p.get_content(), policy=email.policy.default)
json.dump([p.get_content_type(), m["content-transfer-encoding"] or "", inner["message-id"], inner.get_payload(decode=True).decode().strip() if len(m.get_payload()) and p.is_multipart() else "",
  m.get_payload()[1].get_payload()[1]["original-recipient"] or ""], sys.stdout)
`
	odd, long := report(), report()
	odd.Returned, odd.Whole = []byte("Subject: x\n\na\x00b\n"), true
	long.Returned = []byte("Subject: " + strings.Repeat("x", 999) + "\n")
	for name, tc := range map[string]struct {
		r    Report
		want []string
	}{
		"header":     {full(false), []string{"text/rfc822-headers", "8bit", "<m1@h.example>", "", "rfc822;b+x@p.example"}},
		"whole":      {full(true), []string{"message/rfc822", "8bit", "<m1@h.example>", "Grüße", "rfc822;b+x@p.example"}},
		"nothing":    {report(), []string{"text/rfc822-headers", "", "<m1@h.example>", "", "rfc822;b@p.example"}},
		"NUL":        {odd, []string{"text/rfc822-headers", "", "<m1@h.example>", "", "rfc822;b@p.example"}},
		"long lines": {long, []string{"text/rfc822-headers", "", "<m1@h.example>", "", "rfc822;b@p.example"}},
	} {
		src := compose(t, tc.r)
		var got []string
		if err := json.Unmarshal([]byte(peer(t, src, "/usr/bin/python3", "-c", script)), &got); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := read(src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reports of the wild: those that come with flufl.bounce, of two dozen mail servers. Whom flufl.bounce finds to have failed we find too.
func TestReadsTheWild(t *testing.T) {
	const script = `
import email, glob, json, os, sys
import flufl.bounce.tests.data as d
from flufl.bounce._detectors.dsn import DSN
out = {}
for f in glob.glob(os.path.join(os.path.dirname(d.__file__), "*.txt")):
    m = email.message_from_binary_file(open(f, "rb"))
    if m.get_content_type() == "multipart/report":
        temporary, permanent = DSN().process(m)
        out[f] = sorted(a.decode() for a in permanent)
json.dump(out, sys.stdout)
`
	var found map[string][]string
	if err := json.Unmarshal([]byte(peer(t, nil, "/usr/bin/python3", "-c", script)), &found); err != nil || len(found) < 15 {
		t.Fatalf("%d reports, %v", len(found), err)
	}
	for file, want := range found {
		name := filepath.Base(file)
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(src, []byte("From ")) { // of an mbox
			_, src, _ = bytes.Cut(src, []byte("\n"))
		}
		r, err := read(messagetest.CRLF(bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))))
		if name == "simple_42.txt" {
			continue // of somebody "david...": no address
		}
		for _, who := range want {
			if err != nil || !slices.ContainsFunc(r.Recipients, func(s Status) bool {
				return s.Action == Failed && (s.FinalRecipient.String() == who || s.OriginalRecipient.String() == who)
			}) {
				t.Errorf("%s: flufl.bounce finds %v; we %+v, %v", name, want, r, err)
			}
		}
		if err == nil && len(want) == 0 && slices.ContainsFunc(r.Recipients, func(s Status) bool { return s.Action == Failed }) {
			t.Errorf("%s: a failure that flufl.bounce does not see: %+v", name, r)
		}
	}
}
