package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"carepost/cms"
)

// openAs opens with Bob's key in the forms given.
func openAs(sealed []byte, f Forms) (string, *Opened, error) {
	var b bytes.Buffer
	o, err := Open(&b, bytes.NewReader(sealed), []cms.Recipient{newWorld().bob.recipient()}, OpenOptions{Forms: f, Algorithms: cms.Lenient.Algorithms()})
	return b.String(), o, err
}

// tlv is a DER encoding.
func tlv(tag byte, parts ...string) string {
	s := strings.Join(parts, "")
	n := len(s)
	switch {
	case n < 0x80:
		return string([]byte{tag, byte(n)}) + s
	case n < 1<<16:
		return string([]byte{tag, 0x82, byte(n >> 8), byte(n)}) + s
	}
	return string([]byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}) + s
}

const (
	oidOfData   = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	oidOfSigned = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
)

// embedded puts content into a detached signature.
func embedded(t testing.TB, p7s []byte, content string) []byte {
	t.Helper()
	before, after, ok := strings.Cut(string(p7s), tlv(0x30, oidOfData))
	i := strings.Index(before, "\x02\x01\x01\x31")
	if !ok || i < 0 {
		t.Fatal("not as SignDetached makes it")
	}
	inside := tlv(0x30, oidOfData, tlv(0xa0, tlv(0x04, content)))
	return []byte(tlv(0x30, oidOfSigned, tlv(0xa0, tlv(0x30, before[i:], inside, after))))
}

// pkcs7Entity is an application/pkcs7-mime part.
func pkcs7Entity(contentType string, der []byte) string {
	return "Content-Type: " + contentType + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Text(der)
}

func base64Text(b []byte) string {
	var text bytes.Buffer
	w := newLines(&text)
	w.Write(b)
	w.Close()
	return text.String()
}

const (
	asSigned    = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
	asEnveloped = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
	asDeflated  = "application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z"
	asPlain     = "application/pkcs7-mime"
)

// opaque is an entity that is signed with its content inside.
func opaque(t testing.TB, contentType, content string, by ...cms.Signer) string {
	t.Helper()
	return pkcs7Entity(contentType, embedded(t, derOf(t, signedBy(t, content, by...)), content))
}

// detached is an entity that is signed beside its content. Nested ones have boundaries of their own.
func detached(t testing.TB, content string, by ...cms.Signer) string {
	t.Helper()
	text := signedBy(t, content, by...)
	b := fmt.Sprintf("=_%d_b", strings.Count(content, "multipart/signed"))
	return strings.Replace(strings.ReplaceAll(multipartSigned("@", text), "=_b", b), "@", content, 1)
}

// deflated is an entity that is compressed.
func deflated(t testing.TB, contentType, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := must(cms.NewCompressedWriter(&b))
	must(io.WriteString(w, content))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return pkcs7Entity(contentType, b.Bytes())
}

// sealedPart is an entity encrypted to Bob.
func sealedPart(t testing.TB, contentType, entity string) string {
	t.Helper()
	return pkcs7Entity(contentType, cmsOf(envelope(t, entity)))
}

const outside822 = "From: alice@clinic.example\r\nTo: bob@lab.example\r\nMIME-Version: 1.0\r\n"

