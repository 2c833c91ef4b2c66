package cms

import (
	"crypto"
	"crypto/x509"
	"io"
	"time"
)

// Signer is one signer of SignDetached.
type Signer struct {
	Key         crypto.Signer       // RSA (2048 to 8192 bits) or ECDSA (P-256, P-384); signs with PKCS #1 v1.5 or ECDSA
	Certificate *x509.Certificate   // of Key
	Chain       []*x509.Certificate // intermediates to send along, in any order; the anchor is better left out
	Time        time.Time           // signingTime; must be set
	Hash        crypto.Hash         // SHA256, SHA384 or SHA512; 0 is SHA256
}

// SignDetached returns a DER ContentInfo with a SignedData over content whose digest is given (RFC 5652 §5). All signers use
// the hash that made the digest. Each signs contentType, signingTime, messageDigest, smimeCapabilities (AES-256-CBC,
// AES-128-CBC) and cmsAlgorithmProtection; the certificates of signers and chains are included (DIR-16). A nil rand is
// crypto/rand. ErrAlgorithm is returned for keys and hashes that are not accepted.
func SignDetached(digest []byte, rand io.Reader, s ...Signer) ([]byte, error) {
	panic("unimplemented")
}
