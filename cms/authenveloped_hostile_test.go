package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// ATT-08, row "short GCM tags": CVE-2026-34182 and its like. Lengths below 12, lengths that do not fit the mac, nonces but of 12 octets.
func TestShortTags(t *testing.T) {
	text := content(1000)
	for name, tt := range map[string]struct {
		change func(e *authEnvelope)
		want   error
	}{
		"16":                       {func(e *authEnvelope) {}, nil},
		"15":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 15, 15 }, nil},
		"14":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 14, 14 }, nil},
		"13":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 13, 13 }, nil},
		"12":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 12, 12 }, nil},
		"12, by default":           {func(e *authEnvelope) { e.icvLen, e.tagLen = 0, 12 }, nil},
		"11":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 11, 11 }, ErrAlgorithm},
		"8":                        {func(e *authEnvelope) { e.icvLen, e.tagLen = 8, 8 }, ErrAlgorithm},
		"4":                        {func(e *authEnvelope) { e.icvLen, e.tagLen = 4, 4 }, ErrAlgorithm},
		"1":                        {func(e *authEnvelope) { e.icvLen, e.tagLen = 1, 1 }, ErrAlgorithm},
		"negative":                 {func(e *authEnvelope) { e.icvLen, e.tagLen = -16, 16 }, ErrAlgorithm},
		"17":                       {func(e *authEnvelope) { e.icvLen, e.tagLen = 17, 17 }, ErrAlgorithm},
		"2^40":                     {func(e *authEnvelope) { e.icvLen = 1 << 40 }, ErrAlgorithm},
		"two lengths":              {func(e *authEnvelope) { e.more = []byte{2, 1, 16} }, ErrAlgorithm},
		"no mac":                   {func(e *authEnvelope) { e.tagLen = 0 }, ErrDecrypt},
		"mac shorter":              {func(e *authEnvelope) { e.tagLen = 15 }, ErrDecrypt},
		"mac of 1":                 {func(e *authEnvelope) { e.tagLen = 1 }, ErrDecrypt},
		"mac longer":               {func(e *authEnvelope) { e.icvLen = 12 }, ErrDecrypt},
		"mac longer than 16":       {func(e *authEnvelope) { e.tagLen = 17 }, ErrDecrypt},
		"mac of 16, 12 by default": {func(e *authEnvelope) { e.icvLen = 0 }, ErrDecrypt},
		"nonce of 8":               {func(e *authEnvelope) { e.nonce = content(8) }, ErrAlgorithm},
		"nonce of 13":              {func(e *authEnvelope) { e.nonce = content(13) }, ErrAlgorithm},
		"nonce of 16":              {func(e *authEnvelope) { e.nonce = content(16) }, ErrAlgorithm},
	} {
		e := authSealed(t, text)
		tt.change(e)
		k := &counting{Decrypter: people().bob.key.(crypto.Decrypter)}
		got, err := unseal(e.bytes(), Recipient{people().bob.cert, k})
		if !errors.Is(err, tt.want) || err == nil && !bytes.Equal(got, text) || tt.want == ErrAlgorithm && k.n > 0 {
			t.Errorf("%s: %v after %d private operations, want %v", name, err, k.n, tt.want)
		}
	}
}

// ATT-08, row "non-AEAD in AuthEnveloped, AEAD in Enveloped": refused before the private key is used.
func TestCipherInTheWrongContainer(t *testing.T) {
	cbc := seal(t, content(100), AES128CBC, people().bob.cert)
	cbc = bytes.Replace(cbc, append([]byte{6, 9}, oidEnveloped...), append([]byte{6, 11}, oidAuthEnveloped...), 1)
	gcm := authSealed(t, content(100))
	gcm.container = oidEnveloped
	ccm := authSealed(t, content(100))
	ccm.alg = nistAlgs + "\x01\x07" // AES-128-CCM
	chacha := authSealed(t, content(100))
	chacha.alg = pkcs9 + "\x10\x03\x12"
	for name, msg := range map[string][]byte{"CBC": cbc, "GCM": gcm.bytes(), "CCM": ccm.bytes(), "ChaCha20-Poly1305": chacha.bytes()} {
		k := &counting{Decrypter: people().bob.key.(crypto.Decrypter)}
		if _, err := unseal(msg, Recipient{people().bob.cert, k}); !errors.Is(err, ErrAlgorithm) || k.n != 0 {
			t.Errorf("%s: %v after %d private operations", name, err, k.n)
		}
	}
}

