package cms

import (
	"crypto"
	"crypto/x509"
	"io"
	"math/big"
	"time"
)

// SignedData is a signature apart from its content (RFC 5652 §5.1). Nothing in it is verified or trusted; see Verify.
type SignedData struct {
	Certificates []*x509.Certificate // in the order of the message
	Unparsed     [][]byte            // entries of certificates that crypto/x509 does not read, whole
	Signers      []SignerInfo        // empty in a file that only transports certificates
}

// SignerInfo is what one signer says (RFC 5652 §5.3).
type SignerInfo struct {
	Hash         crypto.Hash // 0 when not accepted; Verify then returns ErrAlgorithm
	SigningTime  time.Time   // what the signer claims, zero if absent; for the log, never the time of validation
	Issuer       []byte      // DER Name, nil when the signer is named by SubjectKeyID
	Serial       *big.Int    // nil when the signer is named by SubjectKeyID
	SubjectKeyID []byte      // nil when the signer is named by Issuer and Serial
}

// ReadSigned reads a ContentInfo with a detached SignedData, BER or DER, up to the end of r (RFC 5652 §5). It verifies nothing.
// Faults of one signer are kept for Verify, so that other signers can be judged. Errors: ErrSyntax, ErrLimit,
// ErrContentType, ErrEmbedded, and those of r.
func ReadSigned(r io.Reader, lim Limits) (*SignedData, error) {
	panic("unimplemented")
}

// Candidates returns the certificates of the bag that match the identifier of signer i, in the order of the message: more than
// one when an attacker puts a copy of issuer and serial there, so all are to be tried.
func (s *SignedData) Candidates(i int) []*x509.Certificate {
	panic("unimplemented")
}

// Verify checks signer i against the digest of the content, made with the signer's Hash over the canonical bytes, and against
// a certificate that the caller chose, mostly one of Candidates (RFC 5652 §5.4, §5.6). Nil says that this key signed this
// content; whether the certificate is trusted is not looked at. Errors: ErrAlgorithm, ErrAttributes, ErrDigest, ErrSignature.
func (s *SignedData) Verify(i int, cert *x509.Certificate, digest []byte) error {
	panic("unimplemented")
}
