package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// list is a CRL whose entries stay bytes: a list of a million entries takes its own size and little more.
type list struct {
	*x509.RevocationList // without entries
	raw                  []byte
	digest               [32]byte          // SHA-256 of raw
	signed               []byte            // the tbsCertList as it was signed
	entries              cryptobyte.String // contents of revokedCertificates
	scope                scope
	unusable             string   // why this kind of list is not used; "" if it is
	base                 *big.Int // BaseCRLNumber; nil unless this is a delta CRL (RFC 5280 §5.2.4)
	freshest             []point  // where its deltas are (RFC 5280 §5.2.6)
}

// scope is the issuing distribution point (RFC 5280 §5.2.5).
type scope struct {
	der                 []byte // as it stands in the list: a delta's is the same
	point               point
	named               bool // a distribution point is named, by whatever kind of name
	userOnly, caOnly    bool
	indirect, attrsOnly bool
}

var errCRL = errors.New("trust: no CRL")

// maxHead bounds a CRL without its entries: names, dates, extensions, signature.
const maxHead = 64 << 10

// parseCRL reads a DER CRL (RFC 5280 §5.1), or PEM of it.
//
// crypto/x509 reads everything but the entries, which would take ten times their size in memory: it is given the list without them,
// which must be small.
func parseCRL(raw []byte) (*list, error) {
	if bytes.HasPrefix(raw, []byte("-----BEGIN X509 CRL")) {
		block, _ := pem.Decode(raw)
		if block == nil {
			return nil, errCRL
		}
		raw = block.Bytes
	}
	head, signed, entries, err := splitCRL(raw)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseRevocationList(head)
	if err != nil {
		return nil, errCRL
	}
	l := &list{RevocationList: parsed, raw: raw, digest: sha256.Sum256(raw), signed: signed, entries: entries}
	if err := l.readExtensions(); err != nil {
		return nil, err
	}
	return l, l.readEntries()
}

// splitCRL cuts the entries out of a CRL: head is the CRL without them, signed its tbsCertList with them.
func splitCRL(raw []byte) (head, signed []byte, entries cryptobyte.String, err error) {
	in := cryptobyte.String(raw)
	var outer, tbs, contents, before, date cryptobyte.String
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		return nil, nil, nil, errCRL
	}
	signed = tbs
	if !tbs.ReadASN1(&contents, asn1.SEQUENCE) {
		return nil, nil, nil, errCRL
	}
	rest := contents
	if !rest.SkipOptionalASN1(asn1.INTEGER) || !rest.SkipASN1(asn1.SEQUENCE) || !rest.SkipASN1(asn1.SEQUENCE) ||
		!readTime(&rest, &date) {
		return nil, nil, nil, errCRL
	}
	if rest.PeekASN1Tag(asn1.UTCTime) || rest.PeekASN1Tag(asn1.GeneralizedTime) {
		if !readTime(&rest, &date) {
			return nil, nil, nil, errCRL
		}
	}
	before = contents[:len(contents)-len(rest)]
	if rest.PeekASN1Tag(asn1.SEQUENCE) && !rest.ReadASN1(&entries, asn1.SEQUENCE) {
		return nil, nil, nil, errCRL
	}
	if len(before)+len(rest)+len(outer) > maxHead {
		return nil, nil, nil, errCRL
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(before)
			b.AddBytes(rest)
		})
		b.AddBytes(outer)
	})
	head, err = b.Bytes()
	return head, signed, entries, err
}

func readTime(s, out *cryptobyte.String) bool {
	return s.PeekASN1Tag(asn1.UTCTime) && s.ReadASN1(out, asn1.UTCTime) || s.ReadASN1(out, asn1.GeneralizedTime)
}

