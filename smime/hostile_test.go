package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"carepost/cms"
	"carepost/message"
)

// TestOpenOuter: what the outside may look like (DIR-12; EFAIL: nothing decrypted ever stands beside something plain). ATT-01, ATT-27.
func TestOpenOuter(t *testing.T) {
	sealed := string(seal(t, letter))
	_, body, _ := strings.Cut(sealed, "\r\n\r\n")
	const types = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=\"smime.p7m\"\r\n"
	if !strings.Contains(sealed, types) {
		t.Fatal("the outer header changed")
	}
	asType := func(s string) string { return strings.Replace(sealed, types, "Content-Type: "+s+"\r\n", 1) }
	plainPart := "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
	p7mPart := "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
	der := "From: a@b.example\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(cmsOf([]byte(sealed)))
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"DIR-12 x-pkcs7-mime", asType("application/x-pkcs7-mime; smime-type=enveloped-data"), nil},
		{"no smime-type", asType("application/pkcs7-mime; name=smime.p7m"), nil},
		{"a semicolon too many", asType("application/pkcs7-mime; smime-type=enveloped-data;"), nil},
		{"parameters that cannot be read", asType("application/pkcs7-mime; smime-type==x"), ErrStructure},
		{"no parameters", asType("application/pkcs7-mime"), nil},
		{"letters", asType("Application/PKCS7-MIME; SMIME-TYPE=\"Enveloped-Data\""), nil},
		{"any order of parameters", asType("application/pkcs7-mime;name=\"smime.p7m\" ;\r\n\tsmime-type=\"enveloped-data\""), nil},
		{"bare LF on the wire", strings.ReplaceAll(sealed, "\r\n", "\n"), nil},
		{"base64 in one line", strings.Replace(sealed, body, strings.ReplaceAll(body, "\r\n", ""), 1), nil},
		{"no blank after the colon", strings.ReplaceAll(sealed, "Content-Type: ", "Content-Type:"), nil},
		{"no blank after any colon", strings.NewReplacer("Content-Type: ", "Content-Type:", "-Encoding: ", "-Encoding:", "-Disposition: ", "-Disposition:").Replace(sealed), nil},
		{"a tab after the colon", strings.Replace(sealed, "-Encoding: ", "-Encoding:\t", 1), nil},
		{"folded after the colon", strings.Replace(sealed, "Content-Type: ", "Content-Type:\r\n ", 1), nil},
		{"names of fields in small letters", strings.NewReplacer("Content-Type", "content-type", "Content-Transfer", "content-transfer").Replace(sealed), nil},
		{"encoding in capitals", strings.Replace(sealed, "-Encoding: base64", "-Encoding: BASE64", 1), nil},
		{"encoding with a semicolon", strings.Replace(sealed, "-Encoding: base64", "-Encoding: base64;", 1), nil},
		{"an empty line before the base64", strings.Replace(sealed, "\r\n\r\n", "\r\n\r\n\r\n", 1), nil},
		{"binary", der, nil},
		{"binary with bytes after it", der + "\r\nfooter", ErrDecrypt},
		{"text after the base64", sealed + "\r\nfooter of a list\r\n", ErrDecrypt},
		{"base64 after its end", sealed + "AAAA\r\n", ErrDecrypt},
		{"signed-data", asType("application/pkcs7-mime; smime-type=signed-data"), ErrStructure},
		{"compressed-data", asType("application/pkcs7-mime; smime-type=compressed-data"), ErrStructure},
		{"authEnveloped-data", asType("application/pkcs7-mime; smime-type=authEnveloped-data"), ErrStructure},
		{"by name alone", asType("application/octet-stream; name=smime.p7m"), ErrPlain},
		{"two smime-types", asType("application/pkcs7-mime; smime-type=enveloped-data; smime-type=signed-data"), ErrStructure},
		{"two types, plain first", strings.Replace(sealed, types, "Content-Type: text/plain\r\n"+types, 1), ErrStructure},
		{"two types, plain last", strings.Replace(sealed, types, types+"Content-Type: text/plain\r\n", 1), ErrStructure},
		{"two encodings", strings.Replace(sealed, types, types+"Content-Transfer-Encoding: 7bit\r\n", 1), ErrStructure},
		{"unknown encoding", strings.Replace(sealed, "-Encoding: base64", "-Encoding: rot13", 1), ErrStructure},
		{"no CMS", "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", ErrStructure},
		{"no base64", "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n", ErrStructure},
		{"no header", "\r\nx", ErrPlain},
		{"nothing", "", ErrPlain},
		{"plain text", letter, ErrPlain},
		{"not a header", "x\r\n\r\n", ErrStructure},
		{"EFAIL mixed, HTML first", plainPart + "Content-Type: text/html\r\n\r\n<img src=\"http://eve.example/\r\n--x\r\n" + p7mPart + "\r\n--x--\r\n", ErrPlain},
		{"EFAIL mixed, envelope first", plainPart + p7mPart + "\r\n--x\r\nContent-Type: text/html\r\n\r\n\">\r\n--x--\r\n", ErrPlain},
		{"EFAIL envelope alone in a multipart", plainPart + p7mPart + "\r\n--x--\r\n", ErrPlain},
		{"EFAIL envelope in message/rfc822", "From: a@b.example\r\nContent-Type: message/rfc822\r\n\r\n" + sealed, ErrPlain},
		{"signed around encrypted", multipartSigned(p7mPart, signedBy(t, p7mPart, newWorld().alice.signer())), ErrPlain},
		{"a header that never ends", strings.Repeat("X: y\r\n", 100_000), ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, err := openBob([]byte(c.in))
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if c.want != nil {
				if o != nil || (c.want == ErrPlain || c.want == ErrStructure) && got != "" {
					t.Errorf("plaintext %q, %+v", got, o)
				}
				return
			}
			if got != letter || len(o.Good()) != 1 {
				t.Errorf("opened %q", got)
			}
		})
	}
	t.Run("somebody else's", func(t *testing.T) {
		_, err := Open(io.Discard, strings.NewReader(sealed), []cms.Recipient{newWorld().eve.recipient()}, OpenOptions{})
		if err != ErrNoKey {
			t.Errorf("error %v", err)
		}
	})
	t.Run("another key under the certificate", func(t *testing.T) {
		w := newWorld()
		r := w.namesake(w.bob, w.eve.key).recipient()
		if _, err := Open(io.Discard, strings.NewReader(sealed), []cms.Recipient{r}, OpenOptions{}); err != ErrDecrypt {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a key that is not the certificate's", func(t *testing.T) {
		r := newWorld().bob.recipient()
		r.Key = newWorld().eve.recipient().Key
		_, err := Open(io.Discard, strings.NewReader(sealed), []cms.Recipient{r}, OpenOptions{})
		for _, verdict := range []error{nil, ErrDecrypt, ErrNoKey, ErrStructure, ErrLimit, ErrPlain, ErrUnsigned} {
			if errors.Is(err, verdict) {
				t.Errorf("our own mistake is told as the message's: %v", err)
			}
		}
	})
	t.Run("a key that cannot be used now", func(t *testing.T) {
		r := newWorld().bob.recipient()
		r.Key = offline{r.Key.(crypto.Decrypter)}
		_, err := Open(io.Discard, strings.NewReader(sealed), []cms.Recipient{r}, OpenOptions{})
		if !errors.Is(err, cms.ErrUnavailable) || errors.Is(err, ErrStructure) {
			t.Errorf("error %v", err)
		}
	})
}

