package pilot

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// line is a certificate for mail that is in use: the newest of its owner for something.
type line struct {
	row   store.Cert
	leaf  *x509.Certificate
	order Order // as it is renewed: for what no newer one is for
}

// holding is what the domain has of its authority.
type holding struct {
	state   state
	version int64

	lines  []line
	spent  []store.Cert      // in use no more, though not retired: newer ones are for all that they are for, or their account is closed
	server *x509.Certificate // or nil
	issued [][]byte          // what has to be recorded, from times when nothing was
}

func (a *Authority) holding(ctx context.Context) (h holding, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		h, err = a.holdingIn(tx)
		return err
	})
	return h, err
}

func (a *Authority) holdingIn(tx *store.Tx) (h holding, err error) {
	if h.state, h.version, err = a.read(tx); err != nil {
		return h, err
	}
	rows, err := tx.AllCerts()
	if err != nil {
		return h, err
	}
	slices.SortStableFunc(rows, func(x, y store.Cert) int { // newest first, as Tx.Certs
		return cmp.Or(y.NotBefore.Compare(x.NotBefore), cmp.Compare(y.ID, x.ID))
	})
	covered := map[store.Owner]Use{}
	for _, row := range rows {
		if err := a.sort(tx, &h, row, covered); err != nil {
			return h, err
		}
	}
	if h.state.Server == nil {
		return h, nil
	}
	h.server, err = x509.ParseCertificate(h.state.Server)
	h.issued = append(h.issued, h.state.Server)
	return h, err
}

// sort finds what a row is: in use, spent, retired or none of ours.
func (a *Authority) sort(tx *store.Tx, h *holding, row store.Cert, covered map[store.Owner]Use) error {
	leaf, err := x509.ParseCertificate(row.DER)
	if err != nil {
		return fmt.Errorf("own certificate: %w", err)
	}
	if !a.Issued(leaf) {
		return nil // of an authority that we do not speak for
	}
	h.issued = append(h.issued, row.DER)
	if row.NotAfter.Before(leaf.NotAfter) {
		return nil // retired
	}
	owner, use := key(row.Owner), useOf(leaf)
	if !owner.Address.IsZero() {
		if _, err := tx.Account(row.Owner.Address); errors.Is(err, store.ErrNotFound) {
			h.spent = append(h.spent, row) // Direct 1.4: nobody vouches for it any more
			return nil
		} else if err != nil {
			return err
		}
	}
	if covered[owner]&use == use {
		h.spent = append(h.spent, row)
		return nil
	}
	h.lines = append(h.lines, line{row, leaf, Order{Owner: row.Owner, Kind: kindOf(leaf), Use: use &^ covered[owner]}})
	covered[owner] |= use
	return nil
}

// key is an owner as a map knows it: addresses without regard to case (Direct 4.1.1).
func key(o store.Owner) store.Owner {
	if !o.Address.IsZero() {
		o.Address.Endpoint = o.Address.Key()
	}
	return o
}

// covered is what an owner has certificates in use for.
func (h holding) covered(o store.Owner) (u Use) {
	for _, l := range h.lines {
		if key(l.row.Owner) == key(o) {
			u |= l.order.Use
		}
	}
	return u
}

// successor is a new certificate with its key, before both are kept.
type successor struct {
	order       Order // of the server's: zero
	certificate *x509.Certificate
	key         crypto.Signer
	detail      map[string]string // for the audit
}

// renew issues what is due: certificates for mail of the domain and its accounts, and the server's. Each gets a new key. Those before
// stay, with their keys, to decrypt (Direct 1.4).
func (a *Authority) renew(ctx context.Context, now time.Time) error {
	by := a.newest()
	if !now.Before(by.certificate.NotAfter) {
		return nil // nothing that could be issued would be valid
	}
	h, err := a.holding(ctx)
	if err != nil {
		return err
	}
	made, err := a.successors(h, by, now)
	if err != nil {
		return err
	}
	server, err := a.nextServer(h, by, now)
	if err != nil || len(made) == 0 && server == nil && len(h.spent) == 0 && h.state.Recorded {
		return err
	}
	return a.store.Tx(ctx, func(tx *store.Tx) error {
		st := h.state
		if err := a.record(tx, &st, h.issued); err != nil {
			return err
		}
		for _, row := range h.spent {
			if err := tx.RetireCert(row.ID, now); err != nil {
				return err
			}
		}
		for _, s := range made {
			if err := a.keep(ctx, tx, h, s, now); err != nil {
				return err
			}
		}
		if server != nil {
			if err := a.keepServer(ctx, tx, &st, server); err != nil {
				return err
			}
		}
		return a.write(tx, st, h.version) // also when nothing in it changes: store.ErrConflict if somebody else was first
	})
}

