package flow_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/dicom/zipmail"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// packed makes a rule about how mail with a domain is packed.
func packed(f rule.Form, d addr.Domain) rule.Rule {
	return rule.Rule{With: rule.Who{Domains: map[addr.Domain]bool{d: true}}, Form: f}
}

// personal gives the side a certificate of its own address.
func (s *side) personal() certtest.Pair {
	s.t.Helper()
	p := s.ca.Issue(s.t, desk.String())
	s.certify(store.Owner{Address: desk}, p)
	return p
}

// wire has what is delivered to anybody kept as it is.
func (s *side) wire() *[]string {
	out := new([]string)
	s.reply = func(c transit.Consignment) transit.Outcome {
		b, err := io.ReadAll(io.NewSectionReader(c.Body, 0, c.Body.Size()))
		s.must(err)
		*out = append(*out, string(b))
		return answers(c, transit.Delivered, 250)
	}
	return out
}

// openssl runs OpenSSL in dir and gives what it writes.
func openssl(t *testing.T, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, complaints.String())
	}
	return out.String()
}

// people writes keys and certificates as OpenSSL wants them.
func (s *side) people(all map[string]certtest.Pair) (dir string) {
	s.t.Helper()
	dir = s.t.TempDir()
	certtest.WriteCertificates(s.t, dir, "ca.pem", s.ca.Certificate)
	for name, p := range all {
		certtest.WriteCertificates(s.t, dir, name+".pem", p.Certificate)
		certtest.WriteKey(s.t, dir, name+".key", p.Key)
	}
	return dir
}

// A partner who knows S/MIME and no Direct gets mail that his program reads: not wrapped, its subject outside, signed in the sender's own
// name; and nothing is awaited of him. A Direct partner gets the same letter as ever. PS3.15 B.8, DCM-17, DCM-19, DIR-49.
func TestPlainSMIMEPartner(t *testing.T) {
	s := newSide(t)
	mine := s.personal()
	s.Rules = rule.Rules{packed(rule.SMIME, lab.Domain)}
	wire := s.wire()
	text := "Received: from pc.inside.example by x; Sat, 21 Nov 2026 10:00:00 +0000\r\nX-Secret: of the house\r\nDisposition-Notification-To: desk@north.example\r\n" +
		strings.Replace(letter(desk, "a confidential line\r\n", lab, ward), "From: desk@", "From: The Desk <desk@", 1)
	text = strings.Replace(text, "example\r\nTo: ", "example>\r\nTo: ", 1)
	id := s.submitText(text, lab, ward)
	s.step("outbound")
	s.step("deliver")
	s.step("deliver")
	if r := s.recipient(id, lab); r.State != transit.Relayed || !r.Deadline.IsZero() {
		t.Errorf("%q until %v\n%s", r.State, r.Deadline, s.told(id))
	}
	if r := s.recipient(id, ward); r.State != transit.Sent || r.Deadline.IsZero() {
		t.Errorf("of the other: %q", r.State)
	}
	if !strings.Contains(s.told(id), "plain S/MIME") {
		t.Errorf("told:\n%s", s.told(id))
	}
	var theirs, direct string
	for _, w := range *wire {
		if strings.Contains(w, "\r\nSubject: the subject\r\n") {
			theirs = w
		} else {
			direct = w
		}
	}
	head, _, _ := strings.Cut(theirs, "\r\n\r\n")
	for _, want := range []string{`From: The Desk <desk@north.example>`, "To: lab@south.example,", "ward@west.example", "Message-ID: <", "Date: ", "Disposition-Notification-To: "} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	for _, no := range []string{"Received", "inside.example", "X-Secret", "confidential"} {
		if strings.Contains(theirs, no) {
			t.Errorf("%q stands outside:\n%s", no, head)
		}
	}
	if strings.Contains(direct, "the subject") || direct == "" {
		t.Errorf("the Direct partner's:\n%.600s", direct)
	}
	dir := s.people(map[string]certtest.Pair{"lab": s.others[lab.Domain]})
	signed := openssl(t, dir, theirs, "cms", "-decrypt", "-recip", "lab.pem", "-inkey", "lab.key")
	got := openssl(t, dir, signed, "cms", "-verify", "-CAfile", "ca.pem", "-signer", "signer.pem")
	if !strings.Contains(got, "a confidential line") || !strings.HasPrefix(got, "Content-Type: text/plain") {
		t.Errorf("OpenSSL reads %q", got)
	}
	if who := openssl(t, dir, "", "x509", "-in", "signer.pem", "-noout", "-email", "-serial"); !strings.Contains(who, desk.String()) ||
		!strings.Contains(strings.ToLower(who), mine.Certificate.SerialNumber.Text(16)) {
		t.Errorf("signed by %s", who)
	}
}

