package interop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/smime"
	"carepost/test/peers"
)

// content is what is signed of mail for partners who do not unwrap.
var content = mail[strings.Index(mail, "Content-Type: multipart/mixed"):]

// TestPlainSMIME: DCM-19, DCM-21: every peer opens what is sealed for partners of PS3.15 B.8 that know no Direct, and what every peer makes of a
// mail that is not wrapped, in every order of signing and encrypting, is opened with the header that stood outside.
func TestPlainSMIME(t *testing.T) {
	l := lab(t)
	for _, p := range l.All() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			g := groups(l.World, p)[0]
			sealed, err := sealPlain(g)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(sealed), "Date: ") && !strings.Contains(string(sealed), "\r\nSubject: Results\r\n") {
				t.Errorf("%.400s", sealed)
			}
			if err := unseals(p, sealed, g.to[0], content); err != nil {
				t.Errorf("what is sent: %v", err)
			}
			for _, s := range unwrappedStructures {
				if lacks(p, s, g) {
					continue
				}
				message, err := caught(func() string { return header + "Subject: Results\r\n" + s.make(sender{p, g.signers, g.to}) })
				if err != nil {
					t.Errorf("%s: %v", s.name, err)
					continue
				}
				for _, framed := range []string{message, asLF(message)} {
					if err := opensPlain(framed, g.to[0], s); err != nil {
						t.Errorf("%s: %v", s.name, err)
					}
				}
			}
		})
	}
}

var unwrappedStructures = []structure{
	{"signed, then encrypted", 0, false, func(s sender) string { return s.encrypted(s.clear(content)) }},
	{"opaque, then encrypted", smime.Opaque, false, func(s sender) string { return s.encrypted(s.opaque(content)) }},
	{"encrypted, then signed", smime.EncryptedThenSigned, false, func(s sender) string { return s.clear(s.encrypted(content)) }},
	{"encrypted, then signed opaque", smime.EncryptedThenSigned | smime.Opaque, false, func(s sender) string { return s.opaque(s.encrypted(content)) }},
	{"triple-wrapped", smime.TripleWrapped, true, func(s sender) string { return s.clear(s.encrypted(s.clear(content))) }},
	{"signed, compressed", smime.Compressed, false, func(s sender) string { return s.encrypted(s.compressed(s.clear(content))) }},
}

func sealPlain(g group) ([]byte, error) {
	o := smime.SealOptions{Unwrapped: true, Alone: true, Outer: smime.VisibleHeader("")}
	for _, p := range g.to {
		o.Recipients = append(o.Recipients, p.Certificate)
	}
	for _, p := range g.signers {
		o.Signers = append(o.Signers, p.Signer())
	}
	var b bytes.Buffer
	err := smime.Seal(&b, strings.NewReader(mail), o)
	return b.Bytes(), err
}

func opensPlain(message string, by *peers.Person, s structure) error {
	var draft bytes.Buffer
	o, err := smime.Open(&draft, strings.NewReader(message), []cms.Recipient{{Certificate: by.Certificate, Key: by.Key}},
		smime.OpenOptions{Algorithms: cms.Lenient.Algorithms(), Forms: smime.LenientForms})
	switch {
	case err != nil:
		return err
	case o.Wrapped || o.Form != s.form || distinct(o.Good()) != 1 || len(o.Good()) != len(o.Signatures):
		return fmt.Errorf("found to be %v, wrapped %v, signatures %+v", o.Form, o.Wrapped, o.Signatures)
	case o.Header.Text("Subject") != "Results" || o.Header.Count("From") != 1:
		return fmt.Errorf("header:\n%s", o.Header.Bytes())
	case !strings.HasSuffix(asLF(draft.String()), asLF(content[strings.Index(content, "--inner"):])):
		return fmt.Errorf("another content: %q", draft.String())
	}
	return nil
}