// TestForms: DCM-21: what partners of B.8 may send is read where it is asked for, and nowhere else (Direct 2.5.1; DIR-15).
func TestForms(t *testing.T) {
	w := newWorld()
	alice, carol := w.alice.signer(), w.carol.signer()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	inside := func(e string) string { return string(envelope(t, e)) }
	opaquePart := opaque(t, asSigned, part, alice)
	binary := strings.Replace(opaquePart[:strings.Index(opaquePart, "\r\n\r\n")+4], "base64", "binary", 1) +
		string(embedded(t, derOf(t, signedBy(t, part, alice)), part))
	qp := strings.Replace(opaquePart, "base64\r\n", "quoted-printable\r\n", 1)
	for _, c := range []struct {
		name, in     string
		form         Forms
		inner, outer int   // signatures
		direct       error // what is said under Direct
	}{
		{"signed, then encrypted", inside(detached(t, part, alice)), 0, 1, 0, nil},
		{"opaque inside", inside(opaquePart), Opaque, 1, 0, ErrStructure},
		{"opaque inside, two signers", inside(opaque(t, asSigned, part, alice, carol)), Opaque, 2, 0, ErrStructure},
		{"opaque inside, x- name", inside(strings.Replace(opaquePart, "pkcs7-mime", "x-pkcs7-mime", 1)), Opaque, 1, 0, ErrStructure},
		{"opaque inside, letters", inside(opaque(t, `Application/PKCS7-Mime; name="smime.p7m"; SMIME-type="Signed-Data"`, part, alice)), Opaque, 1, 0, ErrStructure},
		{"opaque inside, smime-type missing", inside(opaque(t, asPlain, part, alice)), Opaque, 1, 0, ErrStructure},
		{"opaque inside, binary", inside(binary), Opaque, 1, 0, ErrStructure},
		{"opaque inside, LF", inside(strings.ReplaceAll(opaquePart, "\r\n", "\n")), Opaque, 1, 0, ErrStructure},
		{"encrypted, then signed", outside822 + detached(t, sealedPart(t, asEnveloped, part), alice), EncryptedThenSigned, 1, 0, ErrPlain},
		{"encrypted, then signed, smime-type missing", outside822 + detached(t, sealedPart(t, asPlain, part), alice), EncryptedThenSigned, 1, 0, ErrPlain},
		{"encrypted, then signed, LF on the wire", strings.ReplaceAll(outside822+detached(t, sealedPart(t, asEnveloped, part), alice), "\r\n", "\n"), EncryptedThenSigned, 1, 0, ErrPlain},
		{"encrypted, then opaque", outside822 + opaque(t, asSigned, sealedPart(t, asEnveloped, part), alice), EncryptedThenSigned | Opaque, 1, 0, ErrStructure},
		{"encrypted, then opaque, smime-type missing", outside822 + opaque(t, asPlain, sealedPart(t, asPlain, part), alice), EncryptedThenSigned | Opaque, 1, 0, ErrStructure},
		{"triple-wrapped", outside822 + detached(t, sealedPart(t, asEnveloped, detached(t, part, alice)), carol), TripleWrapped, 1, 1, ErrPlain},
		{"triple-wrapped, opaque outside", outside822 + opaque(t, asSigned, sealedPart(t, asEnveloped, detached(t, part, alice)), carol), TripleWrapped | Opaque, 1, 1, ErrStructure},
		{"triple-wrapped, opaque inside", outside822 + detached(t, sealedPart(t, asEnveloped, opaquePart), carol, alice), TripleWrapped | Opaque, 1, 2, ErrPlain},
		{"DCM-20 compressed, then signed", inside(detached(t, deflated(t, asDeflated, part), alice)), Compressed, 1, 0, nil},
		{"DCM-20 signed, then compressed", inside(deflated(t, asDeflated, detached(t, part, alice))), Compressed, 1, 0, ErrStructure},
		{"compressed, smime-type missing", inside(detached(t, deflated(t, asPlain, part), alice)), Compressed, 1, 0, nil},
		{"signed, then compressed, smime-type missing", inside(deflated(t, asPlain, detached(t, part, alice))), Compressed, 1, 0, ErrStructure},
		{"compressed, then opaque", inside(opaque(t, asSigned, deflated(t, asDeflated, part), alice)), Compressed | Opaque, 1, 0, ErrStructure},
		{"opaque, then compressed", inside(deflated(t, asDeflated, opaque(t, asSigned, part, alice))), Compressed | Opaque, 1, 0, ErrStructure},
		{"compressed, then encrypted, then signed", outside822 + detached(t, sealedPart(t, asEnveloped, deflated(t, asDeflated, part)), alice), Compressed | EncryptedThenSigned, 1, 0, ErrPlain},
		{"triple-wrapped and compressed", outside822 + detached(t, sealedPart(t, asEnveloped, detached(t, deflated(t, asDeflated, part), alice)), carol), Compressed | TripleWrapped, 1, 1, ErrPlain},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range []Forms{c.form, LenientForms} {
				got, o, err := openAs([]byte(c.in), f)
				if err != nil {
					t.Fatalf("in the form of %v: %v", f, err)
				}
				want := letter
				if strings.HasSuffix(c.name, "LF on the wire") {
					got = strings.ReplaceAll(got, "\n", "\r\n")
					got = strings.ReplaceAll(got, "\r\r\n", "\r\n")
				}
				if got != want || o.Form != c.form || len(o.Good()) != c.inner || len(o.OuterSignatures) != c.outer || !o.Wrapped {
					t.Errorf("opened %+v\n%s", o, got)
				}
				for _, s := range append(o.Signatures, o.OuterSignatures...) {
					if s.Err != nil {
						t.Errorf("signature %+v", s)
					}
				}
			}
			got, _, err := openBob([]byte(c.in))
			if !errors.Is(err, c.direct) {
				t.Errorf("under Direct: %v, want %v", err, c.direct)
			}
			if c.form.Has(Compressed) && err == nil && (strings.Contains(got, "Dear Bob") || !strings.Contains(got, "pkcs7-mime")) {
				t.Errorf("under Direct, what is compressed is content like any other\n%s", got)
			}
			for bit := Forms(1); bit <= c.form; bit <<= 1 {
				if c.form&bit == 0 {
					continue
				}
				if got, _, err := openAs([]byte(c.in), LenientForms&^bit); err == nil && strings.Contains(got, "Dear Bob") {
					t.Errorf("without %v opened\n%s", bit, got)
				}
			}
		})
	}
	t.Run("quoted-printable that is none", func(t *testing.T) {
		if _, _, err := openAs(envelope(t, qp), LenientForms); err != ErrDecrypt {
			t.Error(err)
		}
	})
}