// Office programs want the sender's own name in the certificate: without one he is told so, at once, and the others have their mail.
func TestPlainSMIMEWantsOwnName(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{packed(rule.SMIME, lab.Domain)}
	id := s.submit("to both", lab, ward)
	s.step("outbound")
	if a, b := s.recipient(id, lab), s.recipient(id, ward); a.State != transit.Failed || b.State != transit.Sealed {
		t.Errorf("%q and %q\n%s", a.State, b.State, s.told(id))
	}
	mails := s.inbox()
	if len(mails) != 1 || !strings.Contains(strings.ReplaceAll(s.text(mails[0]), "=\r\n", ""), "carepost cert issue") {
		t.Errorf("%d reports", len(mails))
	}
}

// What everybody can read on the way names no patient: such a subject is refused, of a File-set when it is submitted, unless its sender takes it on
// himself; or it is left out where a rule has it so. PS3.15 B.8 note 2, DIR-49.
func TestVisibleSubject(t *testing.T) {
	for _, tc := range []struct {
		subject   string
		set       bool
		says      rule.Subject
		overruled []string
		want      string // outside; empty: refused
	}{
		{"Results of 4711", false, 0, nil, ""},
		{"Results of 4711", false, rule.Shown, nil, ""},
		{"Results of 4711", false, 0, []string{"subject"}, "Results of 4711"},
		{"Results", false, 0, nil, "Results"},
		{"Results of 4711", false, rule.Neutral, nil, "Sealed message"},
		{"DICOM-ZIP of Testa", true, 0, []string{"subject"}, "DICOM-ZIP of Testa"},
		{"DICOM-ZIP of Testa", true, rule.Neutral, []string{"subject"}, "DICOM-ZIP"},
		{"DICOM-ZIP panoramic", true, 0, nil, "DICOM-ZIP panoramic"},
		{"DICOM-ZIP 2/5 panoramic", true, rule.Neutral, nil, "DICOM-ZIP 2/5"},
		{"DICOM-ZIP (2 of 5) panoramic", true, rule.Neutral, nil, "DICOM-ZIP (2 of 5)"},
		{"Re: DICOM-ZIP (2/5) panoramic", true, rule.Neutral, nil, "DICOM-ZIP (2/5)"},
	} {
		s := newSide(t)
		s.personal()
		r := packed(rule.SMIME, lab.Domain)
		r.Subject = tc.says
		s.Rules = rule.Rules{r}
		wire := s.wire()
		text := strings.Replace(parcelOf(t, "multipart/mixed", desk, lab, ""), "Subject: the subject", "Subject: "+tc.subject, 1)
		if tc.set {
			text = study(t, desk, lab, zipmail.GenSec, tc.subject)
		}
		id, err := s.Submit(t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}, Overruled: tc.overruled}, strings.NewReader(text))
		s.must(err)
		s.step("outbound")
		if tc.want == "" {
			if r := s.recipient(id, lab); r.State != transit.Failed || !strings.Contains(s.told(id), "names a patient") || strings.Contains(s.told(id), "4711") {
				t.Errorf("%q: %q\n%s", tc.subject, r.State, s.told(id))
			}
			continue
		}
		s.step("deliver")
		if len(*wire) != 1 || !strings.Contains((*wire)[0], "\r\nSubject: "+tc.want+"\r\n") {
			t.Errorf("%q: %.500s", tc.subject, *wire)
		}
	}
}

