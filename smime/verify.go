package smime

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"carepost/cms"
)

// signature is one layer of signatures while its content is read.
type signature struct {
	d        *digester
	outer    bool // around the ciphertext
	exact    bool // the content cannot have been changed on its way: no other form of it is tried
	epilogue bool // the content is a multipart, whose last line end may or may not have been signed (Epilogue)
}

// maxChecks bounds the public-key operations of one message. Every SignerInfo of a hostile one may mean every certificate.
const maxChecks = 128

// judge checks the signatures of a layer whose content has been read.
func (x *opening) judge(sd *cms.SignedData, l *signature) error {
	if len(sd.Signers) == 0 {
		return ErrUnsigned
	}
	all, err := x.verify(sd, l)
	if err != nil {
		return err
	}
	x.opened.Certificates = append(x.opened.Certificates, sd.Certificates...)
	switch {
	case l.outer && x.inner:
		x.opened.OuterSignatures = all
		x.opened.Form |= TripleWrapped
	case l.outer:
		x.opened.Form |= EncryptedThenSigned
		fallthrough
	default:
		x.opened.Signatures = all
	}
	for _, s := range all {
		if s.Err == nil && s.Epilogue {
			x.opened.Form |= Epilogue
		}
	}
	return nil
}

// verify tries every SignerInfo with every certificate that it may mean. ErrLimit is returned where that would be too many.
func (x *opening) verify(sd *cms.SignedData, l *signature) (all []Signature, err error) {
	for i, info := range sd.Signers {
		base := Signature{
			Signer: i, Hash: info.Hash, Algorithm: info.Algorithm, Capabilities: info.Capabilities, SigningTime: info.SigningTime,
			Act: sha256.Sum256(sd.SignedAttributes(i)),
		}
		candidates := sd.Candidates(i)
		if x.checks += max(1, len(candidates)); x.checks > maxChecks {
			return nil, fmt.Errorf("%w: signers and certificates of one name", ErrLimit)
		}
		if len(candidates) == 0 {
			base.Err = errNoCertificate
			all = append(all, base)
		}
		for _, cert := range candidates {
			s := base
			s.Certificate = cert
			s.check(sd, l)
			all = append(all, s)
		}
	}
	return all, nil
}

// check fills in what s is worth: by the content as received, or else by the first of its other forms that fits.
func (s *Signature) check(sd *cms.SignedData, l *signature) {
	index := l.d.index(s.Hash)
	if index < 0 {
		if s.Err = errNotHashed; s.Hash == 0 {
			s.Err = sd.Verify(s.Signer, s.Certificate, nil)
		}
		return
	}
	for i, form := range l.d.finish() {
		if i > 0 && (l.exact || form.epilogue && !l.epilogue) {
			continue
		}
		err := sd.Verify(s.Signer, s.Certificate, form.digests[index])
		if i == 0 || !errors.Is(err, cms.ErrDigest) {
			s.Err, s.Canonicalised, s.Epilogue = err, form.canonical, form.epilogue
		}
		if !errors.Is(err, cms.ErrDigest) {
			return
		}
	}
}
