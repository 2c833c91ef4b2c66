package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carepost/certificate"
	"carepost/internal/store"
	"carepost/trust"
)

// Kinds of what ends.
const (
	EndingOwn       = "own"       // a certificate of our own
	EndingServer    = "server"    // that our SMTP listeners show
	EndingAuthority = "authority" // that of our own authority
	EndingAnchor    = "anchor"
	EndingBundle    = "bundle" // anchors of a bundle
	EndingPin       = "pin"
)

// Ending is a certificate that ends soon, or has ended: from then on it is good for nothing (RFC 5280 §6.1.3 (a)(2)).
type Ending struct {
	Kind     string
	What     string // for people; it may name an address
	Traced   string // the same for logs and the audit, which name none
	SHA256   string // of the first of them, hexadecimal
	NotAfter time.Time
	Count    int    // how many they are, in a bundle
	Remedy   string // one sentence: who does what

	object string   // of the audit
	told   []string // by what it is known which steps were told
	step   int
}

// Ended says whether its time is over.
func (e Ending) Ended() bool { return e.step == len(daysAhead())+1 }

// Days is the step of the warning: how many days are left at most; 0 where it has ended.
func (e Ending) Days() int {
	if e.Ended() {
		return 0
	}
	return daysAhead()[e.step-1]
}

// Words are those for people.
func (e Ending) Words() string {
	verb := map[bool]string{false: "ends on", true: "ended on"}[e.Ended()]
	if e.Count > 1 {
		verb = map[bool]string{false: "end, the first on", true: "have ended, the first on"}[e.Ended()]
	}
	return fmt.Sprintf("%s %s %s: %s", e.What, verb, e.NotAfter.UTC().Format("2006-01-02 15:04 UTC"), e.Remedy)
}

// daysAhead are the steps before the end at which people are told.
func daysAhead() []int { return []int{30, 14, 7, 1} }

// stepOf is how near an end is: 0 not near, 1 to 4 the steps, 5 over.
func stepOf(end, now time.Time) (n int) {
	if now.After(end) { // RFC 5280 §4.1.2.5: it is valid through notAfter
		return len(daysAhead()) + 1
	}
	for _, days := range daysAhead() {
		if end.Sub(now) <= time.Duration(days)*24*time.Hour {
			n++
		}
	}
	return n
}

// Watch is what the store does not know of what ends.
type Watch struct {
	Renews func(*x509.Certificate) bool // says which of our own certificates renew themselves; nil: none
	Ours   [][]byte                     // certificates of our own authority: no anchors that somebody else has to renew
	Also   []Ending                     // made by NewEnding
}

// NewEnding is an Ending for a Watch.
func NewEnding(kind, what string, der []byte, end time.Time, remedy string) Ending {
	print := hexPrint(der)
	return Ending{Kind: kind, What: what, Traced: what, SHA256: print, NotAfter: end, Remedy: remedy,
		object: kind + ":" + print, told: []string{kind + ":" + print}}
}

// Endings lists what ends within 30 days and what has ended, soonest first. What has been renewed or is in use no more is not listed, nor
// are keys that wait for a certificate.
func (s *Service) Endings(ctx context.Context, w Watch) (out []Ending, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = endings(tx, w, s.clock())
		return err
	})
	return out, prefix("what ends", err)
}

func endings(tx *store.Tx, w Watch, now time.Time) ([]Ending, error) {
	all := slices.Clone(w.Also)
	for _, list := range []func(*store.Tx, Watch, time.Time) ([]Ending, error){ownEndings, anchorEndings, bundleEndings, pinEndings} {
		some, err := list(tx, w, now)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	var out []Ending
	for _, e := range all {
		if e.step = stepOf(e.NotAfter, now); e.step > 0 {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Ending) int { return a.NotAfter.Compare(b.NotAfter) })
	return out, nil
}

// ownEndings are our own certificates in use that nothing newer stands in for.
func ownEndings(tx *store.Tx, w Watch, now time.Time) (out []Ending, err error) {
	type own struct {
		row     store.Cert
		leaf    *x509.Certificate
		retired bool
	}
	rows, err := tx.AllCerts()
	if err != nil {
		return nil, err
	}
	byOwner := map[string][]own{}
	for _, row := range rows {
		leaf, err := x509.ParseCertificate(row.DER)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", row.ID, err)
		}
		name := ownerKey(row.Owner)
		byOwner[name] = append(byOwner[name], own{row, leaf, row.NotAfter.Before(leaf.NotAfter)})
	}
	for _, list := range byOwner {
		if a := list[0].row.Owner.Address; !a.IsZero() {
			if _, err := tx.Account(a); errors.Is(err, store.ErrNotFound) {
				continue // closed: nobody misses it
			} else if err != nil {
				return nil, err
			}
		}
		for _, c := range list {
			replaced := func(use trust.Use) bool {
				return !trust.Fits(c.leaf, use) || slices.ContainsFunc(list, func(o own) bool {
					// What was taken out of use after it had followed c was so by somebody's will: c is not missed again.
					return trust.Fits(o.leaf, use) && o.leaf.NotAfter.After(c.leaf.NotAfter) && !o.leaf.NotBefore.After(c.leaf.NotAfter) &&
						(!o.retired || now.After(c.leaf.NotAfter))
				})
			}
			if c.retired {
				continue
			}
			if !replaced(trust.Signing) || !replaced(trust.Encryption) {
				out = append(out, ownEnding(c.row, c.leaf, w))
			}
		}
	}
	slices.SortFunc(out, func(a, b Ending) int { return cmp.Compare(a.told[0], b.told[0]) }) // a map has no order
	return out, nil
}