// offline is a key device that does not answer.
type offline struct{ crypto.Decrypter }

func (offline) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, fmt.Errorf("token: %w", cms.ErrUnavailable)
}

// TestOpenInner: what may be inside (DIR-12, DIR-14, DIR-15, DIR-16, DIR-17). ATT-14, ATT-27.
func TestOpenInner(t *testing.T) {
	w := newWorld()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	text := signedBy(t, part, w.alice.signer())
	good := multipartSigned(part, text)
	signed := func(part string) string { return multipartSigned(part, signedBy(t, part, w.alice.signer())) }
	wrap64 := func(enc, s string) string {
		return signed("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + enc + "\r\n\r\n" + s)
	}
	var b64 bytes.Buffer
	lines := message.NewBase64Writer(&b64)
	io.WriteString(lines, letter)
	lines.Close()
	re := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	tight := strings.Replace(part, "Content-Type: ", "Content-Type:", 1)
	const x = "application/x-pkcs7-signature"
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"as it should be", good, nil},
		{"DIR-15 x- both", strings.ReplaceAll(good, "application/pkcs7-signature", x), nil},
		{"DIR-15 x- announced", re("protocol=\"application/pkcs7-signature", "protocol=\""+x), nil},
		{"DIR-15 x- sent", re("Type: application/pkcs7-signature", "Type: "+x), nil},
		{"micalg missing", re(" micalg=sha-256;", ""), nil},
		{"micalg wrong", re("micalg=sha-256", "micalg=md5"), nil},
		{"micalg list", re("micalg=sha-256", "micalg=\"sha1,sha-512\""), nil},
		{"a semicolon too many", re("boundary=\"=_b\"", "boundary=\"=_b\";"), nil},
		{"boundary token, other order", strings.ReplaceAll(re("micalg=sha-256; boundary=\"=_b\"", "boundary=b; micalg=sha256"), "=_b", "b"), nil},
		{"preamble text: dropped", re("\r\n\r\n--=_b\r\n", "\r\n\r\nThis is signed: trust me.\r\n--=_b\r\n"), nil},
		{"preamble text: an empty line", re("\r\n\r\n--=_b\r\n", "\r\n\r\n\r\n--=_b\r\n"), nil},
		{"epilogue text: dropped", good + "Please pay 100 to Eve.\r\n", nil},
		{"no line end at the end", strings.TrimSuffix(good, "\r\n"), nil},
		{"white space after delimiters", strings.ReplaceAll(good, "--=_b\r\n", "--=_b \t\r\n"), nil},
		{"MIME-Version inside", "MIME-Version: 1.0\r\n" + good, nil},
		{"LF framing round CRLF content", re("\r\n--=_b\r\nContent-Type: application", "\n--=_b\nContent-Type: application"), nil},
		{"wrapped in base64", wrap64("base64", b64.String()), nil},
		{"wrapped in quoted-printable", wrap64("quoted-printable", strings.NewReplacer("boundary=inner", "bound=\r\nary=3Dinner", "Bob,", "B=6Fb,", "==", "=3D=3D").Replace(letter)), nil},
		{"wrapped as message/global", signed(strings.Replace(part, "rfc822", "global", 1)), nil},
		{"p7s in one line of base64", re(text, strings.ReplaceAll(text, "\r\n", "")+"\r\n"), nil},
		{"no blank after any colon", strings.Replace(strings.ReplaceAll(multipartSigned("@", signedBy(t, tight, w.alice.signer())), ": ", ":"), "@", tight, 1), nil},
		{"binary p7s", re("base64\r\n\r\n"+text, "binary\r\n\r\n"+string(derOf(t, text))), nil},

		{"text", "Content-Type: text/plain\r\n\r\nhello\r\n", ErrUnsigned},
		{"mixed", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n", ErrUnsigned},
		{"a letter", letter, ErrUnsigned},
		{"partial signing: the signed message in a multipart", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + good + "\r\n--x--\r\n", ErrUnsigned},
		{"partial signing: the signed message in a message", "Content-Type: message/rfc822\r\n\r\n" + good, ErrUnsigned},
		{"opaque", "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx\r\n", ErrStructure},
		{"encrypted twice", string(envelope(t, good)), ErrStructure},
		{"noise", "\x80\x01\x02garbage", ErrDecrypt},
		{"empty", "", ErrDecrypt},
		{"no type", "\r\nhello", ErrDecrypt},
		{"header alone", "Content-Type: text/plain\r\n\r\n", ErrDecrypt},
		{"duplicate structural headers: two types", "Content-Type: text/plain\r\n" + good, ErrStructure},
		{"duplicate structural headers: two versions", "MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n" + good, ErrStructure},
		{"OpenPGP", re("protocol=\"application/pkcs7-signature", "protocol=\"application/pgp-signature"), ErrStructure},
		{"no protocol", re(" protocol=\"application/pkcs7-signature\";", ""), ErrStructure},
		{"no boundary", re("; boundary=\"=_b\"", ""), ErrStructure},
		{"boundary too long", re("\"=_b\"", "\"="+strings.Repeat("b", 70)+"\""), ErrStructure},
		{"boundary of another alphabet", re("\"=_b\"", "\"=_b\xe9\""), ErrDecrypt},
		{"boundary ends in space", re("\"=_b\"", "\"=_b \""), ErrStructure},
		{"base64 multipart", "Content-Transfer-Encoding: base64\r\n" + good, ErrStructure},
		{"other second part", re("Type: application/pkcs7-signature", "Type: text/plain"), ErrStructure},
		{"second part without type", re("Content-Type: application/pkcs7-signature; name=smime.p7s\r\n", ""), ErrStructure},
		{"duplicate structural headers: on the second part", re("Content-Type: application/pkcs7-signature", "Content-Type: text/html\r\nContent-Type: application/pkcs7-signature"), ErrStructure},
		{"no part", "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x--\r\n", ErrStructure},
		{"one part", re("\r\n--=_b\r\nContent-Type: application", "\r\n--=_b--\r\nContent-Type: application"), ErrStructure},
		{"extra parts: a third", strings.Replace(good, "\r\n--=_b--", "\r\n--=_b\r\n\r\nPay 100 to Eve.\r\n--=_b--", 1), ErrStructure},
		{"extra parts: an empty third", strings.Replace(good, "\r\n--=_b--", "\r\n--=_b\r\n\r\n--=_b--", 1), ErrStructure},
		{"extra parts: the signature twice", strings.Replace(good, "\r\n--=_b--", "\r\n--=_b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--=_b--", 1), ErrStructure},
		{"extra parts: one before", re("--=_b\r\n", "--=_b\r\n\r\nPay 100 to Eve.\r\n--=_b\r\n"), ErrStructure},
		{"like a delimiter", re("Dear Bob,", "--=_bother"), ErrStructure},
		{"closed in the middle", re("Dear Bob,", "--=_b--"), ErrStructure},
		{"not closed", strings.Replace(good, "\r\n--=_b--", "", 1), ErrDecrypt},
		{"closing line is cut", strings.TrimSuffix(good, "-\r\n"), ErrDecrypt},
		{"delimiter with one dash", strings.Replace(good, "\r\n--=_b\r\n", "\r\n--=_b-\r\n", 1), ErrStructure},
		{"epilogue text: noise", good + "\x80\x00", ErrDecrypt},
		{"epilogue text: too long", good + strings.Repeat("x", 10_000), ErrDecrypt},
		{"signature is no base64", re(text[:4], "!!!!"), ErrStructure},
		{"signature is no CMS", re(text, "AAAA\r\n"), ErrStructure},
		{"bytes after the signature", re(text, text+"AAAA\r\n"), ErrStructure},
		{"bytes after a binary signature", re("base64\r\n\r\n"+text, "binary\r\n\r\n"+string(derOf(t, text))+"x"), ErrStructure},
		{"duplicate structural headers: on the wrapper", signed("Content-Type: text/plain\r\n" + part), ErrStructure},
		{"duplicate structural headers: in the wrapped message", signed("Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\n" + letter), ErrStructure},
		{"two boundaries in the wrapped message", signed(strings.Replace(part, "boundary=inner", "boundary=inner; boundary=outer", 1)), ErrStructure},
		{"wrapper with unknown encoding", wrap64("x-uuencode", letter), ErrStructure},
		{"wrapper with bad base64", wrap64("base64", "AAA"), ErrStructure},
		{"text after the wrapper's base64", wrap64("base64", b64.String()+"Pay 100 to Eve."), ErrStructure},
		{"no header in the wrapper", signed("Content-Type: message/rfc822\r\n\r\nhello\r\n"), ErrStructure},
		{"a huge header in the wrapper", signed("Content-Type: message/rfc822\r\n\r\n" + strings.Repeat("X: y\r\n", 100_000) + letter), ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, err := openBob(envelope(t, c.in))
			if !errors.Is(err, c.want) || c.want == ErrDecrypt && err != ErrDecrypt {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if c.want != nil {
				return
			}
			if got != letter || len(o.Good()) != 1 || !o.Wrapped {
				t.Errorf("opened %q\n%+v", got, o)
			}
		})
	}
}

