package gateway_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/demo/study"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

// One address named twice is one recipient; nothing is lost over it.
func TestRecipientNamedTwice(t *testing.T) {
	_, a, b := two(t)
	loud := addr.Address{Endpoint: strings.ToUpper(b.Address.Endpoint), Domain: b.Address.Domain}
	id := a.Submit(t, a.Letter("s", "t", b.Address, loud), b.Address, loud)
	a.Await(t, id, b.Address, transit.Processed)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d copies", n)
	}
}

// Captured bytes, sent again with another outside, are not shown and not answered again. ATT-06.
func TestReplayIsKnown(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	good := sealed(t, a, a.Await(t, id, b.Address, transit.Processed))
	deliver(t, a, b, "X-Added: on the way\r\n"+good)
	gatewaytest.Until(t, func() bool { return actions(t, b, "recipient.open") == 2 }, func() string { return "the replay to be looked at" })
	b.Quiet(t)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d copies are shown", n)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// Only the recipient's own side may say what became of his mail: a third party, trusted for its own mail, may not. DIR-22, DIR-29.
func TestSpoofedNotice(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example", "west.example")
	a, b, c := w.All[0], w.All[1], w.All[2]
	a.Admit(t, b)
	a.Admit(t, c)
	c.Admit(t, a)
	w.Run() // b does not trust a: it stays silent
	letter := a.Letter("s", "t", b.Address)
	id := a.Submit(t, letter, b.Address)
	a.Await(t, id, b.Address, transit.Sent)
	original, _, _ := strings.Cut(letter[strings.Index(letter, "Message-ID: ")+len("Message-ID: "):], "\r\n")

	c.Submit(t, notice(t, c.Address, a.Address, b.Address, original, "<spoof@west.example>"), a.Address)
	// It speaks of nothing that c may speak of: a person may read it, nobody answers it, and nothing moves.
	mails := a.Inbox(t, 1)
	a.Quiet(t)
	c.Quiet(t)
	if s := timeline(t, a, id).Recipients[0].State; s != transit.Sent {
		t.Errorf("a third party moved the recipient to %q", s)
	}
	if !strings.Contains(a.Text(t, mails[0]), "disposition-notification") || actions(t, a, "notice.send") != 0 {
		t.Error("the foreign report is not shown, or was answered")
	}
}

func notice(t *testing.T, from, to, about addr.Address, original, id string) string {
	t.Helper()
	var b bytes.Buffer
	err := mdn.Compose(&b, mdn.Notice{From: from, To: []addr.Address{to}, Date: time.Now(), MessageID: id, Subject: "Processed",
		OriginalMessageID: original, FinalRecipient: about, Disposition: mdn.Processed, Text: "processed"}, "boundary-of-a-notice")
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// An automatic reply that is no report is a mail like any other: shown and answered (Direct 3.2). DIR-27.
func TestAutomaticReplyIsMail(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, "Auto-Submitted: auto-replied\r\n"+a.Letter("away", "until Monday", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	b.Inbox(t, 1)
}

// Whom the message does not name is sealed apart: the others of his domain do not learn of him. DIR-10.
func TestBlindRecipient(t *testing.T) {
	_, a, b := two(t)
	blind := addr.Address{Endpoint: "auditor", Domain: b.Address.Domain}
	if err := b.AddAccount(t.Context(), gatewaytest.Actor, blind); err != nil {
		t.Fatal(err)
	}
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address, blind)
	named := a.Await(t, id, b.Address, transit.Processed)
	hidden := a.Await(t, id, blind, transit.Processed)
	if named.Delivery == hidden.Delivery {
		t.Error("both travel in one sealed message")
	}
	if strings.Contains(sealed(t, a, named), blind.String()) {
		t.Error("the named recipient's copy shows the blind one")
	}
}

// A message that can never be sealed is refused when it is submitted, not tried for days.
func TestUnsealableIsRefusedAtOnce(t *testing.T) {
	_, a, b := two(t)
	good := a.Letter("s", "t", b.Address)
	for name, text := range map[string]string{
		"two To fields":      "To: " + b.Address.String() + "\r\n" + good,
		"unreadable Cc":      "Cc: root@localhost\r\n" + good,
		"binary content":     "Content-Transfer-Encoding: binary\r\n" + good,
		"used Message-ID":    good + "another text\r\n",
		"malformed date":     strings.Replace(good, "Date: Sat", "Date: Someday", 1),
		"malformed identity": strings.Replace(good, "Message-ID: <", "Message-ID: ", 1),
	} {
		if name == "used Message-ID" {
			a.Submit(t, good, b.Address)
		}
		_, err := a.Flow().Submit(t.Context(), gatewaytest.Actor, transit.Envelope{From: addr.Path{Address: a.Address}, To: []addr.Address{b.Address}}, strings.NewReader(text))
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A set that lacks an instance: shown, answered by a processed notice, and then by a failed one that names what is missing.
// DCM-33, DCM-22, DIR-31.
func TestIncompleteFileSetIsTold(t *testing.T) {
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Rules = rule.Rules{{Sets: rule.AsTheyAre}} // by default such a set does not leave (DCM-29)
	}, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	id := a.Submit(t, studyLetter(t, a, b.Address, true), b.Address)
	a.Await(t, id, b.Address, transit.Failed)
	processedFirst(t, b)
	report := a.Text(t, a.Inbox(t, 1)[0])
	if !strings.Contains(report, "INCOMPLETE") || !strings.Contains(report, "missing:") {
		t.Errorf("the sender is not told what is missing:\n%s", report)
	}
	var found bool
	for _, e := range timeline(t, b, b.Inbox(t, 1)[0].Message).Events {
		found = found || strings.Contains(e.Detail, "file-set: INCOMPLETE")
	}
	if !found {
		t.Error("the recipient's timeline does not say INCOMPLETE")
	}
	mails := b.Inbox(t, 2) // who reads with an ordinary program is told by a letter
	warning := b.Text(t, mails[1])
	if mails[1].Subject != "INCOMPLETE: DICOM-ZIP" || !strings.Contains(warning, "missing:") || !strings.Contains(warning, "In-Reply-To: <") ||
		!strings.Contains(warning, "Do not take them") || len(mails) != 2 {
		t.Errorf("%d mails; %q:\n%s", len(mails), mails[1].Subject, warning)
	}
}

// A whole set is answered by a processed notice alone.
func TestCompleteFileSet(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, studyLetter(t, a, b.Address, false), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	a.Quiet(t)
	b.Quiet(t)
	if s := timeline(t, a, id).Recipients[0].State; s != transit.Processed {
		t.Errorf("the recipient is %q", s)
	}
}

// studyLetter attaches the demo's study, without its last instance if it is to be broken.
func studyLetter(t *testing.T, from *gatewaytest.Practice, to addr.Address, broken bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "study")
	if err := os.CopyFS(dir, study.FS()); err != nil {
		t.Fatal(err)
	}
	plan, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := plan.WriteZIP(t.Context(), &archive, nil); err != nil {
		t.Fatal(err)
	}
	if broken {
		archive = without(t, archive.Bytes(), plan.Instances[len(plan.Instances)-1].FileID)
	}
	var b bytes.Buffer
	w := message.NewBase64Writer(&b)
	w.Write(archive.Bytes())
	w.Close()
	head := strings.Replace(from.Letter("DICOM-ZIP", "", to), "Content-Type: text/plain; charset=utf-8", "Content-Type: multipart/mixed; boundary=b", 1)
	return strings.TrimRight(head, "\r\n") + "\r\n\r\n--b\r\nContent-Type: application/zip; id=\"DICOM.ZIP\"; name=\"DICOM.ZIP\"\r\n" +
		"Content-Disposition: attachment; filename=\"DICOM.ZIP\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b.String() + "\r\n--b--\r\n"
}

// without builds the archive anew, leaving one entry out.
func without(t *testing.T, archive []byte, name string) (out bytes.Buffer) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(&out)
	left := false
	for _, f := range r.File {
		if f.Name == name {
			left = true
			continue
		}
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || !left {
		t.Fatalf("%v; entry left out: %v", err, left)
	}
	return out
}
