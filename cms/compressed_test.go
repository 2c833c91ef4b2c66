package cms

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/cryptobyte"
)

// compress is what NewCompressedWriter makes of plain.
func compress(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewCompressedWriter(&b)
	check(t, err)
	_, err = w.Write(plain)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

// fewBits compresses to a quarter.
func fewBits(n int) []byte {
	b := content(n)
	for i := range b {
		b[i] &= 3
	}
	return b
}

// decompress reads a message as a whole.
func decompress(msg []byte, o ReadOptions) ([]byte, error) {
	r, err := ReadCompressed(bytes.NewReader(msg), o)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// deflated is the zlib stream of plain, by the standard library.
func deflated(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, flate.BestCompression)
	check(t, err)
	_, err = w.Write(plain)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

// compression is a CompressedData made by hand.
type compression struct {
	alg, inner oid
	params     []byte
	content    []byte // of encapContentInfo's [0]
	after      []byte // behind encapContentInfo
}

func (c compression) bytes() []byte {
	const begin = "\x80"
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin))
		addOID(b, oidCompressed)
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin))
		b.AddASN1Int64(0)
		addAlgorithm(b, c.alg, func(b *cryptobyte.Builder) { b.AddBytes(c.params) })
		b.AddBytes([]byte("\x30" + begin))
		addOID(b, c.inner)
		b.AddBytes([]byte("\xa0" + begin))
		b.AddBytes(c.content)
		b.AddBytes([]byte(eoc + eoc))
		b.AddBytes(c.after)
		b.AddBytes([]byte(eoc + eoc + eoc))
	})
}

// squeezed holds plain and can be read.
func squeezed(t testing.TB, plain []byte) *compression {
	return &compression{alg: oidZLIB, inner: oidData, content: encode(octetString(deflated(t, plain)))}
}

// DCM-20: what we compress we read, and what the standard library compresses.
func TestCompressedRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 70_000, segmentSize, 300_000} {
		for _, plain := range [][]byte{content(n), fewBits(n)} {
			msg := compress(t, plain)
			got, err := decompress(msg, lenient)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d octets: %v", n, err)
			}
			r, err := ReadCompressed(iotest.OneByteReader(bytes.NewReader(msg)), lenient)
			check(t, err)
			got, err = io.ReadAll(iotest.OneByteReader(r))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d octets, one by one: %v", n, err)
			}
			got, err = decompress(squeezed(t, plain).bytes(), lenient)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d octets of the standard library: %v", n, err)
			}
		}
	}
	w, err := NewCompressedWriter(full{})
	check(t, err)
	w.Write(content(10_000))
	if err := w.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("full disk: %v", err)
	}
	w, err = NewCompressedWriter(io.Discard)
	check(t, err)
	check(t, w.Close())
	check(t, w.Close())
	if _, err := w.Write(content(10)); err == nil {
		t.Error("written after Close")
	}
}

// What is refused, and how.
func TestCompressedFields(t *testing.T) {
	text := bytes.Repeat([]byte("some text, "), 1000)
	z := deflated(t, text)
	spoilt := func(at int) []byte {
		b := slices.Clone(z)
		b[(at+len(b))%len(b)] ^= 1
		return encode(octetString(b))
	}
	for name, tt := range map[string]struct {
		change func(c *compression)
		want   error
	}{
		"plain":             {func(c *compression) {}, nil},
		"NULL":              {func(c *compression) { c.params = []byte{5, 0} }, nil},
		"parameters":        {func(c *compression) { c.params = []byte{2, 1, 9} }, ErrAlgorithm},
		"another algorithm": {func(c *compression) { c.alg = oidSHA256 }, ErrAlgorithm},
		"a second level":    {func(c *compression) { c.inner = oidCompressed }, ErrContentType},
		"SignedData inside": {func(c *compression) { c.inner = oidSigned }, ErrContentType},
		"no content":        {func(c *compression) { c.content = nil }, ErrSyntax},
		"no OCTET STRING":   {func(c *compression) { c.content = []byte{5, 0} }, ErrSyntax},
		"no zlib":           {func(c *compression) { c.content = encode(octetString([]byte("hello"))) }, ErrSyntax},
		"empty":             {func(c *compression) { c.content = encode(octetString(nil)) }, ErrSyntax},
		"header spoilt":     {func(c *compression) { c.content = spoilt(0) }, ErrSyntax},
		"Adler-32 spoilt":   {func(c *compression) { c.content = spoilt(-1) }, ErrSyntax},
		"Adler-32 cut":      {func(c *compression) { c.content = encode(octetString(z[:len(z)-1])) }, ErrSyntax},
		"a preset dictionary": {func(c *compression) {
			c.content = encode(octetString(append([]byte{0x78, 0xbb, 1, 2, 3, 4}, z[2:]...)))
		}, ErrSyntax},
		"octets behind":   {func(c *compression) { c.content = encode(octetString(append(slices.Clone(z), 0))) }, ErrSyntax},
		"a second stream": {func(c *compression) { c.content = encode(octetString(append(slices.Clone(z), z...))) }, ErrSyntax},
		"a second segment": {func(c *compression) {
			c.content = slices.Concat([]byte{0x24, 0x80}, c.content, encode(octetString([]byte{1})), []byte{0, 0})
		}, ErrSyntax},
		"an empty second segment": {func(c *compression) { c.content = slices.Concat([]byte{0x24, 0x80}, c.content, []byte{4, 0, 0, 0}) }, nil},
		"two contents":            {func(c *compression) { c.content = append(c.content, c.content...) }, ErrSyntax},
		"a field behind":          {func(c *compression) { c.after = []byte{0xa1, 0} }, ErrSyntax},
		"empty segments":          {func(c *compression) { c.content = append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 0}, 1001)...) }, ErrLimit},
		"a giant length":          {func(c *compression) { c.content = []byte{4, 0x88, 0x40, 0, 0, 0, 0, 0, 0, 0} }, ErrLimit},
	} {
		c := squeezed(t, text)
		tt.change(c)
		got, err := decompress(c.bytes(), lenient)
		if !errors.Is(err, tt.want) || err == nil && !bytes.Equal(got, text) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	msg := squeezed(t, text).bytes()
	for n := range msg {
		if _, err := decompress(msg[:n], lenient); !errors.Is(err, ErrSyntax) {
			t.Fatalf("cut at %d of %d: %v", n, len(msg), err)
		}
	}
	if _, err := decompress(append(msg, '\n'), lenient); !errors.Is(err, ErrSyntax) {
		t.Errorf("bytes behind: %v", err)
	}
	for _, p := range []Profile{V12, V13} {
		if _, err := decompress(squeezed(t, text).bytes(), ReadOptions{Algorithms: p.Algorithms()}); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("profile %d: %v", p, err)
		}
	}
	disk := errors.New("disk")
	for _, n := range []int{0, 30, 80, len(msg) - 5, len(msg)} {
		r, err := ReadCompressed(&failing{bytes.NewReader(msg[:n]), disk}, lenient)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, disk) || errors.Is(err, ErrSyntax) {
			t.Errorf("disk fails after %d octets: %v", n, err)
		}
	}
}

