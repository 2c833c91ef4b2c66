package flow_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/xdm"
)

// parcelOf is a letter from from to to with a package of documents about patient 4711, and a context about 4712.
func parcelOf(t *testing.T, kind string, from, to addr.Address, about string) string {
	p, err := xdm.Prepare(context.Background(), xdm.Letter{Author: from, Recipients: []addr.Address{to}, Title: "a finding",
		Submitted: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), Patient: xdm.Patient{IDs: []xdm.Identifier{{Authority: "1.2.276.0.76.3.1", Value: "4711"}}, Name: "Berg^Ann"},
		Documents: []xdm.Input{{Title: "x", MIMEType: "text/plain", Created: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	var zip bytes.Buffer
	if err := p.Write(context.Background(), &zip, nil); err != nil {
		t.Fatal(err)
	}
	parts := "--b\r\n\r\nsee attachment\r\n--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=1.zip\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(zip.Bytes()) + "\r\n"
	if about != "" {
		parts += "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=metadata.txt\r\nContent-ID: <metadata@h.example>\r\n\r\n" +
			"version: 1.0\r\nid: 1\r\npatient-id: 1.2.276.0.76.3.1:" + about + "\r\n"
	}
	text := strings.Replace(letter(from, parts+"--b--\r\n", to), "text/plain", kind+"; boundary=b", 1)
	if about != "" {
		text = "X-Direct-Context: <metadata@h.example>\r\n" + text
	}
	return text
}

// disclosed gives the details of the entries of an action, and whom they are about.
func (s *side) disclosed(action string) (details []map[string]string, ids [][]string) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action, Limit: 1000})
		for _, r := range all {
			var about transit.Subjects
			if text := r.Detail["subjects"]; text != "" {
				s.must(json.Unmarshal([]byte(text), &about))
			}
			var of []string
			for _, p := range about.Patients {
				of = append(of, p.ID)
			}
			details, ids = append(details, r.Detail), append(ids, of)
		}
		return err
	}))
	return details, ids
}

// Whom a package of documents and a context are about stands in the audit of the sending and of the coming in, with what the repository is
// to call it (ITI-32); in a report too, for whatever a person calls his letter, it leaves the house.
func TestDisclosure(t *testing.T) {
	const cx = "^^^&1.2.276.0.76.3.1&ISO"
	for kind, want := range map[string]string{"multipart/mixed": "", "multipart/report; report-type=disposition-notification": "yes"} {
		for about, patients := range map[string]string{"": "4711" + cx, "4711": "4711" + cx, "4712": "4711" + cx + " 4712" + cx} {
			s := newSide(t)
			s.submitText(parcelOf(t, kind, desk, lab, about), lab)
			s.step("outbound")
			s.step("deliver")
			out, of := s.disclosed("recipient.hand-over")
			if len(out) != 1 || out[0]["report"] != "" || out[0]["xdm"] != "yes" || strings.Join(of[0], " ") != patients {
				t.Errorf("out, %s about %q: %v", kind, about, out)
			}
			s.accept(lab, s.seal(parcelOf(t, kind, lab, desk, about), s.others[lab.Domain]))
			s.step("inbound")
			in, of := s.disclosed("recipient.open")
			if len(in) != 1 || in[0]["report"] != want || in[0]["xdm"] != "yes" || strings.Join(of[0], " ") != patients {
				t.Errorf("in, %s about %q: %v", kind, about, in)
			}
		}
	}
}

// The same letter again is no second import.
func TestRepeatIsNoImport(t *testing.T) {
	s := newSide(t)
	theirs := s.others[lab.Domain]
	text := letter(lab, "the result", desk)
	var kept []byte
	for range 2 {
		kept = s.seal(text, theirs)
		s.accept(lab, kept)
		s.step("inbound")
	}
	details, _ := s.disclosed("recipient.open")
	if len(details) != 2 || details[0]["repeat"]+details[1]["repeat"] != "yes" {
		t.Errorf("%v", details)
	}
}
