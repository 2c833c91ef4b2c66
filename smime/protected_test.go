package smime

import (
	"bufio"
	"strings"
	"testing"

	"carepost/message"
)

const outerOfProtected = "Received: from mta.clinic.example by lab.example; Sat, 21 Nov 2026 10:00:01 +0000\r\n" +
	"Return-Path: <alice@clinic.example>\r\n" +
	"From: mallory@other.example\r\nTo: everybody@other.example\r\nCc: eve@other.example\r\nReply-To: eve@other.example\r\n" +
	"Subject: [...]\r\nDate: Sat, 21 Nov 2026 11:00:00 +0000\r\nMessage-ID: <other@other.example>\r\n" +
	"Disposition-Notification-To: eve@other.example\r\nX-Priority: 1\r\nHP-Outer: Subject: fake\r\nMIME-Version: 1.0\r\n"

const protectedFields = "From: Alice <alice@clinic.example>\r\nTo: Bob <bob@lab.example>\r\nSubject: Results of Ms Doe\r\n" +
	"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@clinic.example>\r\nMIME-Version: 1.0\r\n"

const hpOuter = "HP-Outer: From: Alice <alice@clinic.example>\r\nHP-Outer: Subject: [...]\r\n"

// under puts the envelope of an entity under other outer fields.
func under(t *testing.T, fields, entity string) []byte {
	t.Helper()
	sealed := string(envelope(t, entity))
	return []byte(fields + sealed[strings.Index(sealed, "Content-Type: "):])
}