// A subject that stands outside for nobody stands in the text, sealed, but where the mail program has signed that; else it is lost. PS3.15 B.8.
func TestNeutralSubjectIsInside(t *testing.T) {
	s := newSide(t)
	r := packed(rule.SMIME, lab.Domain)
	r.Subject = rule.Neutral
	s.Rules = rule.Rules{r}
	for i, tc := range []struct {
		text, want string
		n          int
	}{
		{letter(desk, "hello", lab), "Subject: the subject", 1},
		{programLetter("=?utf-8?q?Gr=C3=B6=C3=9Fe?=", 1, "mixed", words), "Subject: Größe", 1},
		{programLetter("DICOM-ZIP", 2, "mixed", words, attached("application/zip", "DICOM.ZIP", studyZIP(t), 76)), "Subject: DICOM-ZIP", 0},
		{programLetter("left", 3, "mixed", words, attached("application/zip", "DICOM.ZIP", studyZIP(t), 76)), "Subject: left", 1},
		{strings.ReplaceAll(programLetter("x", 9, "signed", words, "Content-Type: application/pkcs7-signature\r\n\r\nx"), "multipart/signed;", "multipart/signed; micalg=sha-256;"), "Subject: x", 0},
	} {
		text := s.raw(s.submitText(tc.text, lab))
		rd := strings.NewReader(text)
		root, err := message.Parse(rd, rd.Size(), message.Limits{})
		s.must(err)
		n := 0
		for p := range root.Walk() {
			if p.Type.Is("text", "plain") && len(p.Parts) == 0 {
				b, err := io.ReadAll(p.Open(rd))
				s.must(err)
				n += strings.Count(string(b), tc.want)
			}
		}
		if n != tc.n {
			t.Errorf("%d: %d times\n%.1500s", i, n, text)
		}
	}
	other := letter(desk, "hello", ward)
	if got := s.raw(s.submitText(other, ward)); got != other {
		t.Errorf("changed: %s", got)
	}
}

// office seals a letter as office programs do, by OpenSSL: signed and encrypted in the given order.
func (s *side) office(dir, order, fields, text string) []byte {
	s.t.Helper()
	entity := "Content-Type: text/plain\r\n\r\n" + text + "\r\n"
	sign := []string{"cms", "-sign", "-signer", "lab.pem", "-inkey", "lab.key"}
	encrypt := []string{"cms", "-encrypt", "-aes128"}
	var out string
	switch order {
	case "signed, then encrypted":
		out = openssl(s.t, dir, openssl(s.t, dir, entity, sign...), append(encrypt, "desk.pem")...)
	case "opaque":
		out = openssl(s.t, dir, openssl(s.t, dir, entity, append(sign, "-nodetach")...), append(encrypt, "desk.pem")...)
	case "encrypted, then signed":
		out = openssl(s.t, dir, openssl(s.t, dir, entity, append(encrypt, "desk.pem")...), append(sign, "-nodetach")...)
	case "compressed":
		var b strings.Builder
		text := message.NewBase64Writer(&b)
		w, err := cms.NewCompressedWriter(text)
		s.must(err)
		_, err = io.WriteString(w, entity)
		s.must(errors.Join(err, w.Close(), text.Close()))
		entity = "Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b.String()
		out = openssl(s.t, dir, openssl(s.t, dir, entity, sign...), append(encrypt, "desk.pem")...)
	case "signed alone":
		out = openssl(s.t, dir, entity, sign...)
	}
	return []byte(fields + "From: Lab <lab@south.example>\r\nTo: desk@north.example\r\nSubject: Re: results\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" +
		order[:3] + fields[:min(3, len(fields))] + "@south.example>\r\n" + strings.TrimPrefix(out, "\n"))
}

