package cms

import "io"

// ReadEnveloped reads a ContentInfo with an EnvelopedData (RFC 5652 §6) or an AuthEnvelopedData (RFC 5083), BER or DER, up to its
// first octet of ciphertext; the reader that it returns yields the plaintext and wants the end of r after the last octet of the
// ContentInfo.
//
// The plaintext of an EnvelopedData comes as it is decrypted. The caller keeps it hidden until the reader has said io.EOF and a
// signature has been verified: with a wrong key it is noise (which one time in 256 ends like good padding, so without an error),
// and it can be forged by anybody in any case. That of an AuthEnvelopedData comes so where o.Draft says that it is hidden; else r
// must be an io.ReadSeeker, and nothing comes before a first pass to its end has found the tag good. What r holds must not change
// between the two: a second look at the tag finds that out at the end alone, in place of io.EOF.
//
// Of several keys that the message names, the first in keys is used, once, and o.All asks for the others too. Errors: ErrSyntax, ErrLimit, ErrContentType,
// ErrAlgorithm, ErrNoKey, ErrUnavailable, and those of r; of the reader: ErrDecrypt, and those of r.
func ReadEnveloped(r io.Reader, keys []Recipient, o ReadOptions) (*Enveloped, io.Reader, error) {
	p := newParser(r, o)
	env, found, err := p.readEnvelopedData(keys)
	if err != nil {
		return nil, nil, boundary(err)
	}
	c, err := p.readEncryptedContentInfo(env)
	if err != nil {
		return nil, nil, boundary(err)
	}
	var twice *rewinder
	if env.Authenticated && !o.Draft {
		if twice, err = p.newRewinder(r); err != nil {
			return nil, nil, boundary(err)
		}
	}
	// Everything that can be refused without the key has been refused. Now the private operation, one.
	cek, err := found.contentKey(env, keys, o.Algorithms)
	if err != nil {
		return nil, nil, boundary(err)
	}
	defer clear(cek)
	if o.All {
		if err := found.others(env, keys, cek, o.Algorithms); err != nil {
			return nil, nil, boundary(err)
		}
	}
	var from plaintext
	if env.Authenticated {
		from, err = newGCM(p, c, cek, twice)
	} else {
		from, err = newCBC(p, c, cek)
	}
	if err != nil {
		return nil, nil, boundary(err)
	}
	return env, &plaintextReader{from: from}, nil
}

// readEnvelopedData reads up to and with recipientInfos (RFC 5652 §6.1, RFC 5083 §2.1).
func (p *parser) readEnvelopedData(keys []Recipient) (*Enveloped, *recipients, error) {
	id, err := p.readContentInfo(oidEnveloped, oidAuthEnveloped)
	if err != nil {
		return nil, nil, err
	}
	if err := p.readVersion(); err != nil {
		return nil, nil, err
	}
	found, err := p.readRecipientInfos(keys)
	if err != nil {
		return nil, nil, err
	}
	return &Enveloped{Authenticated: id == oidAuthEnveloped, Recipients: found.n}, found, nil
}