func derOf(t testing.TB, text string) []byte {
	t.Helper()
	return must(io.ReadAll(message.NewBase64Reader(strings.NewReader(text))))
}

// TestCauses: what is damaged, over a limit, or made by an algorithm that is not accepted can be told from tricks by errors.Is alone,
// and the constant answer has nothing beside it.
func TestCauses(t *testing.T) {
	w := newWorld()
	sealed := string(seal(t, letter))
	head, body, _ := strings.Cut(sealed, "\r\n\r\n")
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	text := signedBy(t, part, w.alice.signer())
	good := multipartSigned(part, text)
	inner := func(old, new string) string { return string(envelope(t, strings.Replace(good, old, new, 1))) }
	dir := w.files(t, w.bob)
	causes := []error{cms.ErrSyntax, cms.ErrAlgorithm, cms.ErrEmbedded, cms.ErrLimit, message.ErrEncoding, message.ErrSyntax, message.ErrAmbiguous, message.ErrLimit}
	for _, c := range []struct {
		name, in    string
		want, cause error
	}{
		{"cut in the recipients", head + "\r\n\r\n" + body[:78+40] + "\r\n", ErrStructure, cms.ErrSyntax},
		{"a quantum is cut", head + "\r\n\r\n" + body[:78+41] + "\r\n", ErrStructure, message.ErrEncoding},
		{"noise", head + "\r\n\r\n!!!!", ErrStructure, message.ErrEncoding},
		{"no octets", head + "\r\n\r\n", ErrStructure, cms.ErrSyntax},
		{"no header", "x", ErrStructure, message.ErrSyntax},
		{"two types", "Content-Type: a/b\r\n" + sealed, ErrStructure, message.ErrAmbiguous},
		{"another encoding", strings.Replace(sealed, "base64", "x-uuencode", 1), ErrStructure, nil},
		{"3DES", "From: a@b.example\r\n" + string(ran(t, dir, []byte(good), "openssl", "cms", "-encrypt", "-binary", "-des3", "bob.pem")), ErrStructure, cms.ErrAlgorithm},
		{"a header that never ends", strings.Repeat("X: y\r\n", 100_000), ErrLimit, message.ErrLimit},
		{"signature cut", inner(text, text[:5*78]), ErrStructure, cms.ErrSyntax},
		{"signature is noise", inner(text, "!!!!\r\n"), ErrStructure, message.ErrEncoding},
		{"a third part", inner("\r\n--=_b--", "\r\n--=_b\r\n\r\nx\r\n--=_b--"), ErrStructure, nil},
		{"cut in the ciphertext", sealed[:len(sealed)-500], ErrDecrypt, nil},
		{"not signed", string(envelope(t, letter)), ErrUnsigned, nil},
	} {
		_, _, err := openBob([]byte(c.in))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		for _, cause := range causes {
			if errors.Is(err, cause) != (cause == c.cause) {
				t.Errorf("%s: %v is %v: %v", c.name, err, cause, cause != c.cause)
			}
		}
	}
}

