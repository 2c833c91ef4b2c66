package cms

import (
	"crypto"
	"crypto/x509"
	"io"
	"math/big"
	"time"

	"carepost/certificate"
)

// SignedData is a signature apart from its content (RFC 5652 §5.1). Nothing in it is verified or trusted; see Verify.
type SignedData struct {
	Certificates []*x509.Certificate // in the order of the message
	Unparsed     [][]byte            // entries of certificates that package certificate does not read, whole
	Signers      []SignerInfo        // empty in a file that only transports certificates
}

// SignerInfo is what one signer says (RFC 5652 §5.3).
type SignerInfo struct {
	Hash         crypto.Hash // 0 when not accepted; Verify then returns ErrAlgorithm
	Algorithm    Algorithm   // of the signature; 0 when not accepted, or ECDSA without a certificate that tells the curve
	Capabilities []Algorithm // those announced that are known here, in the order of preference (RFC 8551 §2.5.2)
	SigningTime  time.Time   // what the signer claims, zero if absent; for the log, never the time of validation
	Issuer       []byte      // DER Name, nil when the signer is named by SubjectKeyID
	Serial       *big.Int    // nil when the signer is named by SubjectKeyID
	SubjectKeyID []byte      // nil when the signer is named by Issuer and Serial

	sid       identifier
	digest    algorithmIdentifier
	algorithm algorithmIdentifier
	scheme    scheme     // of algorithm
	algs      Algorithms // as ReadOptions had them
	attrs     signedAttributes
	signature []byte
	err       error // what Verify will say whatever it is given
}

// ReadSigned reads a ContentInfo with a detached SignedData, BER or DER, up to the end of r (RFC 5652 §5). It verifies nothing.
// Faults of one signer are kept for Verify, so that other signers can be judged. Errors: ErrSyntax, ErrLimit,
// ErrContentType, ErrEmbedded, and those of r.
func ReadSigned(r io.Reader, o ReadOptions) (*SignedData, error) {
	s, err := newParser(r, o).readSigned()
	if err != nil {
		return nil, boundary(err)
	}
	return s, nil
}

func (p *parser) readSigned() (*SignedData, error) {
	digests, err := p.readSignedHead()
	if err != nil {
		return nil, err
	}
	switch _, ok, err := p.readEncapsulated(); {
	case err != nil:
		return nil, err
	case ok:
		return nil, ErrEmbedded // also when it is empty
	}
	return p.readSignedTail(digests)
}

// readSignedHead reads up to encapContentInfo, and returns digestAlgorithms.
func (p *parser) readSignedHead() (map[oid]bool, error) {
	if _, err := p.readContentInfo(oidSigned); err != nil {
		return nil, err
	}
	if err := p.readVersion(); err != nil {
		return nil, err
	}
	return p.readDigestAlgorithms()
}

// readSignedTail reads what follows encapContentInfo, to the end of the stream.
func (p *parser) readSignedTail(digests map[oid]bool) (*SignedData, error) {
	s := new(SignedData)
	e, err := p.want("signerInfos")
	if err == nil && e.tag == tagContext0|constructed {
		if err = p.readCertificates(s, e); err != nil {
			return nil, err
		}
		e, err = p.want("signerInfos")
	}
	if err == nil && e.tag == tagContext1|constructed { // crls: trust has its own
		if err = p.skip(e); err != nil {
			return nil, err
		}
		e, err = p.want("signerInfos")
	}
	if err != nil {
		return nil, err
	}
	if err := p.readSigners(s, e, digests); err != nil {
		return nil, err
	}
	return s, p.endContentInfo()
}

// readDigestAlgorithms reads digestAlgorithms (RFC 5652 §5.1), which may be empty.
func (p *parser) readDigestAlgorithms() (map[oid]bool, error) {
	if err := p.open(tagSet, "digestAlgorithms"); err != nil {
		return nil, err
	}
	listed := make(map[oid]bool)
	for n := 0; ; n++ {
		e, ok, err := p.next()
		if err != nil || !ok {
			return listed, err
		}
		if n == p.lim.Signers {
			return nil, limit("digestAlgorithms")
		}
		a, err := p.readAlgorithm(e)
		if err != nil {
			return nil, err
		}
		listed[a.oid] = true
	}
}

// readEncapsulated reads an encapContentInfo up to its eContent, and returns the header of that; ok is false, and encapContentInfo closed, where
// there is none (RFC 5652 §5.2).
func (p *parser) readEncapsulated() (e element, ok bool, err error) {
	if err = p.open(tagSequence, "encapContentInfo"); err != nil {
		return e, false, err
	}
	if _, err = p.readType(oidData); err != nil {
		return e, false, err
	}
	e, ok, err = p.next()
	if err == nil && ok && e.tag != tagContext0|constructed {
		err = syntax("unknown field in encapContentInfo")
	}
	return e, ok, err
}

// readCertificates reads a CertificateSet (RFC 5652 §10.2.3).
func (p *parser) readCertificates(s *SignedData, e element) error {
	if err := p.enter(e); err != nil {
		return err
	}
	left := p.lim.CertificateBytes
	for n := 0; ; n++ {
		e, ok, err := p.next()
		if err != nil || !ok {
			return err
		}
		if n == p.lim.Certificates {
			return limit("certificates")
		}
		if e.length > left {
			return limit("octets of certificates")
		}
		raw, err := p.skipTaped(e)
		if err != nil {
			return err
		}
		if left -= int64(len(raw)); left < 0 {
			return limit("octets of certificates")
		}
		cert, err := certificate.Parse(raw) // takes DER only
		if e.tag == tagSequence && err == nil {
			s.Certificates = append(s.Certificates, cert)
		} else {
			s.Unparsed = append(s.Unparsed, raw)
		}
	}
}

// readSigners reads signerInfos, of which e is the header (RFC 5652 §5.1).
func (p *parser) readSigners(s *SignedData, e element, digests map[oid]bool) error {
	if e.tag != tagSet {
		return syntax("something else than signerInfos")
	}
	if err := p.enter(e); err != nil {
		return err
	}
	for {
		e, ok, err := p.next()
		if err != nil || !ok {
			return err
		}
		if len(s.Signers) == p.lim.Signers {
			return limit("signerInfos")
		}
		if e.tag != tagSequence {
			return syntax("something else than a SignerInfo")
		}
		if err := p.enter(e); err != nil {
			return err
		}
		si, err := p.readSigner()
		if err != nil {
			return err
		}
		if si.err == nil && !digests[si.digest.oid] { // RFC 5652 §5.3: "SHOULD be among", and implementations may insist
			si.err = algorithm("digest that SignedData does not announce")
		}
		si.settle(s.Certificates)
		s.Signers = append(s.Signers, si)
	}
}
