package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// Candidates returns the certificates of the bag that match the identifier of signer i, in the order of the message: more than
// one when an attacker puts a copy of issuer and serial there, so all are to be tried. That can be Limits.Signers times
// Limits.Certificates public-key operations of a few milliseconds each: the caller sets a bound to them.
func (s *SignedData) Candidates(i int) []*x509.Certificate {
	var all []*x509.Certificate
	for _, cert := range s.Certificates {
		if s.Signers[i].sid.names(identifierOf(cert)) {
			all = append(all, cert)
		}
	}
	return all
}

// Verify checks signer i against the digest of the content, made with the signer's Hash over the canonical bytes, and against
// a certificate that the caller chose, mostly one of Candidates (RFC 5652 §5.4, §5.6). Nil says that this key signed this
// content; whether the certificate is trusted is not looked at. Errors: ErrAlgorithm, ErrAttributes, ErrDigest, ErrSignature.
func (s *SignedData) Verify(i int, cert *x509.Certificate, digest []byte) error {
	si := &s.Signers[i]
	if si.err != nil {
		return si.err
	}
	if si.attrs.der == nil { // a SignerInfo that ReadSigned did not make
		return attributes("absent")
	}
	if !si.sid.names(identifierOf(cert)) {
		return fmt.Errorf("%w: the certificate is not the one named", ErrSignature)
	}
	x, err := si.scheme.fit(cert.PublicKey)
	if err != nil {
		return err
	}
	if err := si.algs.accept(x, "signature"); err != nil {
		return err
	}
	if len(digest) != si.Hash.Size() || !bytes.Equal(digest, si.attrs.digest) {
		return ErrDigest
	}
	if !si.scheme.verify(cert.PublicKey, si.Hash, si.attrs.der, si.signature) {
		return ErrSignature
	}
	return nil
}

// fit says by what algorithm, exactly, a signature of this scheme is checked with pub. ErrAlgorithm: by none.
func (s scheme) fit(pub crypto.PublicKey) (Algorithm, error) {
	x, err := keyFor(pub, s.algorithm == RSAPSS)
	if err != nil {
		return 0, err
	}
	kind := x
	if kind == ECDSAP384 {
		kind = ECDSAP256
	}
	if kind != s.algorithm {
		return 0, algorithm("signature of another kind than the key")
	}
	// RFC 8017 §9.1.1: the encoded message, of the modulus' bits but one, holds digest, salt and two octets more.
	if x == RSAPSS && (pub.(*rsa.PublicKey).N.BitLen()+6)/8 < s.digest.hash().Size()+s.salt+2 {
		return 0, algorithm("salt longer than the key allows")
	}
	return x, nil
}

// verify checks a signature over der by a key that fits.
func (s scheme) verify(pub crypto.PublicKey, h crypto.Hash, der, signature []byte) bool {
	if k, ok := pub.(ed25519.PublicKey); ok { // RFC 8419 §3.1: over the attributes themselves
		return ed25519.Verify(k, der, signature)
	}
	state := h.New()
	state.Write(der)
	signed := state.Sum(nil)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if s.algorithm == RSAPSS {
			return rsa.VerifyPSS(k, h, signed, signature, &rsa.PSSOptions{SaltLength: s.salt}) == nil
		}
		return verifyPKCS1v15(k, h, signed, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, signed, signature)
	}
	return false
}

// SignedAttributes returns the DER of the attributes that signer i signed (RFC 5652 §5.4), nil where there are none. Equal attributes are
// one act of signing, whatever stands around them: nothing else of a SignerInfo is protected.
func (s *SignedData) SignedAttributes(i int) []byte { return s.Signers[i].attrs.der }