// ATT-03, row "AEAD→CBC downgrade of a captured GCM message": the ciphertext of a GCM message, which is CTR, sent again as CBC under the
// same RecipientInfo. What the reader says to it is what it says to a spoilt GCM message, and to a CBC message with a wrong key.
func TestDowngrade(t *testing.T) {
	captured := authSealed(t, bytes.Repeat([]byte("no secret stays one"), 1000))
	block, err := aes.NewCipher(captured.cek)
	check(t, err)
	e := &envelope{cek: captured.cek, infos: captured.infos, inner: oidData, alg: oidAES128CBC}
	for range 20 {
		text := content(1600)
		for i := range 16 { // the key stream of a captured block, and blocks chosen by the attacker
			cipher.NewCTR(block, append(slices.Clone(captured.nonce), 0, 0, 0, 2)).XORKeyStream(text[:16*i], text[:16*i])
		}
		e.segments = encode(octetString(text))
		e.padded = text
		_, downgraded := unseal(e.bytes(), people().bob.recipient())
		if downgraded != ErrDecrypt && downgraded != nil { // one in 256 ends like padding: this is what the signature inside is for
			t.Errorf("downgraded: %v", downgraded)
		}
	}
	captured.spoil = func(text, mac []byte) { mac[0] ^= 1 }
	if _, err := bothWays(t, captured.bytes()); err != ErrDecrypt {
		t.Errorf("spoilt: %v", err)
	}
}

// ATT-07, row "plaintext before AEAD tag": not an octet of a content whose tag is wrong, wherever and however it was changed.
func TestPlaintextBeforeTag(t *testing.T) {
	canary := []byte("CANARY-7f3a")
	text := bytes.Repeat(canary, 40_000)
	for name, change := range map[string]func(e *authEnvelope){
		"first octet": func(e *authEnvelope) { e.spoil = func(text, mac []byte) { text[0] ^= 1 } },
		"last octet":  func(e *authEnvelope) { e.spoil = func(text, mac []byte) { text[len(text)-1] ^= 1 } },
		"middle":      func(e *authEnvelope) { e.spoil = func(text, mac []byte) { text[len(text)/2] ^= 0x80 } },
		"two blocks":  func(e *authEnvelope) { e.spoil = func(text, mac []byte) { swap(text[16:32], text[160_000:160_016]) } },
		"two chunks": func(e *authEnvelope) {
			e.spoil = func(text, mac []byte) { swap(text[firstChunk:][:chunkSize], text[firstChunk+chunkSize:][:chunkSize]) }
		},
		"first of mac":    func(e *authEnvelope) { e.spoil = func(text, mac []byte) { mac[0] ^= 1 } },
		"last of mac":     func(e *authEnvelope) { e.spoil = func(text, mac []byte) { mac[15] ^= 1 } },
		"mac zero":        func(e *authEnvelope) { e.spoil = func(text, mac []byte) { clear(mac) } },
		"field behind":    func(e *authEnvelope) { e.after = [][]byte{{2, 1, 0}} },
		"attribute added": func(e *authEnvelope) { e.after = [][]byte{{0xa1, 0}} },
	} {
		e := authSealed(t, text)
		change(e)
		msg := e.bytes()
		file := write(t, t.TempDir(), "m.der", msg)
		f, err := os.Open(file)
		check(t, err)
		defer f.Close()
		_, r, err := ReadEnveloped(f, []Recipient{people().bob.recipient()}, ReadOptions{})
		check(t, err)
		var out strings.Builder
		if n, err := io.Copy(&out, r); n != 0 || out.Len() != 0 || err != ErrDecrypt {
			t.Errorf("%s: %d octets came out, %v", name, n, err)
		}
		if n, err := r.Read(make([]byte, 100)); n != 0 || err != ErrDecrypt {
			t.Errorf("%s: then %d octets, %v", name, n, err)
		}
		// A draft that nobody can read may hold it, all but the last chunk; the error is the same.
		if got, err := unsealDraft(msg, people().bob.recipient()); err != ErrDecrypt || len(got) >= len(text) {
			t.Errorf("%s, to a draft: %d octets, %v", name, len(got), err)
		}
	}
	// A small message comes at once or not at all, even to a draft.
	e := authSealed(t, canary)
	e.spoil = func(text, mac []byte) { mac[3] ^= 4 }
	if got, err := unsealDraft(e.bytes(), people().bob.recipient()); len(got) > 0 || err != ErrDecrypt {
		t.Errorf("small: %d octets, %v", len(got), err)
	}
}

func swap(a, b []byte) {
	c := slices.Clone(a)
	copy(a, b)
	copy(b, c)
}

// Without Draft the source is read twice; one that cannot be is refused before the private key is used. It may stand anywhere.
func TestReadTwice(t *testing.T) {
	text := content(300_000)
	msg := seal(t, text, AES256GCM, people().bob.cert)
	for name, src := range map[string]io.Reader{"no Seeker": io.MultiReader(bytes.NewReader(msg)), "pipe": pipe(t, msg)} {
		k := &counting{Decrypter: people().bob.key.(crypto.Decrypter)}
		_, _, err := ReadEnveloped(src, []Recipient{{people().bob.cert, k}}, ReadOptions{})
		if err == nil || errors.Is(err, ErrDecrypt) || !strings.Contains(err.Error(), "read twice") || k.n != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	src := bytes.NewReader(append([]byte("something in front of it"), msg...))
	_, err := src.Seek(24, io.SeekStart)
	check(t, err)
	env, r, err := ReadEnveloped(src, []Recipient{people().bob.recipient()}, ReadOptions{})
	check(t, err)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, text) || !env.Authenticated || env.Cipher != AES256GCM {
		t.Errorf("from the middle: %v, %+v", err, env)
	}
}