// readEntries goes once through all entries: their form, and whether one has a critical extension that is not understood, which
// makes the whole list useless (RFC 5280 §5.3).
func (l *list) readEntries() error {
	return l.eachEntry(func(_ []byte, _ cryptobyte.String, extensions cryptobyte.String) error {
		for !extensions.Empty() {
			var e, id cryptobyte.String
			critical := false
			if !extensions.ReadASN1(&e, asn1.SEQUENCE) || !e.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) ||
				e.PeekASN1Tag(asn1.BOOLEAN) && !e.ReadASN1Boolean(&critical) || !e.SkipASN1(asn1.OCTET_STRING) || !e.Empty() {
				return errCRL
			}
			switch string(id) {
			case "\x55\x1d\x1d": // certificateIssuer, 2.5.29.29
				l.unusable = "it is an indirect CRL"
			case "\x55\x1d\x15", "\x55\x1d\x18": // reasonCode, invalidityDate
			default:
				if !critical {
					continue
				}
				l.unusable = "an entry has a critical extension that is not understood"
			}
		}
		return nil
	})
}

// eachEntry calls f with the DER serial number, the date and the contents of the extensions of every entry, until it errs.
func (l *list) eachEntry(f func(serial []byte, date, extensions cryptobyte.String) error) error {
	rest := l.entries
	for !rest.Empty() {
		var entry, serial, date, extensions cryptobyte.String
		if !rest.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1Element(&serial, asn1.INTEGER) || !shortest(serial) {
			return errCRL
		}
		at := entry
		if !readTime(&entry, &date) {
			return errCRL
		}
		date = at[:len(at)-len(entry)]
		if !entry.Empty() && (!entry.ReadASN1(&extensions, asn1.SEQUENCE) || !entry.Empty()) {
			return errCRL
		}
		if err := f(serial, date, extensions); err != nil {
			return err
		}
	}
	return nil
}

// shortest says that an INTEGER is written as DER writes it, so that equal numbers are equal bytes.
func shortest(element cryptobyte.String) bool {
	var n cryptobyte.String
	if !element.ReadASN1(&n, asn1.INTEGER) || len(n) == 0 {
		return false
	}
	return len(n) == 1 || n[0] != 0 && n[0] != 0xff || n[0]>>7 != n[1]>>7
}

// entry is what a list says of one serial number.
type entry struct {
	since  time.Time
	reason int // CRLReason (RFC 5280 §5.3.1); 0 if none is given
}

// find looks serial up. A serial that is listed twice is revoked since the earlier date, and for the graver reason.
func (l *list) find(serial *big.Int) (found entry, listed bool) {
	var b cryptobyte.Builder
	b.AddASN1BigInt(serial)
	want, err := b.Bytes()
	if err != nil {
		return found, false
	}
	l.eachEntry(func(got []byte, date, extensions cryptobyte.String) error {
		if !bytes.Equal(got, want) {
			return nil
		}
		t, ok := parseTime(date)
		if !ok {
			t = time.Time{} // revoked, at a date that nobody can read: since ever
		}
		reason := reasonOf(extensions)
		if !listed || lifts(found.reason) && !lifts(reason) {
			found.reason = reason
		}
		if !listed || t.Before(found.since) {
			found.since = t
		}
		listed = true
		return nil
	})
	return found, listed
}

// reasonOf reads reasonCode out of the extensions of an entry; 0 if there is none, or none to be read.
func reasonOf(extensions cryptobyte.String) int {
	for !extensions.Empty() {
		var e, id, value cryptobyte.String
		var critical bool
		var reason int
		if !extensions.ReadASN1(&e, asn1.SEQUENCE) || !e.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) ||
			e.PeekASN1Tag(asn1.BOOLEAN) && !e.ReadASN1Boolean(&critical) || !e.ReadASN1(&value, asn1.OCTET_STRING) {
			return 0
		}
		if string(id) == "\x55\x1d\x15" && value.ReadASN1Enum(&reason) {
			return reason
		}
	}
	return 0
}

func parseTime(s cryptobyte.String) (t time.Time, ok bool) {
	if s.PeekASN1Tag(asn1.UTCTime) {
		ok = s.ReadASN1UTCTime(&t)
	} else {
		ok = s.ReadASN1GeneralizedTime(&t)
	}
	return t, ok
}
