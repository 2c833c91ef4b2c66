package cms

import "crypto/x509"

// readSigner reads a SignerInfo that has been entered (RFC 5652 §5.3).
func (p *parser) readSigner() (si SignerInfo, err error) {
	si.algs = p.algs
	if err = p.readVersion(); err != nil {
		return si, err
	}
	e, err := p.want("sid")
	if err != nil {
		return si, err
	}
	if si.sid, err = p.readIdentifier(e); err != nil {
		return si, err
	}
	si.Issuer, si.Serial, si.SubjectKeyID = si.sid.issuer, si.sid.number(), si.sid.keyID
	if e, err = p.want("digestAlgorithm"); err != nil {
		return si, err
	}
	if si.digest, err = p.readAlgorithm(e); err != nil {
		return si, err
	}
	if e, err = p.want("signatureAlgorithm"); err != nil {
		return si, err
	}
	var attrs []byte
	if e.tag == tagContext0|constructed {
		// RFC 5652 §5.3: DER, whatever the rest is. Where it is none, that is the fault of this signer alone.
		if attrs, err = p.skipTaped(e); err != nil {
			return si, err
		}
		if e, err = p.want("signatureAlgorithm"); err != nil {
			return si, err
		}
	}
	if si.algorithm, err = p.readAlgorithm(e); err != nil {
		return si, err
	}
	if e, err = p.want("signature"); err != nil {
		return si, err
	}
	if e.tag&^constructed != tagOctetString {
		return si, syntax("something else than a signature")
	}
	if si.signature, err = p.octets(e); err != nil {
		return si, err
	}
	misplaced, err := p.readUnsigned()
	if err != nil {
		return si, err
	}
	si.judge(attrs, misplaced, p.lim)
	return si, nil
}

// readUnsigned reads unsignedAttrs, if there are any, and the end of the SignerInfo. The values are ignored; misplaced says
// that there is one among them that may only be signed.
func (p *parser) readUnsigned() (misplaced bool, err error) {
	e, ok, err := p.next()
	if err != nil || !ok {
		return false, err
	}
	if e.tag != tagContext1|constructed {
		return false, syntax("unknown field in SignerInfo")
	}
	if err := p.enter(e); err != nil {
		return false, err
	}
	for n := 0; ; n++ {
		e, ok, err := p.next()
		if err != nil {
			return false, err
		}
		if !ok {
			return misplaced, p.close("unsignedAttrs")
		}
		if n == p.lim.Attributes {
			return false, limit("unsigned attributes")
		}
		if e.tag != tagSequence {
			return false, syntax("something else than an attribute")
		}
		if err := p.enter(e); err != nil {
			return false, err
		}
		id, err := p.readOID()
		if err != nil {
			return false, err
		}
		switch id { // RFC 5652 §11.1, §11.2, §11.3: MUST NOT be an unsigned attribute
		case oidContentType, oidMessageDigest, oidSigningTime:
			misplaced = true
		}
		if e, err = p.want("attribute values"); err != nil {
			return false, err
		}
		if err := p.skip(e); err != nil {
			return false, err
		}
		if err := p.close("attribute values"); err != nil {
			return false, err
		}
	}
}

// judge fills in what can be said without a certificate.
func (si *SignerInfo) judge(attrs []byte, misplaced bool, lim Limits) {
	var digest Algorithm
	if si.digest.noParams() { // RFC 5754 §2: NULL and absent are the same
		digest = digestOf(si.digest.oid)
	}
	accepted := si.algs.accept(digest, "digest")
	if accepted == nil {
		si.Hash = digest.hash()
	}
	si.scheme = schemeOf(si.algorithm)
	si.attrs, si.err = parseAttributes(attrs, lim)
	si.SigningTime, si.Capabilities = si.attrs.signingTime, si.attrs.capable
	x := si.scheme.algorithm
	if x == ECDSAP256 && si.algs.Use(x) < Accept {
		x = ECDSAP384 // Verify knows the curve
	}
	unsigned := si.algs.accept(x, "signature")
	switch {
	case accepted != nil:
		si.err = accepted
	case unsigned != nil:
		si.err = unsigned
	case si.scheme.digest != 0 && si.scheme.digest != digest: // RFC 8933 §3: one hash for the content and for the attributes
		si.err = algorithm("two digests for one signature")
	case si.err != nil:
	case misplaced:
		si.err = attributes("one that must be signed is not")
	case !si.attrs.protects(si.digest, si.algorithm):
		si.err = attributes("cmsAlgorithmProtection disagrees") // RFC 6211 §2
	}
	if unsigned == nil {
		si.Algorithm = x
	}
}

// settle finds the curve of an ECDSA signature: that of the first certificate that is named and has one.
func (si *SignerInfo) settle(bag []*x509.Certificate) {
	if si.Algorithm != ECDSAP256 && si.Algorithm != ECDSAP384 {
		return
	}
	si.Algorithm = 0
	for _, cert := range bag {
		if !si.sid.names(identifierOf(cert)) {
			continue
		}
		if x, err := si.scheme.fit(cert.PublicKey); err == nil {
			if si.algs.accept(x, "") == nil {
				si.Algorithm = x
			}
			return
		}
	}
}
