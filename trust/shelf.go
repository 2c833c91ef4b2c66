package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"time"
)

// Shelf keeps lists and OCSP answers where they outlive the process. What it gives back is proven again, so it need not be trusted; what
// it cannot keep is fetched again, so its errors are nobody's.
type Shelf interface {
	// Load returns what was saved under that name last; ErrAbsent if there is nothing.
	Load(ctx context.Context, name [32]byte) (Stored, error)
	Save(ctx context.Context, name [32]byte, s Stored) error
	// Recent lists what was used since then, the latest first, so many at most.
	Recent(ctx context.Context, since time.Time, most int) ([]Stored, error)
}

// Stored is a status as it was fetched.
type Stored struct {
	URL     string
	Issuer  []byte // the issuer's certificate, DER
	Subject []byte // of an OCSP answer: the certificate that it is about, DER; nil for a list
	Body    []byte
	Fetched time.Time
	Next    time.Time // nextUpdate
	Used    time.Time
}

// maxStored bounds what is put on a shelf: a larger list is fetched again by the next process.
const maxStored = 1 << 20

// name is what a source is called on a shelf.
func (from source) name() [32]byte {
	h := sha256.New()
	h.Write(from.issuer[:])
	h.Write([]byte{byte(len(from.serial))}) // RFC 5280 §4.1.2.2: some twenty octets, 255 by any length that is read
	h.Write([]byte(from.serial))
	h.Write([]byte(from.url))
	return [32]byte(h.Sum(nil))
}

func (j *Judge) shelve(ctx context.Context, from source, k *kept) {
	if j.Shelf == nil || k.size() > maxStored {
		return
	}
	_, next := k.span()
	s := Stored{URL: from.url, Issuer: k.issuer.Raw, Fetched: k.at, Next: next, Used: k.used}
	if k.list != nil {
		s.Body = k.list.raw
	} else {
		s.Subject, s.Body = k.subject.Raw, k.reply.raw
	}
	j.Shelf.Save(ctx, from.name(), s) // an error is nobody's: what is not kept is fetched again
}

// unshelve loads what is on the shelf from there, and proves it.
func (in *inquiry) unshelve(ctx context.Context, from source, s subject) *kept {
	stored, err := in.Shelf.Load(ctx, from.name())
	if err != nil || stored.URL != from.url {
		return nil
	}
	k, err := in.prove(ctx, stored, s)
	if err != nil {
		return nil
	}
	return k
}

var errStored = errors.New("trust: what was stored is no status")

// prove reads what was stored about s or, if it is a list, by its issuer.
func (in *inquiry) prove(ctx context.Context, stored Stored, s subject) (*kept, error) {
	k := &kept{issuer: s.issuer, at: stored.Fetched, used: in.q.Now}
	if stored.Subject == nil {
		l, err := parseCRL(stored.Body)
		if err != nil || !bytes.Equal(l.RawIssuer, s.issuer.RawSubject) || !in.provesCRL(s.issuer, l) {
			return nil, errStored
		}
		k.list = l
		return k, nil
	}
	if s.Certificate == nil || !bytes.Equal(stored.Subject, s.Raw) {
		return nil, errStored
	}
	r, no := in.verify(ctx, stored.Body, nil, httpHost(stored.URL), s)
	if no != "" {
		return nil, errStored
	}
	k.reply, k.subject = r, s.Certificate
	return k, nil
}

// maxRestored bounds the statuses that are taken from the shelf at the start.
const maxRestored = 256

// Restore takes from the shelf what was used since then. Without it each is taken when it is asked for; with it they are also refreshed.
func (j *Judge) Restore(ctx context.Context, since, now time.Time) error {
	if j.Shelf == nil {
		return nil
	}
	all, err := j.Shelf.Recent(ctx, since, maxRestored)
	for _, s := range all {
		in := j.inquiry(Question{Now: now})
		in.Judge = &Judge{Shelf: j.Shelf} // asks nobody: the responder of an answer may be proven by a list on the shelf
		if k, from := in.restored(ctx, s); k != nil {
			k.used = s.Used
			j.statuses.put(from, k)
		}
		in.end()
	}
	return err
}

func (in *inquiry) restored(ctx context.Context, stored Stored) (*kept, source) {
	issuer, err := x509.ParseCertificate(stored.Issuer)
	if err != nil {
		return nil, source{}
	}
	s := subject{issuer: issuer, who: "the certificate"}
	from := sourceOf(stored.URL, issuer)
	if stored.Subject != nil {
		if s.Certificate, err = x509.ParseCertificate(stored.Subject); err != nil {
			return nil, source{}
		}
		from = from.about(s)
	}
	k, err := in.prove(ctx, stored, s)
	if err != nil {
		return nil, source{}
	}
	return k, from
}
