package cms

// readSigner reads a SignerInfo that has been entered (RFC 5652 §5.3).
func (p *parser) readSigner() (si SignerInfo, err error) {
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
		if attrs, err = p.raw(e); err != nil { // RFC 5652 §5.3: DER, whatever the rest is
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
	if si.digest.noParams() {
		si.Hash = hashOf(si.digest.oid)
	}
	f, h := signatureOf(si.algorithm)
	si.attrs, si.err = parseAttributes(attrs, lim)
	si.SigningTime = si.attrs.signingTime
	switch {
	case si.Hash == 0:
		si.err = algorithm("digest")
	case f == familyNone:
		si.err = algorithm("signature")
	case h != 0 && h != si.Hash: // RFC 8933 §3: one hash for the content and for the attributes
		si.err = algorithm("two digests for one signature")
	case si.err != nil:
	case misplaced:
		si.err = attributes("one that must be signed is not")
	case !si.attrs.protects(si.digest, si.algorithm):
		si.err = attributes("cmsAlgorithmProtection disagrees") // RFC 6211 §2
	}
}
