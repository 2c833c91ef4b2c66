package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// openOpaque reads msg to its end, and verifies its first signer with the first candidate.
func openOpaque(r io.Reader, o ReadOptions) (content []byte, err error) {
	s, err := ReadOpaque(r, o)
	if err != nil {
		return nil, err
	}
	if content, err = io.ReadAll(s); err != nil {
		return content, err
	}
	sd, err := s.Signed()
	if err != nil {
		return content, err
	}
	if len(sd.Signers) == 0 || len(sd.Candidates(0)) == 0 {
		return content, io.ErrNoProgress
	}
	return content, sd.Verify(0, sd.Candidates(0)[0], sum(content))
}

// around takes a detached signature apart: what comes before and after encapContentInfo in SignedData.
func around(t testing.TB, p7s []byte) (before, after []byte) {
	t.Helper()
	none := []byte("\x30\x0b\x06\x09" + oidData)
	i := bytes.Index(p7s, none)
	from := bytes.Index(p7s, []byte("\x02\x01\x01\x31"))
	if i < 0 || from < 0 {
		t.Fatal("not as SignDetached makes it")
	}
	return p7s[from:i:i], p7s[i+len(none):]
}

// embed puts a content, whole as it stands in [0], into a detached signature.
func embed(t testing.TB, p7s, content []byte) []byte {
	t.Helper()
	before, after := around(t, p7s)
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidSigned)
			b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(before)
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						addOID(b, oidData)
						b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) { b.AddBytes(content) })
					})
					b.AddBytes(after)
				})
			})
		})
	})
}

func octets(b []byte) []byte {
	return encode(func(w *cryptobyte.Builder) { w.AddASN1OctetString(b) })
}

// opaqueBy signs text, with it inside.
func opaqueBy(t testing.TB, text []byte, p person) []byte {
	t.Helper()
	p7s, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(text)}, nil, p.signer())
	check(t, err)
	return embed(t, p7s, octets(text))
}

// RFC 5652 §5.2: content inside, in every form that BER has for it.
func TestReadOpaque(t *testing.T) {
	c := people()
	text := content(100_000)
	p7s, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(text)}, nil, c.alice.signer())
	check(t, err)
	parts := append(octets(text[:1000]), octets(nil)...)
	parts = append(append(parts, octets(text[1000:60_000])...), octets(text[60_000:])...)
	for name, value := range map[string][]byte{
		"DER": octets(text),
		"constructed, definite": encode(func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(tagOctetString|constructed), func(b *cryptobyte.Builder) { b.AddBytes(parts) })
		}),
		"constructed, indefinite":      append(append([]byte{tagOctetString | constructed, 0x80}, parts...), 0, 0),
		"constructed in a constructed": append(append([]byte{tagOctetString | constructed, 0x80, tagOctetString | constructed, 0x80}, parts...), 0, 0, 0, 0),
	} {
		msg := embed(t, p7s, value)
		for _, r := range []io.Reader{bytes.NewReader(msg), iotest.HalfReader(bytes.NewReader(msg)), iotest.DataErrReader(bytes.NewReader(msg))} {
			got, err := openOpaque(r, ReadOptions{})
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: %d octets, %v", name, len(got), err)
			}
		}
		if _, err := ReadSigned(bytes.NewReader(msg), ReadOptions{}); !errors.Is(err, ErrEmbedded) {
			t.Errorf("%s: read as a detached signature: %v", name, err)
		}
		o, err := ReadOpaque(bytes.NewReader(msg), ReadOptions{})
		check(t, err)
		if len(o.Digests) != 1 || o.Digests[0] != crypto.SHA256 {
			t.Errorf("%s: digests %v", name, o.Digests)
		}
		if _, err := o.Signed(); err == nil {
			t.Error("signatures before the content was read")
		}
		var b bytes.Buffer
		if n, err := o.WriteTo(&b); err != nil || n != int64(len(text)) || !bytes.Equal(b.Bytes(), text) {
			t.Errorf("%s: %d octets written, %v", name, n, err)
		}
	}
}

