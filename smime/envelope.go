package smime

import (
	"errors"
	"io"

	"carepost/cms"
	"carepost/message"
)

// open opens e, of kind k, and returns its content.
func (x *opening) open(e *entity, k kind) (*counted, error) {
	if (e.at == decrypted || e.at == inflated) && !plainText(e.header.Bytes()) {
		return nil, ErrDecrypt // no signature will see this header
	}
	if err := single(e.header); err != nil {
		return nil, err
	}
	if k == clearSigned || k == opaqueSigned {
		x.outer = x.outer || e.at == outside
		x.inner = x.inner || e.at != outside
	}
	if k == clearSigned {
		return x.multipart(e)
	}
	body, err := decoded(e.header, e.body.br)
	if err != nil {
		return nil, classify(err, e.whose())
	}
	switch k {
	case opaqueSigned:
		x.opened.Form |= Opaque
		return x.opaque(e, body)
	case compressed:
		x.opened.Form |= Compressed
		return x.inflate(body)
	}
	return x.decrypt(e, body)
}

// decrypt opens EnvelopedData or AuthEnvelopedData (RFC 8551 §3.3, §3.4).
func (x *opening) decrypt(e *entity, body io.Reader) (*counted, error) {
	env, plain, err := cms.ReadEnveloped(body, x.keys, x.lim.cms())
	switch {
	case errors.Is(err, cms.ErrNoKey):
		return nil, ErrNoKey
	case errors.Is(err, cms.ErrDecrypt):
		return nil, ErrDecrypt
	case err != nil:
		return nil, classify(err, "the enveloped data")
	}
	x.ahead.r = plain
	x.plain = passage{&x.ahead, func(error) error { return ErrDecrypt }} // one answer, whatever goes wrong from here on
	x.opened.Cipher, x.opened.Key, x.opened.Recipients, x.opened.Own = env.Cipher, env.Key, env.Recipients, env.Own
	x.opened.Others = env.Others
	if equalFold(e.ct.Params["smime-type"], "authEnveloped-data") && !env.Authenticated {
		return nil, structure("EnvelopedData by the name of AuthEnvelopedData")
	}
	return x.push(x.plain, nil), nil
}

// opaque opens SignedData with its content inside (RFC 8551 §3.5.2).
func (x *opening) opaque(e *entity, body io.Reader) (*counted, error) {
	as := func(err error) error { return err }
	if e.at != outside {
		as = damaged
	}
	o, err := cms.ReadOpaque(body, x.lim.cms())
	switch {
	case errors.Is(err, cms.ErrCertificates):
		return nil, ErrUnsigned
	case err != nil:
		return nil, as(classify(err, "the signed data"))
	}
	l := &signature{d: newDigester(o.Digests), outer: e.at == outside, exact: true}
	x.sig = l
	return x.push(&hashed{passage{o, as}, l.d}, func() error {
		sd, err := o.Signed()
		if err != nil {
			return as(classify(err, "the signed data"))
		}
		return x.judge(sd, l)
	}), nil
}

// inflate opens CompressedData (RFC 8551 §3.6).
func (x *opening) inflate(body io.Reader) (*counted, error) {
	r, err := cms.ReadCompressed(body, x.lim.cms())
	if err != nil {
		return nil, damaged(classify(err, "the compressed data"))
	}
	return x.push(passage{r, damaged}, nil), nil
}

// damaged makes ErrDecrypt of damage below the encryption: what a wrong key or a changed ciphertext makes.
func damaged(err error) error {
	if errors.Is(err, cms.ErrSyntax) || errors.Is(err, message.ErrEncoding) {
		return ErrDecrypt
	}
	return err
}
