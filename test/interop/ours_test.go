package interop

import (
	"bytes"
	"crypto"
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/cms"
	"carepost/test/peers"
)

// sign makes a detached signature as s says.
func sign(content []byte, s peers.Signing) ([]byte, error) {
	var signers []cms.Signer
	digests := make(map[crypto.Hash][]byte)
	for _, p := range s.Signers {
		one := p.Signer()
		one.Hash, one.PSS = hashOf(s.Hash), s.PSS
		signers = append(signers, one)
		digests[one.Hash] = digest(one.Hash, content)
	}
	return cms.SignDetached(digests, nil, signers...)
}

func hashOf(h cms.Algorithm) crypto.Hash {
	return map[cms.Algorithm]crypto.Hash{cms.SHA1: crypto.SHA1, cms.SHA256: crypto.SHA256, cms.SHA384: crypto.SHA384, cms.SHA512: crypto.SHA512}[h]
}

func digest(h crypto.Hash, content []byte) []byte {
	w := h.New()
	w.Write(content)
	return w.Sum(nil)
}

// digestsOf are those of SHA-2.
func digestsOf(content []byte) map[crypto.Hash][]byte {
	all := make(map[crypto.Hash][]byte)
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		all[h] = digest(h, content)
	}
	return all
}

// lenient reads all that can be read.
var lenient = cms.ReadOptions{Algorithms: cms.Lenient.Algorithms()}

// verify wants every signature of p7s to hold over content, by the certificates that come with it, and to use what is wanted.
func verify(p7s, content []byte, want ...cms.Algorithm) error {
	s, err := cms.ReadSigned(bytes.NewReader(p7s), lenient)
	if err != nil {
		return err
	}
	return holds(s, content, want)
}

func holds(s *cms.SignedData, content []byte, want []cms.Algorithm) error {
	if len(s.Signers) == 0 {
		return errors.New("nobody signed")
	}
	for i, si := range s.Signers {
		certs := slices.CompactFunc(s.Candidates(i), (*x509.Certificate).Equal) // NSS sends the signer's twice
		if len(certs) != 1 {
			return fmt.Errorf("signer %d has %d certificates", i, len(certs))
		}
		if si.Hash == 0 {
			return s.Verify(i, certs[0], nil)
		}
		if err := s.Verify(i, certs[0], digest(si.Hash, content)); err != nil {
			return fmt.Errorf("signer %d: %w", i, err)
		}
		if len(want) > 0 && (si.Algorithm != want[0] || si.Hash != hashOf(want[1])) {
			return fmt.Errorf("signer %d used %v with %v", i, si.Algorithm, si.Hash)
		}
		changed := append([]byte{'x'}, content...)
		if err := s.Verify(i, certs[0], digest(si.Hash, changed)); !errors.Is(err, cms.ErrDigest) {
			return fmt.Errorf("signer %d: over another content: %v", i, err)
		}
	}
	return nil
}

// verifyOpaque is verify for a content inside.
func verifyOpaque(message []byte, want ...cms.Algorithm) ([]byte, error) {
	o, err := cms.ReadOpaque(bytes.NewReader(message), lenient)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(o)
	if err != nil {
		return nil, err
	}
	s, err := o.Signed()
	if err != nil {
		return nil, err
	}
	return content, holds(s, content, want)
}

// encrypt makes what e says. The key derivation is ours to choose.
func encrypt(content []byte, e peers.Encryption) ([]byte, error) {
	var b bytes.Buffer
	var to []*x509.Certificate
	for _, p := range e.To {
		to = append(to, p.Certificate)
	}
	o := cms.Encryption{Cipher: e.Cipher}
	if e.Key >= cms.RSAESPKCS1v15 && e.Key <= cms.RSAESOAEPSHA512 {
		o.Transport = e.Key
	}
	w, err := cms.NewEnvelopedWriter(&b, o, to...)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

// decrypt wants the message to be encrypted as is said.
func decrypt(message []byte, by *peers.Person, e peers.Encryption) ([]byte, error) {
	env, r, err := cms.ReadEnveloped(bytes.NewReader(message), []cms.Recipient{{Certificate: by.Certificate, Key: by.Key}}, lenient)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if err == nil && (env.Cipher != e.Cipher || env.Own != by.Certificate || env.Recipients != len(e.To)) {
		err = fmt.Errorf("other than asked for: %v, %d recipients", env.Cipher, env.Recipients)
	}
	return content, err
}

func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := cms.NewCompressedWriter(&b)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func decompress(message []byte) ([]byte, error) {
	r, err := cms.ReadCompressed(bytes.NewReader(message), lenient)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
