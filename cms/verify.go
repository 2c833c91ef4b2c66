package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// Candidates returns the certificates of the bag that match the identifier of signer i, in the order of the message: more than
// one when an attacker puts a copy of issuer and serial there, so all are to be tried.
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
	want, _ := signatureOf(si.algorithm)
	f, err := familyOf(cert.PublicKey)
	if err != nil {
		return err
	}
	if f != want {
		return algorithm("signature of another kind than the key")
	}
	if len(digest) != si.Hash.Size() || !bytes.Equal(digest, si.attrs.digest) {
		return ErrDigest
	}
	h := si.Hash.New()
	h.Write(si.attrs.der)
	signed := h.Sum(nil)
	switch k := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(k, si.Hash, signed, si.signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(k, signed, si.signature) {
			return nil
		}
	}
	return ErrSignature
}
