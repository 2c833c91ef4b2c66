package pilot

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// holding is what the domain has of its authority.
type holding struct {
	state   state
	version int64

	inUse        []store.Cert      // organisational certificates that are not retired
	organisation *x509.Certificate // the newest of them, or nil
	server       *x509.Certificate // or nil
}

// Issued says whether the authority issued c.
func (a *Authority) Issued(c *x509.Certificate) bool {
	return c.CheckSignatureFrom(a.Certificate) == nil
}

func (a *Authority) holding(ctx context.Context) (h holding, err error) {
	var rows []store.Cert
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		if h.state, h.version, err = a.read(tx); err != nil {
			return err
		}
		rows, err = tx.Certs(store.Owner{Domain: a.Domain})
		return err
	})
	if err != nil {
		return h, err
	}
	for _, row := range rows {
		leaf, err := x509.ParseCertificate(row.DER)
		if err != nil {
			return h, err
		}
		if row.NotAfter.Before(leaf.NotAfter) || !a.Issued(leaf) {
			continue // retired, or of an authority that we do not speak for
		}
		if h.inUse = append(h.inUse, row); h.organisation == nil {
			h.organisation = leaf
		}
	}
	if h.state.Server != nil {
		h.server, err = x509.ParseCertificate(h.state.Server)
	}
	return h, err
}

// successor is a new certificate with its key, before both are kept.
type successor struct {
	certificate *x509.Certificate
	key         crypto.Signer
	detail      map[string]string // for the audit
}

// renew issues the organisational and the server certificate where they are due. Each gets a new key. The organisational
// certificates before it stay, with their keys, to decrypt (Direct 1.4).
func (a *Authority) renew(ctx context.Context, now time.Time) error {
	if !now.Before(a.Certificate.NotAfter) {
		return nil // nothing that could be issued would be valid
	}
	h, err := a.holding(ctx)
	if err != nil {
		return err
	}
	organisation, err := a.succeed(h, h.organisation, a.organisational(a.Domain, now), now, func() (crypto.Signer, error) {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	})
	if err != nil {
		return err
	}
	server, err := a.succeed(h, h.server, a.server(a.opts.Hostname, a.opts.IPs, now), now, func() (crypto.Signer, error) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	})
	if err != nil || organisation == nil && server == nil {
		return err
	}
	return a.store.Tx(ctx, func(tx *store.Tx) error {
		st := h.state
		if organisation != nil {
			if err := a.keepOrganisation(ctx, tx, h, organisation, now); err != nil {
				return err
			}
		}
		if server != nil {
			handle, err := a.keys.Import(ctx, tx, server.key)
			if err != nil {
				return err
			}
			st.Server, st.ServerKey = server.certificate.Raw, []byte(handle)
			if err := a.auditIssue(tx, "server", server); err != nil {
				return err
			}
		}
		return a.write(tx, st, h.version) // also when nothing in it changes: store.ErrConflict if somebody else was first
	})
}

func (a *Authority) keepOrganisation(ctx context.Context, tx *store.Tx, h holding, s *successor, now time.Time) error {
	handle, err := a.keys.Import(ctx, tx, s.key)
	if err != nil {
		return err
	}
	for _, old := range h.inUse {
		if err := tx.RetireCert(old.ID, now); err != nil {
			return err
		}
	}
	err = tx.InsertCert(&store.Cert{
		Owner: store.Owner{Domain: a.Domain}, Key: handle, DER: s.certificate.Raw, Chain: a.Certificate.Raw,
		NotBefore: s.certificate.NotBefore, NotAfter: s.certificate.NotAfter,
	})
	if err != nil {
		return err
	}
	return a.auditIssue(tx, "organisation", s)
}

func (a *Authority) auditIssue(tx *store.Tx, what string, s *successor) error {
	s.detail["for"] = what
	return audit.Write(tx, audit.Entry{Actor: actor, Action: "certificate.issue", Object: "domain:" + a.Domain.String(), Detail: s.detail})
}

// succeed makes a certificate from template if have is due, nil otherwise. The key is made here, before any transaction.
func (a *Authority) succeed(h holding, have, template *x509.Certificate, now time.Time, newKey func() (crypto.Signer, error)) (*successor, error) {
	reason := due(h.state, have, template, now)
	if reason == "" {
		return nil, nil
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	c, err := a.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	s := &successor{c, key, map[string]string{"serial": c.SerialNumber.Text(16), "reason": reason}}
	if have != nil {
		s.detail["replaces"] = have.SerialNumber.Text(16)
	}
	return s, nil
}

// due says why have is to be replaced by what template says, or nothing.
func due(st state, have, template *x509.Certificate, now time.Time) string {
	switch {
	case have == nil:
		return "there is none"
	case st.revoked(have.SerialNumber):
		return "it is revoked"
	case now.Before(have.NotBefore):
		return "it is not valid yet" // the clock has been set back
	case !slices.Equal(have.IssuingCertificateURL, template.IssuingCertificateURL) ||
		!slices.Equal(have.CRLDistributionPoints, template.CRLDistributionPoints):
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