// What such a partner writes is read in every order of signing and encrypting, under every profile, and answered where he asks for it alone.
// From anybody else it is read as the profile has it. DCM-17, DCM-19, DCM-21.
func TestPlainSMIMEArrives(t *testing.T) {
	const asks = "Disposition-Notification-To: lab@south.example\r\n"
	for _, tc := range []struct {
		order, fields string
		policy        trust.Policy
		form          rule.Form
		want          transit.State
	}{
		{"signed, then encrypted", "", trust.V13, rule.SMIME, transit.Settled},
		{"signed, then encrypted", asks, trust.V12, rule.SMIME, transit.Opened},
		{"signed, then encrypted", "", trust.V12, 0, transit.Opened},
		{"signed, then encrypted", "", trust.V13, 0, transit.Aside},
		{"opaque", "", trust.V12, rule.SMIME, transit.Settled},
		{"opaque", "", trust.V12, 0, transit.Aside},
		{"compressed", "", trust.V12, rule.SMIME, transit.Settled}, // DCM-20
		{"compressed", "", trust.V13, rule.SMIME, transit.Settled},
		{"compressed", "", trust.Lenient, 0, transit.Opened},
		{"compressed", "", trust.V12, 0, transit.Opened},                         // an attachment that his program has to open
		{"encrypted, then signed", asks, trust.V12, rule.SMIME, transit.Settled}, // never answered
		{"encrypted, then signed", "", trust.V12, rule.Direct, transit.Aside},
		{"signed alone", "", trust.V12, rule.SMIME, transit.Aside},
	} {
		s := newSide(t)
		theirs := s.ca.Issue(t, lab.String())
		dir := s.people(map[string]certtest.Pair{"lab": theirs, "desk": s.own})
		s.Rules = rule.Rules{only(tc.policy, lab.Domain), packed(tc.form, lab.Domain)}
		id := s.arrives(addr.Path{Address: lab}, s.office(dir, tc.order, tc.fields, "the text of it"), desk)
		r := s.recipient(id, desk)
		if r.State != tc.want {
			t.Errorf("%s, %d, %d: %q\n%s", tc.order, tc.policy, tc.form, r.State, s.told(id))
			continue
		}
		if shown := len(s.inbox()) == 1; shown != (tc.want != transit.Aside) {
			t.Errorf("%s, %d, %d: shown %v", tc.order, tc.policy, tc.form, shown)
		}
		if tc.order == "compressed" && strings.Contains(s.text(s.inbox()[0]), "the text of it") != (tc.form == rule.SMIME || tc.policy == trust.Lenient) {
			t.Errorf("%d, %d: compressed: %s", tc.policy, tc.form, s.text(s.inbox()[0]))
		}
		if n := s.works("notice"); n != map[bool]int{true: 1}[tc.want == transit.Opened] || s.works("failure") != 0 {
			t.Errorf("%s, %d, %d: %d notices", tc.order, tc.policy, tc.form, n)
		}
		if tc.want == transit.Settled && !strings.Contains(s.told(id), "not answered") {
			t.Errorf("%s", s.told(id))
		}
	}
}

// The notice that such a partner has asked for is one that his program reads, and says outside nothing of the letter.
func TestPlainSMIMENotice(t *testing.T) {
	s := newSide(t)
	theirs := s.ca.Issue(t, lab.String())
	s.others[lab.Domain] = theirs
	dir := s.people(map[string]certtest.Pair{"lab": theirs, "desk": s.own})
	s.Rules = rule.Rules{packed(rule.SMIME, lab.Domain)}
	wire := s.wire()
	s.arrives(addr.Path{Address: lab}, s.office(dir, "signed, then encrypted", "Disposition-Notification-To: lab@south.example\r\n", "x"), desk)
	s.answered()
	if len(*wire) != 1 || !strings.Contains((*wire)[0], "\r\nSubject: Notice\r\n") || strings.Contains((*wire)[0], "results") {
		t.Fatalf("%.700s", *wire)
	}
	signed := openssl(t, dir, (*wire)[0], "cms", "-decrypt", "-recip", "lab.pem", "-inkey", "lab.key")
	if got := openssl(t, dir, signed, "cms", "-verify", "-CAfile", "ca.pem"); !strings.Contains(got, "automatic-action/MDN-sent-automatically") && !strings.Contains(got, "processed") {
		t.Errorf("%s", got)
	}
}