// pipe is a file that cannot be read twice.
func pipe(t *testing.T, msg []byte) io.Reader {
	r, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { r.Close() })
	go func() { w.Write(msg); w.Close() }()
	return r
}

// A source that is another when it is read again: found out by the second check.
func TestReadTwiceOtherwise(t *testing.T) {
	e := authSealed(t, content(200_000))
	msg := e.bytes()
	src := &changing{Reader: bytes.NewReader(msg), msg: msg}
	_, r, err := ReadEnveloped(src, []Recipient{people().bob.recipient()}, ReadOptions{})
	check(t, err)
	if _, err := io.Copy(io.Discard, r); err != ErrDecrypt {
		t.Errorf("%v", err)
	}
}

// changing spoils an octet when it is sought back.
type changing struct {
	*bytes.Reader
	msg []byte
}

func (c *changing) Seek(at int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		c.msg[len(c.msg)/2] ^= 1
	}
	return c.Reader.Seek(at, whence)
}

// ATT-04, ATT-07: a wrong key costs what a wrong tag costs and looks like it, in both ways of reading.
func TestNothingToLearnFromGCM(t *testing.T) {
	c := people()
	text := content(200_000)
	whole := len(authSealed(t, text).bytes())
	for _, draft := range []bool{false, true} {
		for name, change := range map[string]func(e *authEnvelope){
			"tag":         func(e *authEnvelope) { e.spoil = func(text, mac []byte) { mac[7] ^= 1 } },
			"ciphertext":  func(e *authEnvelope) { e.spoil = func(text, mac []byte) { text[7] ^= 1 } },
			"another key": func(e *authEnvelope) { e.infos[0] = transportTo(t, c.bob, content(16)) },
			"no PKCS #1":  func(e *authEnvelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, content(256)) },
			"a long key":  func(e *authEnvelope) { e.infos[0] = transportTo(t, c.bob, content(32)) },
		} {
			e := authSealed(t, text)
			change(e)
			k := &counting{Decrypter: c.bob.key.(crypto.Decrypter)}
			src := &seekTally{Reader: bytes.NewReader(e.bytes())}
			_, r, err := ReadEnveloped(src, []Recipient{{c.bob.cert, k}}, ReadOptions{Draft: draft})
			check(t, err)
			_, err = io.Copy(io.Discard, r)
			if err != ErrDecrypt || k.n != 1 || src.n != whole {
				t.Errorf("%s, draft %v: %v, %d private operations, %d of %d octets read", name, draft, err, k.n, src.n, whole)
			}
		}
	}
}

// seekTally counts what is read.
type seekTally struct {
	*bytes.Reader
	n int
}

func (s *seekTally) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.n += n
	return n, err
}

// ATT-20, row "giant lengths … missing EOC": at each place of an AuthEnvelopedData a cut is an error, and behind the header always the
// same one.
func TestAuthEnvelopedTruncation(t *testing.T) {
	e := authSealed(t, content(300))
	e.attrs, e.after = [][]byte{dataAttribute}, [][]byte{{0xa2, 0x80, 0x30, 0, 0, 0}}
	msg := e.bytes()
	keep := Recipient{people().bob.cert, fixed{people().bob.key.(crypto.Decrypter)}}
	inContent := false
	for n := range msg {
		got, err := unseal(msg[:n], keep)
		inContent = inContent || err == ErrDecrypt
		if inContent && err != ErrDecrypt || !errors.Is(err, ErrSyntax) && err != ErrDecrypt || len(got) > 0 {
			t.Fatalf("cut at %d of %d: %d octets, %v", n, len(msg), len(got), err)
		}
	}
	if !inContent {
		t.Error("never came to the content")
	}
	for _, tail := range []string{"\x00", "\x00\x00", "\n"} {
		if _, err := bothWays(t, append(slices.Clone(msg), tail...)); err != ErrDecrypt {
			t.Errorf("bytes behind: %v", err)
		}
	}
	whole := authSealed(t, content(300)).bytes()
	for _, at := range []int{bytes.Index(whole, []byte("\x04\x82\x01\x2c")), bytes.LastIndex(whole, []byte("\x04\x10"))} { // segment, mac
		for _, giant := range []string{"\x88\x3f\xff\xff\xff\xff\xff\xff\xff", "\x88\x40\x00\x00\x00\x00\x00\x00\x00", "\x84\xff\xff\xff\xff", "\x89"} {
			msg := slices.Concat(whole[:at+1], []byte(giant), whole[at+2:])
			if mem := spent(func() { _, _ = bothWays(t, msg) }); mem > 1<<20 {
				t.Errorf("length %x: %d octets of memory", giant, mem)
			}
			if _, err := bothWays(t, msg); err != ErrDecrypt {
				t.Errorf("length %x: %v", giant, err)
			}
		}
	}
}