// What is not SignedData with content inside, or could be read in two ways, or is not whole.
func TestReadOpaqueRefuses(t *testing.T) {
	c := people()
	good := opaqueBy(t, someText, c.alice)
	detached, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(someText)}, nil, c.alice.signer())
	check(t, err)
	certs := run(t, "openssl", "crl2pkcs7", "-nocrl", "-certfile", func() string { f, _ := c.alice.files(t, t.TempDir()); return f }(), "-outform", "DER")
	other := bytes.Replace(good, append([]byte("\x06\x09"), oidData...), append([]byte("\x06\x09"), oidEnveloped...), 1)
	for name, m := range map[string]struct {
		msg  []byte
		want error
	}{
		"detached":                     {detached, ErrDetached},
		"certificates alone":           {certs, ErrCertificates},
		"certificates, and then bytes": {append(bytes.Clone(certs), 0), ErrSyntax},
		"enveloped":                    {seal(t, someText, AES128CBC, c.bob.cert), ErrContentType},
		"content of another type":      {other, ErrContentType},
		"bytes after the end":          {append(bytes.Clone(good), 0), ErrSyntax},
		"empty [0]":                    {embed(t, detached, nil), ErrSyntax},
		"two contents":                 {embed(t, detached, append(octets(someText), octets(someText)...)), ErrSyntax},
		"no OCTET STRING":              {embed(t, detached, []byte{tagInteger, 1, 1}), ErrSyntax},
		"empty segments":               {embed(t, detached, append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 0}, 2000)...), 0, 0)), ErrLimit},
		"other content":                {embed(t, detached, octets(someText[1:])), ErrDigest},
		"empty content":                {embed(t, detached, octets(nil)), ErrDigest},
	} {
		if _, err := openOpaque(bytes.NewReader(m.msg), ReadOptions{}); !errors.Is(err, m.want) {
			t.Errorf("%s: %v, want %v", name, err, m.want)
		}
	}
	for n := range good {
		if _, err := openOpaque(bytes.NewReader(good[:n]), ReadOptions{}); !errors.Is(err, ErrSyntax) {
			t.Fatalf("cut at %d of %d: %v", n, len(good), err)
		}
	}
	broken := errors.New("disk")
	if _, err := openOpaque(io.MultiReader(bytes.NewReader(good[:len(good)/2]), iotest.ErrReader(broken)), ReadOptions{}); !errors.Is(err, broken) || errors.Is(err, ErrSyntax) {
		t.Errorf("a broken disk: %v", err)
	}
}

// Row "signed attributes": as strict as with detached content.
func TestOpaqueAttributes(t *testing.T) {
	dir, c := t.TempDir(), people()
	cert, key := c.alice.files(t, dir)
	in := write(t, dir, "in", someText)
	for name, m := range map[string]struct {
		args []string
		want error
	}{
		"as it should be":       {nil, nil},
		"-stream":               {[]string{"-stream"}, nil},
		"-keyid":                {[]string{"-keyid"}, nil},
		"no attributes":         {[]string{"-noattr"}, ErrAttributes},
		"SHA-1":                 {[]string{"-md", "sha1"}, ErrAlgorithm},
		"MD5":                   {[]string{"-md", "md5"}, ErrAlgorithm},
		"certificate is absent": {[]string{"-nocerts"}, io.ErrNoProgress},
		"another content type":  {[]string{"-econtent_type", "1.2.3"}, ErrContentType},
	} {
		msg := run(t, "openssl", append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", in, "-signer", cert, "-inkey", key, "-outform", "DER"}, m.args...)...)
		got, err := openOpaque(bytes.NewReader(msg), ReadOptions{})
		if !errors.Is(err, m.want) || m.want == nil && !bytes.Equal(got, someText) {
			t.Errorf("%s: %v, want %v", name, err, m.want)
		}
	}
}

// The content of a study is not held.
func TestOpaqueFlatMemory(t *testing.T) {
	const segments, size = 4096, 32 << 10
	detached, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(someText)}, nil, people().alice.signer())
	check(t, err)
	before, after := around(t, detached)
	head := "\x30\x80\x06\x09" + string(oidSigned) + "\xa0\x80\x30\x80" + string(before) + "\x30\x80\x06\x09" + string(oidData) + "\xa0\x80\x24\x80"
	ends := string(make([]byte, 6))
	segment := octets(make([]byte, size))
	rs := []io.Reader{strings.NewReader(head)}
	for range segments {
		rs = append(rs, bytes.NewReader(segment))
	}
	src := io.MultiReader(append(rs, strings.NewReader(ends+string(after)+ends))...)
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	o, err := ReadOpaque(src, ReadOptions{})
	check(t, err)
	n, err := io.Copy(io.Discard, o)
	check(t, err)
	runtime.ReadMemStats(&m1)
	if n != segments*size || m1.TotalAlloc-m0.TotalAlloc > 1<<20 {
		t.Errorf("%d octets of content, %d of memory", n, m1.TotalAlloc-m0.TotalAlloc)
	}
}

// What a message is that does not say so outside.
func TestContentOf(t *testing.T) {
	c := people()
	for want, msg := range map[Content][]byte{
		SignedContent:        opaqueBy(t, someText, c.alice),
		EnvelopedContent:     seal(t, someText, AES128CBC, c.bob.cert),
		AuthEnvelopedContent: []byte("\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17\xa0\x80"),
		CompressedContent:    []byte("\x30\x82\x01\x00\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"),
		OtherContent:         []byte("\x30\x80\x06\x03\x2a\x03\x04"),
	} {
		if got := ContentOf(msg[:min(len(msg), SniffLen)]); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
		for n := range 8 {
			if got := ContentOf(msg[:n]); got != OtherContent {
				t.Errorf("of %d octets: %d", n, got)
			}
		}
	}
}
