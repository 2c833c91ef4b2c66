package cms

import (
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// segmentSize is the length of the OCTET STRING segments: a multiple of the cipher's block and of a line of base64.
const (
	segmentSize   = 57 * 1024
	segmentHeader = 4       // octets of tag and length of a whole segment
	firstRoom     = 8 << 10 // for plaintext, until there is more
)

// NewEnvelopedWriter returns a writer that encrypts what is written to it, and writes a BER ContentInfo with an EnvelopedData
// to w (RFC 5652 §6). The key goes to each certificate by RSA key transport, PKCS #1 v1.5, named by issuer and serial number.
// Memory does not grow with the content. Nothing is written before the first segment is full or Close is called; Close ends
// the encoding and does not close w. ErrAlgorithm is returned for keys that are not accepted.
func NewEnvelopedWriter(w io.Writer, o Encryption, to ...*x509.Certificate) (io.WriteCloser, error) {
	c, rand := o.Cipher, o.Rand
	if c == 0 {
		c = AES256CBC
	}
	if cipherOID(c) == "" {
		return nil, algorithm("content encryption")
	}
	if rand == nil {
		rand = crand.Reader
	}
	secret := make([]byte, c.keyLen()+aes.BlockSize)
	defer clear(secret)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	cek, iv := secret[:c.keyLen()], secret[c.keyLen():]
	infos, err := keyTransports(rand, cek, to)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	return &envelopedWriter{
		w:    w,
		head: envelopedHead(c, iv, infos),
		enc:  cipher.NewCBCEncrypter(block, iv),
		buf:  make([]byte, segmentHeader+firstRoom+aes.BlockSize),
	}, nil
}

// CanEncrypt says whether a message can be encrypted to cert: nil, or ErrAlgorithm with the reason.
func CanEncrypt(cert *x509.Certificate) error {
	pub, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return algorithm("kind of public key")
	}
	return checkRSA(pub)
}

// keyTransports returns a RecipientInfo for each of the certificates, the same one twice counted once.
func keyTransports(rand io.Reader, cek []byte, to []*x509.Certificate) (infos [][]byte, err error) {
	if len(to) == 0 {
		return nil, errors.New("cms: encrypting: no recipient")
	}
	named := make(map[string]*x509.Certificate)
	for _, cert := range to {
		rid := encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, cert) })
		if other := named[string(rid)]; other != nil {
			if !other.Equal(cert) {
				return nil, errors.New("cms: encrypting: two certificates with one issuer and serial number")
			}
			continue
		}
		named[string(rid)] = cert
		info, err := keyTransport(rand, cek, rid, cert)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// keyTransport makes a KeyTransRecipientInfo (RFC 5652 §6.2.1).
func keyTransport(rand io.Reader, cek, rid []byte, cert *x509.Certificate) ([]byte, error) {
	if err := CanEncrypt(cert); err != nil {
		return nil, err
	}
	pub := cert.PublicKey.(*rsa.PublicKey)
	//lint:ignore SA1019 what Direct partners read (RFC 3370 §4.2.1); the reader's side is the fragile one
	wrapped, err := rsa.EncryptPKCS1v15(rand, pub, cek)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddBytes(rid)
			addAlgorithm(b, oidRSA, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			b.AddASN1OctetString(wrapped)
		})
	}), nil
}

// envelopedHead is everything before the first segment (RFC 5652 §6.1).
func envelopedHead(c Algorithm, iv []byte, infos [][]byte) []byte {
	const begin = "\x80" // an indefinite length
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin)) // ContentInfo
		addOID(b, oidEnveloped)
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin)) // [0], EnvelopedData
		b.AddASN1Int64(0)                                   // RFC 5652 §6.1: every RecipientInfo has version 0
		addSetOf(b, asn1.SET, infos)
		b.AddBytes([]byte("\x30" + begin)) // EncryptedContentInfo
		addOID(b, oidData)
		addAlgorithm(b, cipherOID(c), func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) }) // RFC 3565 §4.1
		b.AddBytes([]byte("\xa0" + begin))                                                      // [0] encryptedContent
	})
}

// envelopedWriter encrypts segment by segment.
type envelopedWriter struct {
	w    io.Writer
	head []byte // not yet written
	enc  cipher.BlockMode
	buf  []byte // a segment's header, then n octets of plaintext, room for more and for padding; grows to segmentSize
	n    int
	err  error
}

var errClosed = errors.New("cms: encrypting: the writer is closed")

// Write implements io.Writer.
func (e *envelopedWriter) Write(p []byte) (int, error) {
	done := 0
	for e.err == nil && done < len(p) {
		room := len(e.buf) - segmentHeader - aes.BlockSize
		if e.n == room {
			room = min(2*room, segmentSize)
			e.buf = append(make([]byte, 0, segmentHeader+room+aes.BlockSize), e.buf...)
			e.buf = e.buf[:cap(e.buf)]
		}
		n := copy(e.buf[segmentHeader+e.n:segmentHeader+room], p[done:])
		done += n
		if e.n += n; e.n == segmentSize {
			e.flush()
		}
	}
	return done, e.err
}

// flush encrypts and writes what is in buf, whole blocks.
func (e *envelopedWriter) flush() {
	if e.head != nil {
		if _, e.err = e.w.Write(e.head); e.err != nil {
			return
		}
		e.head = nil
	}
	data := e.buf[segmentHeader : segmentHeader+e.n]
	e.enc.CryptBlocks(data, data)
	// Two length octets always: minimal for whole segments, and BER does not mind for the last.
	e.buf[0], e.buf[1], e.buf[2], e.buf[3] = tagOctetString, 0x82, byte(e.n>>8), byte(e.n)
	_, e.err = e.w.Write(e.buf[:segmentHeader+e.n])
	e.n = 0
}

// Close pads (RFC 5652 §6.3), writes the last segment and ends the encoding.
func (e *envelopedWriter) Close() error {
	if e.err != nil {
		if e.err == errClosed {
			return nil
		}
		return e.err
	}
	pad := aes.BlockSize - e.n%aes.BlockSize
	for range pad {
		e.buf[segmentHeader+e.n] = byte(pad)
		e.n++
	}
	e.flush()
	if e.err == nil {
		// [0], EncryptedContentInfo, EnvelopedData, [0], ContentInfo
		_, e.err = e.w.Write(make([]byte, 5*2))
	}
	if e.err != nil {
		return e.err
	}
	e.err = errClosed
	return nil
}
