package casetest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"carepost/trust/certtest"
)

// Asked says that somebody is to be asked for the status of a certificate: a list is there, or a pointer to one.
func (w *World) Asked() bool {
	for _, c := range w.Issued {
		if pointed(c) {
			return true
		}
	}
	return len(w.Lists) > 0
}

func pointed(c *x509.Certificate) bool { return len(c.CRLDistributionPoints)+len(c.OCSPServer) > 0 }

// Fillers are good empty lists of all authorities of which there is none and whose certificates point to none: for judges who take no
// certificate without a list, where we find that nobody is to be asked.
func (w *World) Fillers() (lists []*x509.RevocationList) {
	w.Helper()
	for i, c := range w.Issued {
		ca := w.authorityOf(i)
		if ca == nil || pointed(c) {
			continue
		}
		point := asn1.ObjectIdentifier{2, 5, 29, 28}
		scoped := slices.ContainsFunc(w.Lists, func(l *x509.RevocationList) bool {
			return slices.ContainsFunc(l.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(point) })
		})
		root := ca.Certificate == c && scoped && !w.issuesAuthorities(ca) // of which no list for a point, or for users, speaks
		if !root && (w.lists(ca, append(w.Lists, lists...)) || w.points(ca)) {
			continue
		}
		lists = append(lists, ca.EditedCRL(w, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = w.Question.Now.Add(-time.Hour), w.Question.Now.Add(time.Hour)
			if root {
				l.ExtraExtensions = []pkix.Extension{{Id: point, Critical: true, Value: []byte("\x30\x03\x82\x01\xff")}} // for authorities only
			}
		}))
	}
	return lists
}

// authorityOf is who signed the certificate at place i; itself, if it is a root.
func (w *World) authorityOf(i int) *certtest.CA {
	if by := w.signers[w.Issued[i]]; by != nil {
		return by
	}
	for _, ca := range w.cas {
		if ca.Certificate == w.Issued[i] {
			return ca
		}
	}
	return nil
}

func (w *World) lists(ca *certtest.CA, lists []*x509.RevocationList) bool {
	for _, l := range lists {
		if string(l.RawIssuer) == string(ca.Certificate.RawSubject) && l.CheckSignatureFrom(ca.Certificate) == nil {
			return true
		}
	}
	return false
}

// issuesAuthorities says that ca issued one beside itself.
func (w *World) issuesAuthorities(ca *certtest.CA) bool {
	for c, by := range w.signers {
		if by == ca && c.IsCA {
			return true
		}
	}
	return false
}

// points says that a certificate of ca's points to a list.
func (w *World) points(ca *certtest.CA) bool {
	for c, by := range w.signers {
		if by == ca && pointed(c) {
			return true
		}
	}
	return false
}
