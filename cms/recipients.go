package cms

import (
	crand "crypto/rand"
	"crypto/subtle"
	"errors"
)

// carrier is what a RecipientInfo holds for a certificate of ours: the content-encryption key, in a form that its private key opens.
type carrier interface {
	// prepare refuses whatever can be refused without the private key. It says how the content-encryption key came, and returns
	// the one operation with the private key, which is still to be done.
	prepare(to Recipient, algs Algorithms) (Algorithm, opener, error)
}

// opener does the operation, and what follows from it, for a content-encryption key of n octets. Of its errors only ErrUnavailable
// is ever told.
type opener func(n int) ([]byte, error)

// recipients collects what recipientInfos hold for us.
type recipients struct {
	max, n int             // RecipientInfos; those of key agreement count once for each of their recipients
	own    []identifier    // of our certificates
	found  map[int]carrier // by the index of the key
}

func newRecipients(keys []Recipient, lim Limits) *recipients {
	r := &recipients{max: lim.Recipients, own: make([]identifier, len(keys)), found: make(map[int]carrier)}
	for i, k := range keys {
		r.own[i] = identifierOf(k.Certificate)
	}
	return r
}

// count counts one more.
func (r *recipients) count() error {
	if r.n == r.max {
		return limit("recipientInfos")
	}
	r.n++
	return nil
}

// add counts one more and keeps c for each key whose certificate it names.
func (r *recipients) add(rid identifier, c carrier) error {
	if err := r.count(); err != nil {
		return err
	}
	for i, id := range r.own {
		if !rid.names(id) {
			continue
		}
		// A second one would be a second guess at the key (as in CVE-2026-42768): refused before the first is tried.
		if r.found[i] != nil {
			return syntax("two RecipientInfos name one certificate")
		}
		r.found[i] = c
	}
	return nil
}

// readRecipientInfos reads recipientInfos, and originatorInfo if it stands before them (RFC 5652 §6.1).
func (p *parser) readRecipientInfos(keys []Recipient) (*recipients, error) {
	e, err := p.want("recipientInfos")
	if err == nil && e.tag == tagContext0|constructed { // originatorInfo: of no use to the kinds of key management that are read
		if err = p.skip(e); err != nil {
			return nil, err
		}
		e, err = p.want("recipientInfos")
	}
	if err != nil {
		return nil, err
	}
	if e.tag != tagSet {
		return nil, syntax("something else than recipientInfos")
	}
	if err := p.enter(e); err != nil {
		return nil, err
	}
	r := newRecipients(keys, p.lim)
	for {
		e, ok, err := p.next()
		switch {
		case err != nil:
			return nil, err
		case !ok && r.n == 0:
			return nil, syntax("no RecipientInfo")
		case !ok:
			return r, nil
		}
		if err := p.readRecipientInfo(e, r); err != nil {
			return nil, err
		}
	}
}

// readRecipientInfo reads the RecipientInfo of which e is the header (RFC 5652 §6.2).
func (p *parser) readRecipientInfo(e element, r *recipients) error {
	switch e.tag {
	case tagSequence: // ktri
		return p.readTransport(e, r)
	case tagContext1 | constructed: // kari
		return p.readAgreement(e, r)
	case tagContext1 + 1 | constructed, tagContext1 + 2 | constructed: // kekri, pwri: for keys that we have none of
	case tagContext4 | constructed: // ori: KEMRecipientInfo (RFC 9629) would be one more carrier, chosen here by its oriType
	default:
		return syntax("unknown kind of RecipientInfo")
	}
	if err := r.count(); err != nil {
		return err
	}
	return p.skip(e)
}

// contentKey returns the content-encryption key of env. The first of keys that the message names is used, once, and no other is
// tried after it. When anything goes wrong that has to do with the private key, the result is a random key, and nothing says so
// (RFC 3218 §2.3.2; for RSAES-OAEP, RFC 8017 §7.1.2; for key agreement in the same way).
func (r *recipients) contentKey(env *Enveloped, keys []Recipient, algs Algorithms) ([]byte, error) {
	for i, k := range keys {
		c := r.found[i]
		if c == nil {
			continue
		}
		how, open, err := c.prepare(k, algs)
		if err != nil {
			return nil, err
		}
		env.Own, env.Key = k.Certificate, how
		n := env.Cipher.keyLen()
		instead := make([]byte, n)
		crand.Read(instead) // never fails
		cek, err := open(n)
		if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		if err != nil || len(cek) != n {
			return instead, nil
		}
		return cek, nil
	}
	return nil, ErrNoKey
}

// errForeignKey is a mistake of the caller.
func errForeignKey() error { return errors.New("a key does not belong to its certificate") }

// others notes the other certificates that cek came for. recipientInfos are not authenticated, so that a name in them proves nothing: only who
// has the same key could have read the message. What differs, or does not open, is one thing, and nothing else follows from it: to learn by it
// what a ciphertext holds somebody must know that already (compare RFC 3218 §2.3).
func (r *recipients) others(env *Enveloped, keys []Recipient, cek []byte, algs Algorithms) error {
	for i, k := range keys {
		c := r.found[i]
		if c == nil || k.Certificate == env.Own {
			continue
		}
		_, open, err := c.prepare(k, algs)
		if errors.Is(err, ErrAlgorithm) {
			continue // it could not
		}
		if err != nil {
			return err
		}
		same, err := open(len(cek))
		if errors.Is(err, ErrUnavailable) {
			return err
		}
		if err == nil && subtle.ConstantTimeCompare(same, cek) == 1 {
			env.Others = append(env.Others, k.Certificate)
		}
		clear(same)
	}
	return nil
}
