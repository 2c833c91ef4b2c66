package cms

// agreement is a KeyAgreeRecipientInfo with an ephemeral key of the originator (RFC 5652 §6.2.2), and what it has for one
// certificate of ours.
type agreement struct {
	*originator
	encrypted []byte // encryptedKey
}

// originator is what a KeyAgreeRecipientInfo says to all its recipients.
type originator struct {
	algorithm algorithmIdentifier // of originatorKey
	point     []byte              // originatorKey
	ukm       []byte              // nil when absent
	scheme    algorithmIdentifier // keyEncryptionAlgorithm
}

// readAgreement reads the KeyAgreeRecipientInfo of which e is the header.
func (p *parser) readAgreement(e element, r *recipients) error {
	if err := p.enter(e); err != nil {
		return err
	}
	if err := p.readVersion(); err != nil {
		return err
	}
	o := new(originator)
	usable, err := p.readOriginator(o)
	if err != nil {
		return err
	}
	if !usable {
		if err := r.count(); err != nil {
			return err
		}
		return p.rest()
	}
	if e, err = p.want("keyEncryptionAlgorithm"); err != nil {
		return err
	}
	if e.tag == tagContext1|constructed {
		if o.ukm, err = p.readUKM(e); err != nil {
			return err
		}
		if e, err = p.want("keyEncryptionAlgorithm"); err != nil {
			return err
		}
	}
	if o.scheme, err = p.readAlgorithm(e); err != nil {
		return err
	}
	return p.readRecipientEncryptedKeys(o, r)
}

// readOriginator reads originator. A static key of theirs, which is named and not given, is not usable.
func (p *parser) readOriginator(o *originator) (usable bool, err error) {
	if err := p.open(tagContext0|constructed, "originator"); err != nil {
		return false, err
	}
	e, err := p.want("originator")
	if err != nil {
		return false, err
	}
	if e.tag != tagContext1|constructed { // issuerAndSerialNumber, subjectKeyIdentifier
		if err := p.skip(e); err != nil {
			return false, err
		}
		return false, p.close("originator")
	}
	if err := p.enter(e); err != nil {
		return false, err
	}
	if e, err = p.want("algorithm of originatorKey"); err != nil {
		return false, err
	}
	if o.algorithm, err = p.readAlgorithm(e); err != nil {
		return false, err
	}
	if e, err = p.want("originatorKey"); err != nil {
		return false, err
	}
	if e.tag != tagBitString {
		return false, syntax("something else than an originatorKey")
	}
	if o.point, err = p.content(e); err != nil {
		return false, err
	}
	if len(o.point) == 0 || o.point[0] != 0 {
		return false, syntax("originatorKey that is no row of octets")
	}
	o.point = o.point[1:]
	if err := p.close("originatorKey"); err != nil {
		return false, err
	}
	return true, p.close("originator")
}

// readUKM reads the ukm of which e is the header.
func (p *parser) readUKM(e element) ([]byte, error) {
	if err := p.enter(e); err != nil {
		return nil, err
	}
	e, err := p.want("ukm")
	if err != nil {
		return nil, err
	}
	if e.tag&^constructed != tagOctetString {
		return nil, syntax("something else than ukm")
	}
	b, err := p.octets(e)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, b...), p.close("ukm")
}

// readRecipientEncryptedKeys reads the last field of a KeyAgreeRecipientInfo.
func (p *parser) readRecipientEncryptedKeys(o *originator, r *recipients) error {
	if err := p.open(tagSequence, "recipientEncryptedKeys"); err != nil {
		return err
	}
	for before := r.n; ; {
		e, ok, err := p.next()
		switch {
		case err != nil:
			return err
		case !ok && r.n == before:
			return syntax("no RecipientEncryptedKey")
		case !ok:
			return p.close("recipientEncryptedKeys")
		case e.tag != tagSequence:
			return syntax("something else than a RecipientEncryptedKey")
		}
		if err := p.enter(e); err != nil {
			return err
		}
		if e, err = p.want("rid"); err != nil {
			return err
		}
		rid, err := p.readKeyAgreeIdentifier(e)
		if err != nil {
			return err
		}
		key, err := p.readEncryptedKey()
		if err != nil {
			return err
		}
		if err := r.add(rid, agreement{o, key}); err != nil {
			return err
		}
	}
}

// readKeyAgreeIdentifier reads the KeyAgreeRecipientIdentifier of which e is the header.
func (p *parser) readKeyAgreeIdentifier(e element) (id identifier, err error) {
	if e.tag == tagSequence {
		return p.readIdentifier(e)
	}
	if e.tag != tagContext0|constructed { // rKeyId
		return id, syntax("unknown kind of identifier")
	}
	if err := p.enter(e); err != nil {
		return id, err
	}
	if e, err = p.want("subjectKeyIdentifier"); err != nil {
		return id, err
	}
	if e.tag&^constructed != tagOctetString {
		return id, syntax("something else than a subjectKeyIdentifier")
	}
	if id.keyID, err = p.octets(e); err != nil {
		return id, err
	}
	if len(id.keyID) == 0 {
		return id, syntax("empty subjectKeyIdentifier")
	}
	return id, p.rest() // date, other: for those who keep several keys under one identifier
}
