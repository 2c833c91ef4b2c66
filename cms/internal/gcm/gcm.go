// Package gcm is AES-GCM (NIST SP 800-38D) over messages of any length in constant memory, with nonces of 12 octets and tags of 16.
// The cipher is the standard library's, whose AEAD takes a message whole; here it takes one chunk after the other.
//
// It works because GHASH is linear. Let S be the hash of the blocks so far, and R = S·H. A chunk of n blocks, given to the AEAD as
// if it were a message, comes back with the tag T = (S' + L)·H + E(J0), where S' is the chunk's own hash and L the block of lengths.
// So the new R is R·H^n + T + E(J0) + L·H, and the message's tag R + L·H + E(J0). Nothing is divided by H. Additional data that
// follow the content are put before it in the same way.
//
// A [Sealer] encrypts and hashes in one pass of the AEAD: from a nonce of 16 octets GCM makes the J0 at which the counter starts
// by a polynomial in H, which is solved for the J0 that the chunk needs. An [Opener] hashes a chunk as additional data, twice as
// fast, and decrypts it by cipher.NewCTR, or not at all where a message is first to be authenticated.
//
// Under GODEBUG=fips140=only the AEADs of the standard library refuse nonces of the caller's, and with them this package.
package gcm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

// Sizes in octets.
const (
	NonceSize = 12
	TagSize   = 16
	blockSize = 16

	// maxSize is the longest content: (2^39-256)/8, SP 800-38D §5.2.1.1. One block less than RFC 5116 §5.1 seems to allow.
	maxSize = 1<<36 - 32
)

// ErrSize is the answer to content of more than maxSize octets.
var ErrSize = errors.New("gcm: content too long")

var (
	errNonce = errors.New("gcm: the nonce is not 12 octets long")
	errChunk = errors.New("gcm: a chunk after one that was no whole blocks")
	errRoom  = errors.New("gcm: no room behind the chunk")
	errKey   = errors.New("gcm: the hash key is zero") // one key in 2^128
)

// hash is the hash of a message so far.
type hash struct {
	block cipher.Block
	aead  cipher.AEAD
	nonce [NonceSize]byte
	h     element
	mask  element // E(J0)
	r     element // S·H
	size  uint64  // octets of content

	chunk struct { // what depends on a chunk's length alone
		size   int
		power  element // H^n
		length element // L·H
	}
	scratch [blockSize]byte
}

// start makes the hash of an empty content.
func start(block cipher.Block, nonce []byte) (s hash, err error) {
	if len(nonce) != NonceSize {
		return s, errNonce
	}
	s.block, s.nonce = block, [NonceSize]byte(nonce)
	s.aead, err = cipher.NewGCM(block)
	s.h, s.mask = s.encrypt(element{}), s.encrypt(s.counter(1))
	return s, err
}

// encrypt is the block cipher.
func (s *hash) encrypt(x element) element {
	x.store(s.scratch[:])
	s.block.Encrypt(s.scratch[:], s.scratch[:])
	return load(s.scratch[:])
}

// Size returns how many octets of content have been taken.
func (s *hash) Size() int64 { return int64(s.size) }

// counter is the block made of the message's nonce and n.
func (s *hash) counter(n uint32) element {
	return element{binary.BigEndian.Uint64(s.nonce[:]), uint64(binary.BigEndian.Uint32(s.nonce[8:]))<<32 | uint64(n)}
}

// grow counts n octets more.
func (s *hash) grow(n int) error {
	switch {
	case s.size%blockSize != 0:
		return errChunk
	case uint64(n) > maxSize-s.size:
		return ErrSize
	}
	s.size += uint64(n)
	return nil
}

// append puts the last n octets that grow has counted behind those before. alone is (S' + l)·H of them.
func (s *hash) append(n int, alone, l element) {
	c := &s.chunk
	if n != c.size {
		c.size, c.power, c.length = n, element{}, l.mul(s.h)
	}
	if s.size > uint64(n) {
		if c.power == (element{}) {
			c.power = s.h.power(blocks(uint64(n)))
		}
		s.r = s.r.mul(c.power)
	}
	s.r = s.r.add(alone).add(c.length)
}

// data returns (S' + lengths(len(b), 0))·H of b alone.
func (s *hash) data(b []byte) element {
	return load(s.aead.Seal(s.scratch[:0], s.nonce[:], nil, b)).add(s.mask)
}