// TestSignatures: every SignerInfo is looked at and told (facts: one of several may be expired or bad, in either order).
// ATT-12, ATT-14, ATT-15, ATT-17.
func TestSignatures(t *testing.T) {
	w := newWorld()
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	both := []cms.Signer{w.alice.signer(), w.carol.signer()}
	t.Run("altered content", func(t *testing.T) {
		altered := strings.Replace(part, "all is well", "all is lost", 1)
		_, o, err := openBob(envelope(t, multipartSigned(altered, signedBy(t, part, both...))))
		if err != nil || len(o.Signatures) != 2 || len(o.Good()) != 0 {
			t.Fatalf("opened %+v, %v", o, err)
		}
		for _, s := range o.Signatures {
			if !errors.Is(s.Err, cms.ErrDigest) || s.Certificate == nil {
				t.Errorf("signature %+v", s)
			}
		}
	})
	t.Run("certificates of one name", func(t *testing.T) {
		// A namesake in the bag, before or after: each is tried, and the one whose key signed is found.
		s, twin := w.alice.signer(), w.namesake(w.alice, w.eve.key)
		for _, chain := range [][]*x509.Certificate{{twin.cert}, {twin.cert, w.ca}} {
			s.Chain = chain
			_, o, err := openBob(envelope(t, multipartSigned(part, signedBy(t, part, s))))
			if err != nil || len(o.Signatures) != 2 || len(o.Good()) != 1 || !o.Good()[0].Certificate.Equal(w.alice.cert) {
				t.Fatalf("opened %+v, %v", o, err)
			}
		}
		// Many of them and many signers: nobody verifies all that.
		s.Chain = nil
		for i := range 40 {
			s.Chain = append(s.Chain, w.certify(fmt.Sprintf("a%d@clinic.example", i), w.eve.key, w.alice.cert.SerialNumber.Int64()).cert)
		}
		many := []cms.Signer{s, s, s, s}
		for i := range many {
			many[i].Time = s.Time.Add(time.Duration(i) * time.Second)
		}
		if _, _, err := openBob(envelope(t, multipartSigned(part, signedBy(t, part, many...)))); !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
	})
	t.Run("hash that micalg does not name", func(t *testing.T) {
		s := w.alice.signer()
		s.Hash = 7 // SHA-512
		in := seal(t, letter, func(o *SealOptions) { o.Signers[0] = s })
		entity := ran(t, w.files(t, w.bob), in, "openssl", "cms", "-decrypt", "-binary", "-recip", "bob.pem", "-inkey", "bob.key")
		_, o, err := openBob(envelope(t, strings.Replace(string(entity), "sha-512", "sha-256", 1)))
		if err != nil || len(o.Signatures) != 1 || o.Signatures[0].Err == nil {
			t.Fatalf("opened %+v, %v", o, err)
		}
	})
	t.Run("DIR-18 micalg that says nothing", func(t *testing.T) {
		// RFC 8551 §3.5.3.2: recover gracefully.
		for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			s := w.alice.signer()
			s.Hash = h
			sum := h.New()
			io.WriteString(sum, part)
			var text bytes.Buffer
			lines := newLines(&text)
			lines.Write(must(cms.SignDetached(map[crypto.Hash][]byte{h: sum.Sum(nil)}, nil, s)))
			lines.Close()
			for _, micalg := range []string{"", " micalg=unknown;", " micalg=\"md5, x\";", " micalg=\"\";"} {
				in := strings.Replace(multipartSigned(part, text.String()), " micalg=sha-256;", micalg, 1)
				if _, o, err := openBob(envelope(t, in)); err != nil || len(o.Good()) != 1 || o.Good()[0].Hash != h {
					t.Errorf("%v,%s: %+v, %v", h, micalg, o, err)
				}
			}
		}
	})
	dir := w.files(t, w.alice, w.bob, w.eve)
	write(t, dir+"/part", []byte(part))
	t.Run("DIR-16 certificate not included", func(t *testing.T) {
		signed := ran(t, dir, nil, "openssl", "cms", "-sign", "-binary", "-nocerts", "-in", "part", "-signer", "alice.pem", "-inkey", "alice.key", "-outform", "DER")
		_, o, err := openBob(envelope(t, strings.Replace(multipartSigned(part, "@"), "base64\r\n\r\n@", "binary\r\n\r\n"+string(signed), 1)))
		if err != nil || len(o.Signatures) != 1 || o.Signatures[0].Err == nil || o.Signatures[0].Certificate != nil {
			t.Fatalf("opened %+v, %v", o, err)
		}
	})
	t.Run("DIR-15 embedded eContent in a detached signature", func(t *testing.T) {
		signed := ran(t, dir, nil, "openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "part", "-signer", "alice.pem", "-inkey", "alice.key", "-outform", "DER")
		_, _, err := openBob(envelope(t, strings.Replace(multipartSigned(part, "@"), "base64\r\n\r\n@", "binary\r\n\r\n"+string(signed), 1)))
		if !errors.Is(err, ErrStructure) {
			t.Fatal(err)
		}
		opaque := ran(t, dir, nil, "openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "part", "-signer", "alice.pem", "-inkey", "alice.key")
		if _, _, err := openBob(envelope(t, string(opaque))); !errors.Is(err, ErrStructure) {
			t.Fatal(err)
		}
	})
	t.Run("certificates alone", func(t *testing.T) {
		der := ran(t, dir, nil, "openssl", "crl2pkcs7", "-nocrl", "-certfile", "alice.pem", "-outform", "DER")
		_, _, err := openBob(envelope(t, strings.Replace(multipartSigned(part, "@"), "base64\r\n\r\n@", "binary\r\n\r\n"+string(der), 1)))
		if err != ErrUnsigned {
			t.Fatal(err)
		}
	})
	t.Run("no signed attributes", func(t *testing.T) {
		signed := ran(t, dir, nil, "openssl", "cms", "-sign", "-binary", "-noattr", "-in", "part", "-signer", "alice.pem", "-inkey", "alice.key", "-outform", "DER")
		_, o, err := openBob(envelope(t, strings.Replace(multipartSigned(part, "@"), "base64\r\n\r\n@", "binary\r\n\r\n"+string(signed), 1)))
		if err == nil && len(o.Good()) != 0 {
			t.Fatal("a signature without attributes holds")
		}
	})
	t.Run("DIR-18 MD5 and SHA-1", func(t *testing.T) {
		for _, md := range []string{"md5", "sha1"} {
			signed := ran(t, dir, nil, "openssl", "cms", "-sign", "-binary", "-md", md, "-in", "part", "-signer", "alice.pem", "-inkey", "alice.key")
			_, o, err := openBob(envelope(t, string(signed)))
			if err != nil || len(o.Good()) != 0 || len(o.Signatures) != 1 {
				t.Fatalf("%s: %+v, %v", md, o, err)
			}
		}
	})
	t.Run("DIR-19 3DES", func(t *testing.T) {
		in := ran(t, dir, []byte(multipartSigned(part, "")), "openssl", "cms", "-encrypt", "-binary", "-des3", "bob.pem")
		if _, _, err := openBob(in); !errors.Is(err, ErrStructure) || !errors.Is(err, cms.ErrAlgorithm) {
			t.Fatal(err)
		}
	})
}
