package smime

import (
	"strings"
	"testing"
)

// TestNestedSignedParts: "Johnny, you are fired": the signature inside is content to the one around it, whoever made it; what counts, and what
// is delivered, is the outer one's. ATT-14.
func TestNestedSignedParts(t *testing.T) {
	w := newWorld()
	hers := detached(t, "Content-Type: text/plain\r\n\r\nYou are promoted.\r\n", w.alice.signer())
	eves := "Content-Type: multipart/mixed; boundary=e\r\n\r\n--e\r\nContent-Type: text/plain\r\n\r\nYou are fired.\r\n--e\r\n" + hers + "\r\n--e--\r\n"
	for name, part := range map[string]string{"alone": hers, "behind other text": eves} {
		for kind, in := range map[string]string{"detached": detached(t, part, w.eve.signer()), "opaque": opaque(t, asSigned, part, w.eve.signer())} {
			got, o, err := openAs(envelope(t, in), LenientForms)
			if err != nil || len(o.Signatures) != 1 || !o.Signatures[0].Certificate.Equal(w.eve.cert) || o.OuterSignatures != nil {
				t.Fatalf("%s, %s: %+v, %v", name, kind, o, err)
			}
			if !strings.HasSuffix(got, part[strings.Index(part, "\r\n\r\n"):]) {
				t.Errorf("%s, %s: something else than what was signed\n%s", name, kind, got)
			}
		}
	}
}

// TestPartialSigning: a signature over some of what was encrypted is none. ATT-14.
func TestPartialSigning(t *testing.T) {
	w := newWorld()
	hers := "Content-Type: text/plain\r\n\r\nYou are promoted.\r\n"
	for name, signed := range map[string]string{"detached": detached(t, hers, w.alice.signer()), "opaque": opaque(t, asSigned, hers, w.alice.signer())} {
		mixed := "Content-Type: multipart/mixed; boundary=e\r\n\r\n--e\r\nContent-Type: text/plain\r\n\r\nYou are fired.\r\n--e\r\n" + signed + "\r\n--e--\r\n"
		related := strings.Replace(mixed, "mixed", "related; type=\"multipart/signed\"", 1)
		for _, in := range []string{mixed, related, "Content-Type: message/rfc822\r\n\r\nFrom: eve@other.example\r\n" + signed} {
			if _, _, err := openAs(envelope(t, in), LenientForms); err != ErrUnsigned {
				t.Errorf("%s: %v\n%s", name, err, in)
			}
			// Beside a signature around everything it is content.
			out := outside822 + detached(t, sealedPart(t, asEnveloped, in), w.eve.signer())
			_, o, err := openAs([]byte(out), LenientForms)
			if err != nil || o.Form != EncryptedThenSigned || len(o.Signatures) != 1 || !o.Signatures[0].Certificate.Equal(w.eve.cert) {
				t.Errorf("%s: %+v, %v", name, o, err)
			}
		}
	}
}

// Names in encoded words are text for people and never types, boundaries or addresses (RFC 2047 §5). ATT-27.
func TestEncodedWords(t *testing.T) {
	w := newWorld()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := detached(t, part, w.alice.signer())
	for name, c := range map[string]struct{ old, new string }{
		"protocol":       {"\"application/pkcs7-signature\"", "\"=?us-ascii?Q?application/pkcs7-signature?=\""},
		"second part":    {"Content-Type: application/pkcs7-signature", "Content-Type: =?us-ascii?Q?application/pkcs7-signature?="},
		"folded":         {"boundary=\"=_0_b\"", "boundary=\"=_0\r\n _b\""},
		"folded, spaced": {"=_0_b", "=_0 b"},
		"escaped":        {"boundary=\"=_0_b\"", "boundary=\"=_0\\_b\""},
	} {
		in := strings.ReplaceAll(good, c.old, c.new)
		if name == "folded, spaced" { // the fold stands for the blank that the delimiters have
			in = strings.Replace(in, "boundary=\"=_0 b\"", "boundary=\"=_0\r\n b\"", 1)
		}
		if in == good {
			t.Fatal(name)
		}
		if _, o, err := openBob(envelope(t, in)); err == nil {
			t.Errorf("%s: opened %+v", name, o)
		}
	}
	spaced := strings.ReplaceAll(good, "=_0_b", "=_0 b")
	if got, o, err := openBob(envelope(t, spaced)); err != nil || len(o.Good()) != 1 || got != letter {
		t.Errorf("a blank in the boundary: %v", err)
	}
}