// TestFormsRefuse: more forms are no more ways around the signature, and never a mixture of what was encrypted and what was not. ATT-01.
func TestFormsRefuse(t *testing.T) {
	w := newWorld()
	alice := w.alice.signer()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	text := "Content-Type: text/plain\r\n\r\nPay 100 to Eve.\r\n"
	sealed := sealedPart(t, asEnveloped, part)
	html := "Content-Type: text/html\r\n\r\n<img src=\"http://eve.example/"
	mixed := "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + html + "\r\n--x\r\n" + sealed + "\r\n--x--\r\n"
	good := detached(t, sealed, alice)
	certs := []byte(tlv(0x30, oidOfSigned, tlv(0xa0, tlv(0x30, "\x02\x01\x01", tlv(0x31), tlv(0x30, oidOfData), tlv(0xa0, string(w.alice.cert.Raw)), tlv(0x31)))))
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"plain", letter, ErrPlain},
		{"signed without encryption", outside822 + detached(t, text, alice), ErrPlain},
		{"opaque without encryption", outside822 + opaque(t, asSigned, text, alice), ErrPlain},
		{"OpenPGP", outside822 + strings.Replace(good, "protocol=\"application/pkcs7", "protocol=\"application/pgp", 1), ErrPlain},
		{"EFAIL mixed in a signature", outside822 + detached(t, mixed, alice), ErrPlain},
		{"EFAIL mixed in an opaque signature", outside822 + opaque(t, asSigned, mixed, alice), ErrPlain},
		{"EFAIL in message/rfc822 in a signature", outside822 + detached(t, "Content-Type: message/rfc822\r\n\r\n"+sealed, alice), ErrPlain},
		{"EFAIL a third part beside the envelope", outside822 + strings.Replace(good, "\r\n--=_0_b--", "\r\n--=_0_b\r\n"+html+"\r\n--=_0_b--", 1), ErrStructure},
		{"EFAIL a part before the envelope", outside822 + strings.Replace(good, "\r\n\r\n--=_0_b\r\n", "\r\n\r\n--=_0_b\r\n"+html+"\r\n--=_0_b\r\n", 1), ErrPlain},
		{"signed twice around the envelope", outside822 + detached(t, good, alice), ErrPlain},
		{"signed four times", outside822 + detached(t, detached(t, sealedPart(t, asEnveloped, detached(t, detached(t, part, alice), alice)), alice), alice), ErrPlain},
		{"compressed twice, then signed", string(envelope(t, detached(t, deflated(t, asDeflated, deflated(t, asDeflated, part)), alice))), ErrStructure},
		{"compressed before and after", string(envelope(t, deflated(t, asDeflated, detached(t, deflated(t, asDeflated, part), alice)))), ErrStructure},
		{"compressed twice, then nothing", outside822 + detached(t, sealedPart(t, asEnveloped, deflated(t, asDeflated, deflated(t, asDeflated, part))), alice), ErrStructure},
		{"compressed twice after it was signed", string(envelope(t, deflated(t, asDeflated, deflated(t, asDeflated, detached(t, part, alice))))), ErrStructure},
		{"compressed around the envelope", outside822 + deflated(t, asDeflated, sealed), ErrStructure},
		{"compressed between a signature and the envelope", outside822 + detached(t, deflated(t, asDeflated, sealed), alice), ErrPlain},
		{"compressed and not signed", string(envelope(t, deflated(t, asDeflated, part))), ErrUnsigned},
		{"an envelope in what was compressed", string(envelope(t, deflated(t, asDeflated, sealed))), ErrStructure},
		{"compressed, cut", string(envelope(t, detached(t, deflated(t, asDeflated, part)[:200], alice))), ErrDecrypt},
		{"compressed, bytes after it", string(envelope(t, deflated(t, asDeflated, detached(t, part, alice))+"AAAA\r\n")), ErrDecrypt},
		{"compressed by another name", string(envelope(t, deflated(t, asSigned, detached(t, part, alice)))), ErrStructure},
		{"compressed, two types inside", string(envelope(t, deflated(t, asDeflated, "Content-Type: text/plain\r\n"+detached(t, part, alice)))), ErrStructure},
		{"decompression bomb, signed", string(envelope(t, detached(t, deflated(t, asDeflated, part+strings.Repeat("0", 20<<20)), alice))), ErrLimit},
		{"decompression bomb, then signed", string(envelope(t, deflated(t, asDeflated, part+strings.Repeat("0", 20<<20)))), ErrUnsigned},
		{"decompression bomb of a header", string(envelope(t, deflated(t, asDeflated, strings.Repeat("X: 0000000000\r\n", 1<<20)))), ErrLimit},
		{"encrypted twice", string(envelope(t, sealed)), ErrStructure},
		{"encrypted twice and signed", outside822 + detached(t, sealedPart(t, asEnveloped, sealed), alice), ErrStructure},
		{"unsigned", string(envelope(t, text)), ErrUnsigned},
		{"certificates alone as a signature", string(envelope(t, pkcs7Entity(asSigned, certs))), ErrUnsigned},
		{"certificates alone by their name", string(envelope(t, pkcs7Entity("application/pkcs7-mime; smime-type=certs-only", certs))), ErrStructure},
		{"certificates alone around the envelope", outside822 + multipartSigned(sealed, base64Text(certs)), ErrUnsigned},
		{"opaque without content", string(envelope(t, pkcs7Entity(asSigned, derOf(t, signedBy(t, part, alice))))), ErrStructure},
		{"opaque that is enveloped", string(envelope(t, strings.Replace(sealed, "enveloped-data", "signed-data", 1))), ErrStructure},
		{"enveloped that is opaque", string(envelope(t, opaque(t, asEnveloped, part, alice))), ErrStructure},
		{"opaque receipt", string(envelope(t, opaque(t, "application/pkcs7-mime; smime-type=signed-receipt", part, alice))), ErrStructure},
		{"opaque, bytes after the end", string(envelope(t, pkcs7Entity(asSigned, append(embedded(t, derOf(t, signedBy(t, part, alice)), part), 0)))), ErrDecrypt},
		{"opaque, text after the base64", string(envelope(t, opaque(t, asSigned, part, alice)+"\r\nPay 100 to Eve.\r\n")), ErrDecrypt},
		{"opaque, cut", string(envelope(t, opaque(t, asSigned, part, alice)[:600])), ErrDecrypt},
		{"opaque, noise", string(envelope(t, pkcs7Entity(asSigned, bytes.Repeat([]byte{0x80}, 600)))), ErrDecrypt},
		{"opaque, no CMS and no name", string(envelope(t, pkcs7Entity(asPlain, bytes.Repeat([]byte{0x80}, 600)))), ErrStructure},
		{"opaque, two types", string(envelope(t, "Content-Type: text/plain\r\n"+opaque(t, asSigned, part, alice))), ErrStructure},
		{"two types on what is signed opaquely", string(envelope(t, opaque(t, asSigned, "Content-Type: text/plain\r\n"+part, alice))), ErrStructure},
		{"outer signature is cut", outside822 + good[:len(good)-30], ErrDecrypt},
		{"outer multipart is not closed", outside822 + strings.Replace(good, "\r\n--=_0_b--", "", 1), ErrDecrypt},
		{"bytes after an outer opaque", outside822 + pkcs7Entity(asSigned, append(embedded(t, derOf(t, signedBy(t, sealed, alice)), sealed), 0)), ErrDecrypt},
		{"text after an outer opaque", outside822 + opaque(t, asSigned, sealed, alice) + "\r\nfooter of a list\r\n", ErrDecrypt},
		{"encrypted, then signed: noise", outside822 + detached(t, sealedPart(t, asEnveloped, "\x80noise"), alice), ErrDecrypt},
		{"encrypted, then signed: no type", outside822 + detached(t, sealedPart(t, asEnveloped, "Subject: x\r\n\r\nhello"), alice), ErrDecrypt},
		{"encrypted, then signed: base64 that is cut", outside822 + detached(t, sealedPart(t, asEnveloped,
			"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64Text([]byte(letter))[:99]), alice), ErrDecrypt},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, err := openAs([]byte(c.in), LenientForms)
			if !errors.Is(err, c.want) || c.want == ErrDecrypt && err != ErrDecrypt || o != nil {
				t.Fatalf("error %v, want %v\n%s", err, c.want, got)
			}
			if c.want == ErrPlain && got != "" {
				t.Errorf("plaintext\n%s", got)
			}
		})
	}
	t.Run("an envelope inside a signed part is content", func(t *testing.T) {
		got, o, err := openAs(envelope(t, detached(t, sealed, alice)), LenientForms)
		if err != nil || o.Form != 0 || !strings.Contains(got, "pkcs7-mime") || strings.Contains(got, "Dear Bob") {
			t.Errorf("opened %+v, %v\n%s", o, err, got)
		}
	})
	t.Run("a signature around another envelope", func(t *testing.T) {
		in := outside822 + multipartSigned(sealed, signedBy(t, sealedPart(t, asEnveloped, part), alice))
		_, o, err := openAs([]byte(in), LenientForms)
		if err != nil || len(o.Signatures) != 1 || len(o.Good()) != 0 {
			t.Errorf("opened %+v, %v", o, err)
		}
	})
	t.Run("a bad signature outside a good one", func(t *testing.T) {
		inner := sealedPart(t, asEnveloped, detached(t, part, alice))
		_, o, err := openAs([]byte(outside822+multipartSigned(inner, signedBy(t, sealed, w.carol.signer()))), LenientForms)
		if err != nil || len(o.Good()) != 1 || len(o.OuterSignatures) != 1 || o.OuterSignatures[0].Err == nil {
			t.Errorf("opened %+v, %v", o, err)
		}
	})
	t.Run("the letter's own key is asked for", func(t *testing.T) {
		_, err := Open(&bytes.Buffer{}, strings.NewReader(outside822+good), []cms.Recipient{w.eve.recipient()}, OpenOptions{Forms: LenientForms})
		if err != ErrNoKey {
			t.Error(err)
		}
	})
}