// sum returns the tag over all content and these additional data, which stand before it.
func (s *hash) sum(data []byte) (tag [TagSize]byte) {
	n, all := uint64(len(data)), s.r
	if n > 0 {
		all = s.data(data).add(lengths(n, 0).mul(s.h)).mul(s.h.power(blocks(s.size))).add(all)
	}
	all.add(lengths(n, s.size).mul(s.h)).add(s.mask).store(tag[:])
	return tag
}

// lengths is the last block that is hashed.
func lengths(data, content uint64) element { return element{8 * data, 8 * content} }

func blocks(octets uint64) uint64 { return (octets + blockSize - 1) / blockSize }

// Sealer encrypts a content and makes its tag.
type Sealer struct {
	hash
	more cipher.AEAD // for nonces of 16 octets: from the second chunk on
	a, b element     // such a nonce is a·J0 + b
}

// NewSealer returns a Sealer for one content. A key and a nonce must never meet twice.
func NewSealer(block cipher.Block, nonce []byte) (*Sealer, error) {
	s, err := start(block, nonce)
	if err != nil {
		return nil, err
	}
	return &Sealer{hash: s}, nil
}

// Seal encrypts a chunk where it lies, and spoils the TagSize octets behind it, for which b must have capacity. All chunks but the
// last are whole blocks.
func (s *Sealer) Seal(b []byte) error {
	n, at := len(b), s.size
	if n > 0 && cap(b)-n < TagSize { // the ciphertext would go to memory of its own, and b stay what it is
		return errRoom
	}
	if err := s.grow(n); err != nil || n == 0 {
		return err
	}
	aead, nonce, mask := s.aead, s.nonce[:], s.mask
	if at > 0 {
		if err := s.prepare(); err != nil {
			return err
		}
		j0 := s.counter(uint32(at/blockSize) + 1)
		mask, aead, nonce = s.encrypt(j0), s.more, s.scratch[:]
		j0.mul(s.a).add(s.b).store(nonce)
	}
	tag := aead.Seal(b[:0], nonce, b, nil)[n:]
	s.append(n, load(tag).add(mask), lengths(0, uint64(n)))
	return nil
}

// prepare solves J0 = (N·H + lengths(0, 16))·H, SP 800-38D §7.1, for N.
func (s *Sealer) prepare() (err error) {
	if s.more != nil {
		return nil
	}
	inverse := s.h.inverse()
	if inverse == (element{}) {
		return errKey
	}
	s.a, s.b = inverse.square(), inverse.mul(lengths(0, blockSize))
	s.more, err = cipher.NewGCMWithNonceSize(s.block, blockSize)
	return err
}

// Tag returns the tag over what has been sealed and additional data.
func (s *Sealer) Tag(data []byte) [TagSize]byte { return s.sum(data) }

// Opener checks the tag of a content, and decrypts it.
type Opener struct {
	hash
	stream cipher.Stream
}

// NewOpener returns an Opener for one content.
func NewOpener(block cipher.Block, nonce []byte) (*Opener, error) {
	s, err := start(block, nonce)
	if err != nil {
		return nil, err
	}
	return &Opener{hash: s}, nil
}

// Authenticate takes a chunk without decrypting it. All chunks but the last are whole blocks.
func (o *Opener) Authenticate(b []byte) error {
	n := len(b)
	if err := o.grow(n); err != nil || n == 0 {
		return err
	}
	o.append(n, o.data(b), lengths(uint64(n), 0))
	return nil
}

// Open takes a chunk as Authenticate does and decrypts it where it lies. Nobody has vouched for it until Verify has said so. The
// chunks of a content are all opened or all authenticated.
func (o *Opener) Open(b []byte) error {
	if err := o.Authenticate(b); err != nil {
		return err
	}
	if o.stream == nil {
		o.counter(2).store(o.scratch[:])
		o.stream = cipher.NewCTR(o.block, o.scratch[:]) // its counter has 128 bits, of which maxSize leaves 96 alone
	}
	o.stream.XORKeyStream(b, b)
	return nil
}

// Verify says whether tag, or the beginning of a tag in 12 to 16 octets (SP 800-38D §5.2.1.2), is that of what has been taken and of
// these additional data.
func (o *Opener) Verify(tag, data []byte) bool {
	if len(tag) < 12 || len(tag) > TagSize {
		return false
	}
	want := o.sum(data)
	return subtle.ConstantTimeCompare(want[:len(tag)], tag) == 1
}