// TestHeaderProtection: RFC 9788, DIR-14: where the signed part says that its header is the message's, no field outside counts.
func TestHeaderProtection(t *testing.T) {
	alice := newWorld().alice.signer()
	const body = "\r\nDear Bob,\r\nall is well.\r\n"
	for _, c := range []struct {
		name, entity string
		protected    bool
		header       string // of the message that comes out; "" where the outer fields count
	}{
		{"cipher", protectedFields + hpOuter + "Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n" + body, true,
			protectedFields + "Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n"},
		{"clear", "Content-Type: text/plain; HP=Clear\r\n" + protectedFields + body, true, "Content-Type: text/plain; HP=Clear\r\n" + protectedFields},
		{"a multipart", protectedFields + "Content-Type: multipart/mixed; boundary=x; hp=cipher\r\n\r\n--x\r\n" + body + "\r\n--x--\r\n", true,
			protectedFields + "Content-Type: multipart/mixed; boundary=x; hp=cipher\r\n"},
		{"no From inside: there is none", "Subject: Results of Ms Doe\r\nContent-Type: text/plain; hp=\"cipher\"\r\n" + body, true,
			"Subject: Results of Ms Doe\r\nContent-Type: text/plain; hp=\"cipher\"\r\n"},
		{"a message is passed on: no wrapper", protectedFields + "Content-Type: message/rfc822; hp=cipher\r\n\r\nFrom: carol@clinic.example\r\n" + body, true,
			protectedFields + "Content-Type: message/rfc822; hp=cipher\r\n"},
		{"trace fields inside stand for those outside", "Received: from inside\r\n" + protectedFields + "Content-Type: text/plain; hp=cipher\r\n" + body, true,
			"Received: from inside\r\n" + protectedFields + "Content-Type: text/plain; hp=cipher\r\n"},
		{"another value says nothing", "Subject: inside\r\nContent-Type: text/plain; hp=\"maybe\"\r\n" + body, false, ""},
		{"on a part below says nothing", "Subject: inside\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; hp=cipher\r\n" + body + "\r\n--x--\r\n", false, ""},
		{"the older way: fields alone", "Subject: inside\r\nContent-Type: text/plain; protected-headers=v1\r\n" + body, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, err := openBob(under(t, outerOfProtected, detached(t, c.entity, alice)))
			if err != nil || len(o.Good()) != 1 {
				t.Fatalf("opened %+v, %v", o, err)
			}
			if o.HeaderProtected != c.protected || o.Wrapped || o.Header.Has("HP-Outer") {
				t.Errorf("opened %+v\n%s", o, got)
			}
			head, _, _ := strings.Cut(got, "\r\n\r\n")
			if h := string(o.Header.Bytes()); h != head+"\r\n" {
				t.Errorf("header %q\nof message %q", h, head)
			}
			if !c.protected {
				if o.Header.Get("From") != "mallory@other.example" || o.Header.Get("Subject") != "inside" || o.Header.Count("Subject") != 1 {
					t.Errorf("header\n%s", o.Header.Bytes())
				}
				return
			}
			trace := "Received: from mta.clinic.example by lab.example; Sat, 21 Nov 2026 10:00:01 +0000\r\nReturn-Path: <alice@clinic.example>\r\n"
			if strings.Contains(c.header, "Received:") {
				trace = "Return-Path: <alice@clinic.example>\r\n"
			}
			version := ""
			if !strings.Contains(c.header, "MIME-Version") {
				version = "MIME-Version: 1.0\r\n"
			}
			if want := trace + version + c.header; string(o.Header.Bytes()) != want {
				t.Errorf("header\n%s\nwant\n%s", o.Header.Bytes(), want)
			}
			if !o.Outer.Has("HP-Outer") {
				t.Error("the outer header is not as it was transmitted")
			}
		})
	}
	t.Run("two values", func(t *testing.T) {
		if _, _, err := openBob(envelope(t, detached(t, "Content-Type: text/plain; hp=clear; hp=cipher\r\n"+body, alice))); err == nil {
			t.Error("opened")
		}
	})
	t.Run("without a value", func(t *testing.T) {
		if _, _, err := openBob(envelope(t, detached(t, "Content-Type: text/plain; hp\r\n"+body, alice))); err == nil {
			t.Error("opened")
		}
	})
	t.Run("two From inside are two", func(t *testing.T) {
		_, o, err := openBob(envelope(t, detached(t, "From: a@b.example\r\n"+protectedFields+"Content-Type: text/plain; hp=clear\r\n"+body, alice)))
		if err != nil || o.Header.Count("From") != 2 { // and no sender can be bound to them
			t.Errorf("opened %+v, %v", o, err)
		}
	})
	t.Run("outside it says nothing", func(t *testing.T) {
		sealed := strings.Replace(string(seal(t, letter, func(o *SealOptions) { o.Unwrapped = true })), "smime-type=", "hp=cipher; smime-type=", 1)
		_, o, err := openBob([]byte(sealed))
		if err != nil || o.HeaderProtected {
			t.Errorf("opened %+v, %v", o, err)
		}
	})
	t.Run("in other forms", func(t *testing.T) {
		entity := protectedFields + "Content-Type: text/plain; hp=cipher\r\n" + body
		for _, in := range []string{
			string(under(t, outerOfProtected, opaque(t, asSigned, entity, alice))),
			outerOfProtected + detached(t, sealedPart(t, asEnveloped, entity), alice),
		} {
			_, o, err := openAs([]byte(in), LenientForms)
			if err != nil || !o.HeaderProtected || o.Header.Get("From") != "Alice <alice@clinic.example>" || o.Header.Has("Cc") {
				t.Errorf("opened %+v, %v", o, err)
			}
		}
	})
}

// TestWrapper: the older way of RFC 8551 §3.1, and a message that is passed on by the same type (RFC 9788 §4.10).
func TestWrapper(t *testing.T) {
	alice := newWorld().alice.signer()
	for params, wrapped := range map[string]bool{"": true, "; forwarded=no": true, "; Forwarded=\"No\"": true, "; forwarded=yes": false, "; forwarded=YES": false} {
		got, o, err := openBob(envelope(t, detached(t, "Content-Type: message/rfc822"+params+"\r\n\r\n"+letter, alice)))
		if err != nil || o.Wrapped != wrapped || (got == letter) != wrapped || o.HeaderProtected {
			t.Errorf("%q: %+v, %v\n%s", params, o, err, got)
		}
		if !wrapped && o.Header.Get("From") != "alice@clinic.example" {
			t.Errorf("%q: header\n%s", params, o.Header.Bytes())
		}
	}
}