// TestFormsCut: in every form, a message that ends early is an error, and below the encryption always the one.
func TestFormsCut(t *testing.T) {
	w := newWorld()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := opaque(t, asSigned, part, w.alice.signer())
	for i := 0; i < len(strings.TrimRight(good, "\r\n")); i += stride(41) {
		if _, _, err := openAs(envelope(t, good[:i]), LenientForms); err != ErrDecrypt && !(i < 200 && err != nil) {
			t.Fatalf("opaque cut inside at %d: %v", i, err)
		}
	}
	for name, in := range map[string]string{
		"opaque":                 string(envelope(t, good)),
		"compressed":             string(envelope(t, deflated(t, asDeflated, good))),
		"encrypted, then signed": outside822 + detached(t, sealedPart(t, asEnveloped, part), w.alice.signer()),
		"triple-wrapped":         outside822 + opaque(t, asSigned, sealedPart(t, asEnveloped, good), w.alice.signer()),
	} {
		whole := len(strings.TrimRight(in, "\r\n"))
		for i := 0; i < whole; i += stride(61) {
			if _, _, err := openAs([]byte(in[:i]), LenientForms); err == nil {
				t.Fatalf("%s cut at %d of %d: no error", name, i, whole)
			}
		}
	}
}

// TestFormsAltered: one altered byte, wherever it is, gives an error, or no good signature, or the very same message. ATT-02.
func TestFormsAltered(t *testing.T) {
	w := newWorld()
	alice := w.alice.signer()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	check := func(name string, at int, in []byte) {
		t.Helper()
		got, o, err := openAs(in, LenientForms)
		if err != nil || len(o.Good()) == 0 {
			return
		}
		crlf := strings.ReplaceAll(strings.ReplaceAll(got, "\r\n", "\n"), "\n", "\r\n")
		if got != letter && !(o.Good()[0].Canonicalised && crlf == letter) && !(o.Form.Has(Epilogue) && crlf == letter) {
			t.Errorf("%s, altered at %d: opened with a good signature\n%s", name, at, got)
		}
	}
	good := opaque(t, asSigned, part, alice)
	for i := 0; i < len(good); i += stride(41) {
		in := []byte(good)
		in[i] ^= 1 << (i % 8)
		check("opaque, inside", i, envelope(t, string(in)))
	}
	good = deflated(t, asDeflated, good)
	for i := 0; i < len(good); i += stride(41) {
		in := []byte(good)
		in[i] ^= 1 << (i % 8)
		check("compressed, inside", i, envelope(t, string(in)))
	}
	for name, in := range map[string]string{
		"encrypted, then signed": outside822 + detached(t, sealedPart(t, asEnveloped, part), alice),
		"encrypted, then opaque": outside822 + opaque(t, asSigned, sealedPart(t, asEnveloped, part), alice),
		"triple-wrapped":         outside822 + detached(t, sealedPart(t, asEnveloped, good), alice),
		"compressed, signed":     outside822 + detached(t, sealedPart(t, asEnveloped, deflated(t, asDeflated, part)), alice),
	} {
		for i := 0; i < len(in); i += stride(59) {
			b := []byte(in)
			b[i] ^= 1 << (i % 8)
			check(name, i, b)
			b[i] = "A/z\r\n=-"[i%7]
			check(name, i, b)
		}
	}
}