// Who is such a partner by the one name and none by the other is none: a rule is no way around what another sender's mail must be.
func TestPlainSMIMEByAllNames(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{only(trust.V13, lab.Domain), {With: rule.Who{Addresses: map[string]bool{lab.Key(): true}}, Form: rule.SMIME}}
	var out bytes.Buffer
	s.must(smime.Seal(&out, strings.NewReader(letter(lab, "x", desk)), smime.SealOptions{Recipients: []*x509.Certificate{s.own.Certificate}, Unwrapped: true,
		Signers: []cms.Signer{{Key: s.others[lab.Domain].Key, Certificate: s.others[lab.Domain].Certificate, Time: time.Now()}}}))
	for from, want := range map[string]transit.State{"lab@south.example": transit.Settled, "other@south.example": transit.Aside} {
		box, err := message.ParseMailboxes(from)
		s.must(err)
		id := s.arrives(addr.Path{Address: box[0].Address}, out.Bytes(), desk)
		if r := s.recipient(id, desk); r.State != want {
			t.Errorf("by %s: %q\n%s", from, r.State, s.told(id))
		}
	}
}

// An office whose certificate is in no directory and by no authority is reached by the file that it has handed over: believed for its one address,
// both ways. It reads AES-128 as well. Direct 4.2.3, PS3.15 B.8.
func TestPinnedOffice(t *testing.T) {
	s := newSide(t)
	s.personal()
	office := addr.Address{Endpoint: "praxis", Domain: "office.example"}
	dir := s.people(map[string]certtest.Pair{"desk": s.own})
	openssl(t, dir, "", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "lab.key", "-out", "lab.pem", "-days", "30", "-subj", "/CN=Praxis", "-addext", "subjectAltName=email:praxis@office.example",
		"-addext", "keyUsage=digitalSignature,keyEncipherment", "-addext", "extendedKeyUsage=emailProtection", "-addext", "basicConstraints=critical,CA:FALSE")
	s.now = s.now.Add(time.Minute) // the certificate is there
	block, _ := pem.Decode([]byte(openssl(t, dir, "", "x509", "-in", "lab.pem")))
	s.Rules = rule.Rules{packed(rule.SMIME, office.Domain)}
	wire := s.wire()
	for i, want := range []transit.State{transit.Failed, transit.Sealed} {
		pinned := i == 1
		if pinned {
			s.tx(func(tx *store.Tx) error {
				return tx.PutPin(&store.Pin{Owner: store.Owner{Domain: desk.Domain}, Address: office, DER: block.Bytes, Source: "file praxis.pem", By: string(by)})
			})
		}
		id := s.submit("for the office", office)
		s.step("outbound")
		if r := s.recipient(id, office); r.State != want {
			t.Fatalf("pinned %v: %q\n%s", pinned, r.State, s.told(id))
		}
	}
	s.step("deliver")
	if len(*wire) != 1 {
		t.Fatalf("%d letters", len(*wire))
	}
	signed := openssl(t, dir, (*wire)[0], "cms", "-decrypt", "-recip", "lab.pem", "-inkey", "lab.key")
	if got := openssl(t, dir, signed, "cms", "-verify", "-CAfile", "ca.pem"); !strings.Contains(got, "for the office") {
		t.Errorf("%s", got)
	}
	answer := strings.Replace(string(s.office(dir, "opaque", "", "thank you")), "From: Lab <lab@south.example>", "From: praxis@office.example", 1)
	id := s.arrives(addr.Path{Address: office}, []byte(answer), desk)
	if r := s.recipient(id, desk); r.State != transit.Settled || !strings.Contains(s.text(s.inbox()[len(s.inbox())-1]), "thank you") {
		t.Errorf("%q\n%s", r.State, s.told(id))
	}
}