// ATT-19, row "decompression bomb": flat, nested, by ratio and by size. Stopped where the limit is passed, in little memory.
func TestDecompressionBombs(t *testing.T) {
	flat := squeezed(t, make([]byte, 64<<20)) // 64 KiB
	quine := squeezed(t, flat.bytes())        // a bomb in a bomb: the outer one is read, and what it holds is not looked at
	varied := compress(t, fewBits(3_000_000))
	for name, tt := range map[string]struct {
		msg  []byte
		lim  Limits
		most int64 // octets that may come out
		want error
	}{
		"flat":                    {flat.bytes(), Limits{}, 100*int64(len(flat.content)) + maxRatioSlack, ErrLimit},
		"flat, at most a MiB":     {flat.bytes(), Limits{Decompressed: 1 << 20}, 1 << 20, ErrLimit},
		"flat, ratio of 2":        {flat.bytes(), Limits{Ratio: 2}, 2*int64(len(flat.content)) + maxRatioSlack, ErrLimit},
		"flat, any ratio":         {flat.bytes(), Limits{Ratio: 2000}, 64 << 20, nil},
		"nested":                  {quine.bytes(), Limits{}, int64(len(flat.bytes())), nil},
		"text that compresses":    {varied, Limits{}, 3_000_000, nil},
		"as much as there may be": {varied, Limits{Decompressed: 3_000_000}, 3_000_000, nil},
		"an octet more than that": {varied, Limits{Decompressed: 2_999_999}, 2_999_999, ErrLimit},
		"small and all alike":     {squeezed(t, make([]byte, maxRatioSlack)).bytes(), Limits{}, maxRatioSlack, nil},
		"not so small, and alike": {squeezed(t, make([]byte, 2*maxRatioSlack)).bytes(), Limits{}, 2 * maxRatioSlack, ErrLimit},
	} {
		var n int64
		var err error
		mem := spent(func() {
			var r io.Reader
			r, err = ReadCompressed(bytes.NewReader(tt.msg), ReadOptions{Limits: tt.lim, Algorithms: lenient.Algorithms})
			if err == nil {
				n, err = io.Copy(io.Discard, r)
			}
		})
		if !errors.Is(err, tt.want) || n > tt.most || mem > 1<<20 {
			t.Errorf("%s: %d octets came out of %d, in %d of memory: %v", name, n, len(tt.msg), mem, err)
		}
	}
}

func FuzzReadCompressed(f *testing.F) {
	f.Add(compress(f, someText))
	f.Add(squeezed(f, make([]byte, 100_000)).bytes())
	c := squeezed(f, someText)
	c.content = append(append([]byte{0x24, 0x80, 0x24, 0}, c.content...), 0, 0)
	f.Add(c.bytes())
	seed(f, "compressed")
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := decompress(msg, lenient)
		var again []byte
		r, err2 := ReadCompressed(iotest.OneByteReader(bytes.NewReader(msg)), lenient)
		if err2 == nil {
			again, err2 = io.ReadAll(r)
		}
		if !known(err) || (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(got, again) {
			t.Fatalf("%v; octet by octet %v", err, err2)
		}
		if len(got) > maxRatioSlack+100*len(msg) {
			t.Fatalf("%d octets out of %d", len(got), len(msg))
		}
	})
}
