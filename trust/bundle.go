package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/certificate"
	"carepost/cms"
)

// Bundle is what a trust bundle holds: anchors that somebody gives out together (Direct Trust Bundle Distribution 1.0).
type Bundle struct {
	Certificates []*x509.Certificate // each once, in the order of the bundle
	Unreadable   int                 // entries besides that no certificate could be read from
	Metadata     string              // what the bundle says of itself, XML; nobody has checked it
	Signer       *x509.Certificate   // whose signature was found good; nil: it is not signed
	Signed       time.Time           // when, as the signer says; zero: he does not
}

// Errors of ParseBundle.
var (
	ErrBundle         = errors.New("trust: no trust bundle")
	ErrBundleUnsigned = errors.New("trust: the bundle is not signed, as it has to be")
	ErrBundleSigner   = errors.New("trust: the signature of the bundle is not a good one of its signer")
	ErrBundleSize     = errors.New("trust: the bundle is larger than any that is taken")
)

// Limits of a bundle. Real ones have some hundred anchors.
const (
	maxBundleBytes        = 2 << 20
	maxBundleCertificates = 1000
	maxBundleMetadata     = 64 << 10
	maxBundleDepth        = 2 // the signed one and the one inside
)

// ParseBundle reads a bundle in one of its forms: a certs-only PKCS #7 message (.p7b), with metadata as its content or none; a signed
// message whose content is such a one (.p7m); DER or BER, in PEM or bare; or certificates one after the other. Where signers are given
// it must be signed by one of them who is valid now, named by his very certificate: no path is built. Without, a signature that is
// there must hold under a certificate that came with it, which proves nothing but that the bundle is whole.
//
// Errors: ErrBundle, ErrBundleUnsigned, ErrBundleSigner, ErrBundleSize. An empty bundle is no error here.
func ParseBundle(body []byte, signers []*x509.Certificate, now time.Time) (Bundle, error) {
	b, err := parseBundle(body, signers, now, maxBundleDepth)
	if err != nil {
		return Bundle{}, err
	}
	if b.Signer == nil && len(signers) > 0 {
		return Bundle{}, ErrBundleUnsigned
	}
	return b, nil
}

func parseBundle(body []byte, signers []*x509.Certificate, now time.Time, depth int) (b Bundle, err error) {
	if len(body) > maxBundleBytes {
		return b, ErrBundleSize
	}
	if bytes.Contains(body, []byte("-----BEGIN ")) {
		if body, err = b.unarmour(body); err != nil || body == nil {
			return b, err
		}
	}
	if certs := inARow(body); len(certs) > 0 {
		return b, b.add(certs)
	}
	o := cms.ReadOptions{Limits: cms.Limits{Certificates: maxBundleCertificates, CertificateBytes: maxBundleBytes, HeaderBytes: 2 * maxBundleBytes}}
	signed, err := cms.ReadSigned(bytes.NewReader(body), o)
	switch {
	case err == nil && len(signed.Signers) > 0:
		return b, fmt.Errorf("%w: a signature without what it signs", ErrBundle)
	case err == nil:
		b.Unreadable = len(signed.Unparsed)
		return b, b.add(signed.Certificates)
	case errors.Is(err, cms.ErrLimit):
		return b, ErrBundleSize
	case errors.Is(err, cms.ErrEmbedded):
		return b, b.opaque(body, o, signers, now, depth)
	}
	return b, fmt.Errorf("%w: %s", ErrBundle, "neither PKCS #7 nor certificates")
}

