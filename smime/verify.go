package smime

import (
	"bufio"
	"errors"
	"fmt"

	"carepost/cms"
	"carepost/message"
)

// signature reads the second part.
func (x *opening) signature(s *splitter) (*cms.SignedData, error) {
	br := bufio.NewReader(s)
	h, err := message.ReadHeader(br, x.lim.Message)
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	ct, err := h.ContentType()
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	if err := single(h); err != nil {
		return nil, err
	}
	if !pkcs7Signature(ct.Type + "/" + ct.Subtype) {
		return nil, structure("the second part is not the signature that was announced") // RFC 1847 §2.1
	}
	r, err := decoded(h, br)
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	sd, err := cms.ReadSigned(r, x.lim.cms())
	if err != nil {
		return nil, classify(err, "the signature")
	}
	return sd, nil
}

// maxChecks bounds the public-key operations of one message. Every SignerInfo of a hostile one may mean every certificate.
const maxChecks = 128

// verify tries every SignerInfo with every certificate that it may mean, and both forms of the content. ErrLimit is returned
// where that would be too many.
func verify(sd *cms.SignedData, d *digester) ([]Signature, error) {
	var all []Signature
	for i, info := range sd.Signers {
		base := Signature{Signer: i, Hash: info.Hash, Algorithm: info.Algorithm, Capabilities: info.Capabilities, SigningTime: info.SigningTime}
		candidates := sd.Candidates(i)
		if len(all)+len(candidates) > maxChecks {
			return nil, fmt.Errorf("%w: signers and certificates of one name", ErrLimit)
		}
		if len(candidates) == 0 {
			base.Err = errNoCertificate
			all = append(all, base)
		}
		received, canonical := d.sums(info.Hash)
		for _, cert := range candidates {
			s := base
			s.Certificate = cert
			switch {
			case received == nil && info.Hash != 0:
				s.Err = errNotHashed
			default:
				s.Err = sd.Verify(i, cert, received)
			}
			if canonical != nil && errors.Is(s.Err, cms.ErrDigest) {
				if err := sd.Verify(i, cert, canonical); err == nil || !errors.Is(err, cms.ErrDigest) {
					s.Err, s.Canonicalised = err, true
				}
			}
			all = append(all, s)
		}
	}
	return all, nil
}