// successors makes the certificates for mail that are due.
func (a *Authority) successors(h holding, by generation, now time.Time) (out []successor, err error) {
	add := func(have *x509.Certificate, o Order, why string) error {
		s, err := a.make(by, a.mail(by, o, now), o.Kind, why, have)
		s.order = o
		out = append(out, s)
		return err
	}
	for _, l := range h.lines {
		if why := a.due(h.state, l.leaf, a.mail(by, l.order, now), now); why != "" {
			if err := add(l.leaf, l.order, why); err != nil {
				return nil, err
			}
		}
	}
	for _, d := range a.domains() {
		us := store.Owner{Domain: d}
		if missing := Both &^ h.covered(us); missing != 0 { // the organisation always has one
			if err := add(nil, Order{Owner: us, Kind: RSA2048, Use: missing}, "there is none"); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (a *Authority) nextServer(h holding, by generation, now time.Time) (*successor, error) {
	template := a.server(by, a.opts.Hostname, a.opts.IPs, now)
	why := "there is none"
	if h.server != nil {
		why = a.due(h.state, h.server, template, now)
	}
	if why == "" {
		return nil, nil
	}
	s, err := a.make(by, template, P256, why, h.server)
	return &s, err
}

// make issues what template says, for a new key. Keys are made here, before any transaction.
func (a *Authority) make(by generation, template *x509.Certificate, kind Kind, why string, have *x509.Certificate) (s successor, err error) {
	if s.key, err = kind.generate(); err != nil {
		return s, err
	}
	if s.certificate, err = issue(template, by.certificate, s.key.Public(), by.key); err != nil {
		return s, err
	}
	s.detail = map[string]string{"serial": s.certificate.SerialNumber.Text(16), "sha256": fingerprint(s.certificate.Raw), "reason": why}
	if have != nil {
		s.detail["replaces"] = have.SerialNumber.Text(16)
	}
	return s, nil
}

// keep puts a certificate for mail into use, and takes out of it what it is a successor of.
func (a *Authority) keep(ctx context.Context, tx *store.Tx, h holding, s successor, now time.Time) error {
	handle, err := a.keys.Import(ctx, tx, s.key)
	if err != nil {
		return err
	}
	for _, old := range h.lines {
		if key(old.row.Owner) == key(s.order.Owner) && old.order.Use&^s.order.Use == 0 {
			if err := tx.RetireCert(old.row.ID, now); err != nil {
				return err
			}
		}
	}
	var chain []byte
	for _, c := range a.above(s.certificate, now) {
		chain = append(chain, c.Raw...)
	}
	err = tx.InsertCert(&store.Cert{Owner: s.order.Owner, Key: handle, DER: s.certificate.Raw, Chain: chain,
		NotBefore: s.certificate.NotBefore, NotAfter: s.certificate.NotAfter})
	if err != nil {
		return err
	}
	s.detail["use"], s.detail["for"] = s.order.Use.String(), "organisation"
	if !s.order.Owner.Address.IsZero() {
		s.detail["for"] = "address"
	}
	return a.auditIssue(tx, actor, s)
}

func (a *Authority) keepServer(ctx context.Context, tx *store.Tx, st *state, s *successor) error {
	handle, err := a.keys.Import(ctx, tx, s.key)
	if err != nil {
		return err
	}
	st.Server, st.ServerKey = s.certificate.Raw, []byte(handle)
	s.detail["for"] = "server"
	return a.auditIssue(tx, actor, *s)
}

// auditIssue notes that s was issued, for people and for the responder.
func (a *Authority) auditIssue(tx *store.Tx, by audit.Actor, s successor) error {
	if err := tx.InsertIssued(a.Domain, s.certificate.SerialNumber, s.certificate.Raw); err != nil {
		return err
	}
	return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.issue", Object: a.object(), Detail: s.detail})
}

// record notes what was issued before there was a table for it.
func (a *Authority) record(tx *store.Tx, st *state, issued [][]byte) error {
	if st.Recorded {
		return nil
	}
	st.Recorded = true
	for _, der := range issued {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if err := tx.InsertIssued(a.Domain, c.SerialNumber, c.Raw); err != nil {
			return err
		}
	}
	return nil
}

// due says why have is to be replaced by what template says, or nothing.
func (a *Authority) due(st state, have, template *x509.Certificate, now time.Time) string {
	by, ours := a.generationOf(have)
	switch {
	case st.revoked(have.SerialNumber):
		return "it is revoked"
	case now.Before(have.NotBefore):
		return "it is not valid yet" // the clock has been set back
	case ours && !a.pointsTrue(have, by):
		return "its pointers changed"
	case !slices.Equal(have.DNSNames, template.DNSNames) || !slices.Equal(addresses(have.IPAddresses), addresses(template.IPAddresses)):
		return "its names changed"
	case have.NotAfter.Sub(now) < have.NotAfter.Sub(have.NotBefore)/3 && template.NotAfter.After(have.NotAfter):
		return "it ends soon"
	}
	return ""
}

// addresses are ips as a set: in order, each once.
func addresses(ips []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, a.Unmap())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
