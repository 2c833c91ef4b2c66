package cms

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/zlib"
	"golang.org/x/crypto/cryptobyte"
)

// ReadCompressed reads a ContentInfo with a CompressedData, BER or DER, up to its first octet of content; the reader that it returns
// decompresses it, checks its Adler-32 and wants the end of r after the last octet of the ContentInfo (RFC 3274). What is inside
// is id-data, never a second CompressedData. It stops where Limits.Decompressed or Limits.Ratio is passed.
//
// Nothing protects the content: whoever hands it on has verified a signature around it, or checks one inside. Errors, here and of
// the reader: ErrSyntax, ErrLimit, ErrContentType, ErrAlgorithm, and those of r.
func ReadCompressed(r io.Reader, o ReadOptions) (io.Reader, error) {
	c, err := newParser(r, o).readCompressed()
	if err != nil {
		return nil, boundary(err)
	}
	return c, nil
}

func (p *parser) readCompressed() (*compressed, error) {
	if _, err := p.readContentInfo(oidCompressed); err != nil {
		return nil, err
	}
	if err := p.readVersion(); err != nil {
		return nil, err
	}
	e, err := p.want("compressionAlgorithm")
	if err != nil {
		return nil, err
	}
	a, err := p.readAlgorithm(e)
	if err != nil {
		return nil, err
	}
	if a.oid != oidZLIB || !a.noParams() {
		return nil, algorithm("compression")
	}
	if err := p.algs.accept(ZLIB, "compression"); err != nil {
		return nil, err
	}
	e, ok, err := p.readEncapsulated()
	if err == nil && !ok {
		err = syntax("eContent is missing")
	}
	if err == nil {
		err = p.enter(e)
	}
	if err == nil {
		e, err = p.want("eContent")
	}
	if err == nil && e.tag&^constructed != tagOctetString {
		err = syntax("something else than an eContent")
	}
	if err != nil {
		return nil, err
	}
	return newCompressedReader(p, e)
}

// compressed decompresses.
type compressed struct {
	p    *parser
	from *segmentReader
	buf  *bufio.Reader // over from
	z    io.Reader     // over buf, of which it takes octet by octet what it needs
	out  int64         // octets that came out
	err  error
}

func newCompressedReader(p *parser, e element) (*compressed, error) {
	seg, err := newSegments(p, e)
	if err != nil {
		return nil, err
	}
	c := &compressed{p: p, from: &segmentReader{seg: seg}}
	c.buf = bufio.NewReaderSize(c.from, firstChunk)
	if c.z, err = zlib.NewReader(c.buf); err != nil {
		return nil, c.blame()
	}
	return c, nil
}

// Read implements io.Reader.
func (c *compressed) Read(b []byte) (int, error) {
	if len(b) == 0 || c.err != nil {
		return 0, c.err
	}
	n, err := c.z.Read(b)
	c.out += int64(n)
	in := c.from.n - int64(c.buf.Buffered())
	switch {
	case c.out > c.p.lim.Decompressed:
		c.err = limit("octets of decompressed content")
	case c.out > maxRatioSlack && (c.out-maxRatioSlack)/int64(c.p.lim.Ratio) >= in:
		c.err = limit("ratio of decompressed to compressed content")
	case err == io.EOF:
		if c.err = c.end(); c.err == nil {
			c.err = io.EOF
		}
		return n, c.err
	case err != nil:
		c.err = boundary(c.blame())
	default:
		return n, nil
	}
	return 0, c.err
}

// blame says whether an error is the source's or the content's.
func (c *compressed) blame() error {
	if c.from.err != nil && c.from.err != io.EOF {
		return c.from.err
	}
	return syntax("compressed content")
}

// end wants nothing behind the Adler-32, and reads what follows the content.
func (c *compressed) end() error {
	if _, err := c.buf.ReadByte(); err != io.EOF {
		return boundary(c.blame())
	}
	for _, what := range [...]string{"eContent", "encapContentInfo"} {
		if err := c.p.close(what); err != nil {
			return boundary(err)
		}
	}
	if err := c.p.endContentInfo(); err != nil {
		return boundary(err)
	}
	return nil
}

// NewCompressedWriter returns a writer that compresses what is written to it, and writes a BER ContentInfo with a CompressedData to
// w (RFC 3274). Memory does not grow with the content. Close ends the encoding and does not close w. What compresses to less than a
// hundredth is refused by ReadCompressed, and by others who fear the same.
func NewCompressedWriter(w io.Writer) (io.WriteCloser, error) {
	const begin = "\x80" // an indefinite length
	to := newSegmentWriter(w, compressedContainer{}, encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin)) // ContentInfo
		addOID(b, oidCompressed)
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin)) // [0], CompressedData
		b.AddASN1Int64(0)
		addAlgorithm(b, oidZLIB, nil)
		b.AddBytes([]byte("\x30" + begin)) // EncapsulatedContentInfo
		addOID(b, oidData)
		b.AddBytes([]byte("\xa0" + begin + "\x24" + begin)) // [0], OCTET STRING
	}))
	return &compressedWriter{z: zlib.NewWriter(to), to: to}, nil
}

// compressedContainer has segments of what is compressed already.
type compressedContainer struct{}

func (compressedContainer) transform([]byte) error { return nil }
func (compressedContainer) pad([]byte, int) int    { return 0 }
func (compressedContainer) trailer() []byte {
	return []byte(eoc + eoc + eoc + eoc + eoc + eoc) // OCTET STRING, [0], EncapsulatedContentInfo, CompressedData, [0], ContentInfo
}

type compressedWriter struct {
	z  *zlib.Writer
	to *segmentWriter
}

// Write implements io.Writer.
func (c *compressedWriter) Write(b []byte) (int, error) {
	if c.to.err != nil {
		return 0, c.to.err
	}
	return c.z.Write(b)
}

// Close writes what is left and ends the encoding.
func (c *compressedWriter) Close() error {
	if c.to.err == nil {
		if err := c.z.Close(); err != nil {
			return err
		}
	}
	return c.to.Close()
}