// TestLegacyDisplay: RFC 9788 §2.1.2.
func TestLegacyDisplay(t *testing.T) {
	for field, want := range map[string]bool{
		"Content-Type: text/plain; hp-legacy-display=1; hp=cipher\r\n":           true,
		"Content-Type: text/html; HP-Legacy-Display=\"1\"\r\n":                   true,
		"Content-Type: text/plain; hp-legacy-display=0\r\n":                      false,
		"Content-Type: text/plain\r\n":                                           false,
		"Content-Type: application/pdf; hp-legacy-display=1\r\n":                 false,
		"Content-Type: text/plain; hp-legacy-display=1; hp-legacy-display=1\r\n": false,
	} {
		h := must(message.ReadHeader(bufio.NewReader(strings.NewReader(field)), message.Limits{}))
		if LegacyDisplay(h) != want {
			t.Errorf("%q", field)
		}
	}
}

// TestEpilogue: the reference implementation in Java signs the line end after the last delimiter of a multipart, or does not, and the
// library below it writes one, or does not. Where that is asked for, both are tried, after everything else, and it is said.
func TestEpilogue(t *testing.T) {
	w := newWorld()
	const inner = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nDear Bob,\r\n--x--"
	const text = "Content-Type: text/plain\r\n\r\nDear Bob,"
	for _, c := range []struct {
		name, part, signed string
		lenient, direct    bool // whether the signature is good
		epilogue           bool
	}{
		{"as it stands", inner, inner, true, true, false},
		{"as it stands, with a line end", inner + "\r\n", inner + "\r\n", true, true, false},
		{"signed with a line end, sent without", inner, inner + "\r\n", true, false, true},
		{"signed without, sent with one", inner + "\r\n", inner, true, false, true},
		{"signed without, sent with LF", strings.ReplaceAll(inner+"\r\n", "\r\n", "\n"), inner, true, false, true},
		{"two line ends more", inner, inner + "\r\n\r\n", false, false, false},
		{"two line ends less", inner + "\r\n\r\n", inner, false, false, false},
		{"other text after it", inner + "\r\nx", inner, false, false, false},
		{"no multipart, with", text, text + "\r\n", false, false, false},
		{"no multipart, without", text + "\r\n", text, false, false, false},
	} {
		in := envelope(t, multipartSigned(c.part, signedBy(t, c.signed, w.alice.signer())))
		_, o, err := openAs(in, Epilogue)
		if err != nil || len(o.Good()) == 1 != c.lenient || o.Form.Has(Epilogue) != c.epilogue || o.Signatures[0].Epilogue != c.epilogue {
			t.Errorf("%s: %+v, %v", c.name, o, err)
		}
		if _, o, err = openBob(in); err != nil || len(o.Good()) == 1 != c.direct || o.Form != 0 {
			t.Errorf("%s under Direct: %+v, %v", c.name, o, err)
		}
	}
	// Two signers, one of each kind.
	both := signedBy(t, inner, w.alice.signer())
	_, o, err := openAs(envelope(t, multipartSigned(inner+"\r\n", both)), LenientForms)
	if err != nil || len(o.Good()) != 1 {
		t.Errorf("opened %+v, %v", o, err)
	}
	// Opaque content has one form.
	der := embedded(t, derOf(t, signedBy(t, inner, w.alice.signer())), inner+"\r\n")
	if _, o, err := openAs(envelope(t, pkcs7Entity(asSigned, der)), LenientForms); err != nil || len(o.Good()) != 0 {
		t.Errorf("opaque: %+v, %v", o, err)
	}
}