// unarmour takes bare certificates out of PEM, or the one message in it, which it returns.
func (b *Bundle) unarmour(body []byte) (message []byte, err error) {
	n := 0
	for block, rest := pem.Decode(body); block != nil; block, rest = pem.Decode(rest) {
		if n++; n > maxBundleCertificates {
			return nil, ErrBundleSize
		}
		switch block.Type {
		case "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
			if n > 1 || message != nil {
				return nil, fmt.Errorf("%w: several things in PEM", ErrBundle)
			}
			message = block.Bytes
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			if message != nil {
				return nil, fmt.Errorf("%w: several things in PEM", ErrBundle)
			}
			c, err := certificate.Parse(block.Bytes)
			if err != nil {
				b.Unreadable++
				continue
			}
			if err := b.add([]*x509.Certificate{c}); err != nil {
				return nil, err
			}
		}
	}
	if n == 0 || message == nil && len(b.Certificates)+b.Unreadable == 0 {
		return nil, fmt.Errorf("%w: no certificates in PEM", ErrBundle)
	}
	return message, nil
}

// inARow are certificates in DER, one after the other, and nothing else; nil where it is not that. Odd ones are taken as they are: whether
// one counts is judged with what it speaks for.
func inARow(body []byte) (certs []*x509.Certificate) {
	for in := cryptobyte.String(body); !in.Empty(); {
		var one cryptobyte.String
		if !in.ReadASN1Element(&one, asn1.SEQUENCE) {
			return nil
		}
		c, err := certificate.Parse(one)
		if err != nil {
			return nil
		}
		if certs = append(certs, c); len(certs) > maxBundleCertificates {
			return certs
		}
	}
	return certs
}

func (b *Bundle) add(certs []*x509.Certificate) error {
	for _, c := range certs {
		if slices.ContainsFunc(b.Certificates, c.Equal) {
			continue
		}
		if b.Certificates = append(b.Certificates, c); len(b.Certificates) > maxBundleCertificates {
			return ErrBundleSize
		}
	}
	return nil
}

// opaque reads a message with a content: metadata where nobody has signed, else the bundle itself.
func (b *Bundle) opaque(body []byte, o cms.ReadOptions, signers []*x509.Certificate, now time.Time, depth int) error {
	in, err := cms.ReadOpaque(bytes.NewReader(body), o)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBundle, err)
	}
	content, err := io.ReadAll(io.LimitReader(in, maxBundleBytes+1))
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBundle, err)
	}
	if len(content) > maxBundleBytes {
		return ErrBundleSize
	}
	signed, err := in.Signed()
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBundle, err)
	}
	if len(signed.Signers) == 0 {
		b.Unreadable = len(signed.Unparsed)
		if len(content) <= maxBundleMetadata {
			b.Metadata = string(content)
		}
		return b.add(signed.Certificates)
	}
	if depth == 1 {
		return fmt.Errorf("%w: signed twice", ErrBundle)
	}
	signer, at := bundleSigner(signed, content, signers, now)
	if signer == nil {
		return ErrBundleSigner
	}
	// The certificates around the signature are those of the signer: only what is signed counts.
	inner, err := parseBundle(content, nil, now, depth-1)
	if err != nil {
		return err
	}
	*b, b.Signer, b.Signed = inner, signer, at
	return nil
}

// bundleSigner is the one of signers, or where there are none of the certificates of the message, under which a signature holds, and when
// it says that it was made.
func bundleSigner(s *cms.SignedData, content []byte, signers []*x509.Certificate, now time.Time) (*x509.Certificate, time.Time) {
	digests := map[crypto.Hash][]byte{}
	for i, info := range s.Signers {
		if info.Hash == 0 || !info.Hash.Available() {
			continue
		}
		if digests[info.Hash] == nil {
			h := info.Hash.New()
			h.Write(content)
			digests[info.Hash] = h.Sum(nil)
		}
		candidates := signers
		if len(signers) == 0 {
			candidates = s.Candidates(i)
		}
		for n, c := range candidates {
			if n == maxBundleSigners {
				break
			}
			current := !now.Before(c.NotBefore) && !now.After(c.NotAfter) || len(signers) == 0
			if current && s.Verify(i, c, digests[info.Hash]) == nil {
				return c, info.SigningTime
			}
		}
	}
	return nil, time.Time{}
}

// maxBundleSigners is how many certificates each signature of a bundle is tried with.
const maxBundleSigners = 8