func ownerKey(o store.Owner) string {
	if o.Address.IsZero() {
		return o.Domain.String()
	}
	return o.Address.Key()
}

func ownEnding(row store.Cert, leaf *x509.Certificate, w Watch) Ending {
	owner := row.Owner.Domain.String()
	if !row.Owner.Address.IsZero() {
		owner = row.Owner.Address.String()
	}
	e := NewEnding(EndingOwn, "our certificate of "+owner, row.DER, leaf.NotAfter,
		"ask for the next one with carepost cert request "+owner+", and take it with carepost cert import FILE")
	e.object, e.told = "certificate:"+row.ID, []string{EndingOwn + ":" + row.ID}
	if w.Renews != nil && w.Renews(leaf) {
		e.Remedy = "the pilot authority was to renew it by itself, and the log says why that fails; carepost cert issue " + owner + " makes the next one"
	}
	switch UseOf(leaf) {
	case UseSign:
		e.What += " for signing"
	case UseEncrypt:
		e.What += " for encryption"
	}
	if e.Traced = e.What; !row.Owner.Address.IsZero() {
		e.Remedy += ", and carepost cert expire " + row.ID + " does without"
		e.Traced = "our certificate " + row.ID + " of an address"
	}
	return e
}

// anchorEndings are the anchors that somebody has added one by one. What they certify is refused once they have ended.
func anchorEndings(tx *store.Tx, w Watch, _ time.Time) (out []Ending, err error) {
	all, err := tx.AllAnchors()
	if err != nil {
		return nil, err
	}
	for _, der := range all {
		if slices.ContainsFunc(w.Ours, func(own []byte) bool { return bytes.Equal(own, der) }) {
			continue
		}
		c, err := certificate.Parse(der)
		if err != nil {
			continue // it is trusted for nothing
		}
		print := hexPrint(der)
		e := NewEnding(EndingAnchor, "the anchor "+c.Subject.String(), der, c.NotAfter, "mail that it vouches for is refused from then on: take its successor from its keeper with "+
			"carepost trust add FILE, and then remove it with carepost trust remove "+print[:16])
		if len(c.EmailAddresses) > 0 || bytes.ContainsRune(c.RawSubject, '@') {
			e.Traced = "the anchor of SHA-256 " + print
		}
		out = append(out, e)
	}
	return out, nil
}

// bundleEndings counts the anchors of each bundle that are at the same step.
func bundleEndings(tx *store.Tx, _ Watch, now time.Time) (out []Ending, err error) {
	bundles, err := tx.Bundles()
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		anchors, err := tx.BundleAnchors(b.ID)
		if err != nil {
			return nil, err
		}
		steps := map[int]Ending{}
		for _, der := range anchors {
			c, err := certificate.Parse(der)
			if err != nil {
				continue
			}
			n := stepOf(c.NotAfter, now)
			e, ok := steps[n]
			if !ok || c.NotAfter.Before(e.NotAfter) {
				e.NotAfter, e.SHA256 = c.NotAfter, hexPrint(der)
			}
			e.Count++
			e.told = append(e.told, EndingBundle+":"+b.ID+":"+hexPrint(der))
			steps[n] = e
		}
		for n := 1; n <= len(daysAhead())+1; n++ {
			e, ok := steps[n]
			if !ok {
				continue
			}
			e.Kind, e.object, e.What = EndingBundle, "bundle:"+b.ID, strconv.Itoa(e.Count)+" anchors of the trust bundle "+b.Name
			if e.Count == 1 {
				e.What = "an anchor of the trust bundle " + b.Name
			}
			e.Traced = e.What
			e.Remedy = "those who give the bundle out renew it; this fetches it now: carepost trust bundle refresh " + b.Name
			out = append(out, e)
		}
	}
	return out, nil
}

// pinEndings are the certificates that were pinned for one address.
func pinEndings(tx *store.Tx, _ Watch, _ time.Time) (out []Ending, err error) {
	pins, err := tx.AllPins()
	if err != nil {
		return nil, err
	}
	for _, p := range pins {
		c, err := certificate.Parse(p.DER)
		if err != nil {
			continue // it is trusted for nothing
		}
		a := p.Address.String()
		e := NewEnding(EndingPin, "the pinned certificate of "+a, p.DER, c.NotAfter,
			"ask its holder for the next one and pin that with carepost trust pin "+a+" FILE, or end it with carepost trust unpin "+a)
		e.Traced, e.object, e.told = "the pinned certificate of SHA-256 "+e.SHA256, "pin:"+p.ID, []string{EndingPin + ":" + p.ID}
		out = append(out, e)
	}
	return out, nil
}
