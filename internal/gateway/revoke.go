package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/dnsd"
	"carepost/internal/flow"
	"carepost/internal/pilot"
	"carepost/internal/store"
	"carepost/internal/transit"
)

const (
	lately  = 90 * 24 * time.Hour // for how long a partner is one that we write with
	mostFew = 1000                // partners that are told at once
)

// errNoPilot says that there is no authority of our own.
var errNoPilot = &admind.Error{Status: 404, Code: admind.NotFound,
	Reason: "this installation has no pilot authority: its certificates come from another one, which also takes them back"}

// pilotError tells people what the authority does not do.
func pilotError(err error) error {
	switch {
	case errors.Is(err, pilot.ErrOrder):
		return &admind.Error{Status: 400, Code: admind.Usage, Reason: strings.TrimPrefix(err.Error(), pilot.ErrOrder.Error()+": ")}
	case errors.Is(err, pilot.ErrNotIssued):
		return &admind.Error{Status: 404, Code: admind.NotFound, Reason: "the pilot authority has issued no certificate of that serial number or SHA-256; " +
			"one of another authority is taken back by that authority"}
	case errors.Is(err, pilot.ErrAuthority):
		return &admind.Error{Status: 422, Code: admind.Refused, Clause: "RFC 5280 §6.1", Reason: "that is a certificate of the authority itself, which nobody looks up in " +
			"its own list: have partners remove it from their anchors"}
	}
	return err
}

// pilotHost is what the operator can have of the pilot authority.
func (g *Gateway) pilotHost() admind.PilotHost {
	return admind.PilotHost{Anchors: g.anchorsOfAuthority, Issue: g.issue, Revoke: g.takeBack, Advice: g.advice}
}

func (g *Gateway) anchorsOfAuthority(context.Context) (out admind.Authority, err error) {
	if g.authority == nil {
		return out, errNoPilot
	}
	for _, c := range g.authority.Anchors(g.opts.Clock()) {
		out.Anchors = append(out.Anchors, admind.AuthorityKey{Subject: c.Subject.String(), Serial: c.SerialNumber.Text(16), SHA256: sha256Hex(c),
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issues: c.Equal(g.authority.Anchor()), PEM: pemOf(c)})
	}
	return out, nil
}

// issue gives an owner a certificate, and publishes it.
func (g *Gateway) issue(ctx context.Context, by audit.Actor, o admind.PilotOrder) (out admind.IssuedCertificate, err error) {
	if g.authority == nil {
		return out, errNoPilot
	}
	owner, err := admin.ParseOwner(o.Owner)
	if err != nil {
		return out, err
	}
	order := pilot.Order{Owner: owner}
	if order.Kind, err = pilot.ParseKind(o.Kind); err == nil {
		order.Use, err = pilot.ParseUse(o.Use)
	}
	if err != nil {
		return out, pilotError(err)
	}
	made, err := g.authority.Issue(ctx, by, order, g.opts.Clock())
	if err != nil {
		return out, pilotError(err)
	}
	out = issuedOf(made.Certificate)
	out.Kind, out.Use = string(order.Kind), order.Use.String()
	if !owner.Address.IsZero() {
		a, err := g.advice(ctx, owner.Address)
		if err != nil {
			return out, err
		}
		out.Warnings = a.Warnings
	}
	return out, g.publish(ctx)
}

// takeBack revokes a certificate, gives its owner another, publishes both, and tells partners where that is asked for.
func (g *Gateway) takeBack(ctx context.Context, by audit.Actor, o admind.RevokeOrder) (out admind.Revoked, err error) {
	if g.authority == nil {
		return out, errNoPilot
	}
	reason, err := pilot.ParseReason(o.Reason)
	if err != nil {
		return out, pilotError(err)
	}
	c, err := g.authority.Find(ctx, o.Which)
	if err != nil {
		return out, pilotError(err)
	}
	r, err := g.authority.Replace(ctx, by, c, reason, g.opts.Clock())
	if err != nil {
		return out, pilotError(err)
	}
	if err := errors.Join(g.publish(ctx), g.showAgain(ctx)); err != nil {
		return out, err
	}
	out = admind.Revoked{Owner: r.Owner, Serial: c.SerialNumber.Text(16), SHA256: sha256Hex(c), Reason: r.Reason.String(), At: r.At, Already: r.Already,
		Partners: []addr.Domain{}, Told: []admind.Told{}}
	if r.Successor != nil {
		s := issuedOf(r.Successor)
		out.Successor = &s
	}
	partners, err := g.partners(ctx)
	if out.Partners = append(out.Partners, partners...); err != nil || !o.Tell {
		return out, err
	}
	told, err := g.tell(ctx, by, out)
	out.Told = append(out.Told, told...)
	return out, err
}

// partners are the domains that we have exchanged mail with lately, by name.
func (g *Gateway) partners(ctx context.Context) (out []addr.Domain, err error) {
	err = g.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.WrittenWith(g.opts.Clock().Add(-lately), mostFew)
		return err
	})
	return slices.DeleteFunc(out, func(d addr.Domain) bool { return slices.Contains(g.domains(), d) }), err
}

// tell writes to the postmaster of each partner that a certificate of ours is good no more (Direct 6.1). The letters go the way of all
// mail: signed, sealed, and only to those whom we trust; what cannot be sent comes back to our postmaster. Each partner has one of its own,
// so that none learns of the others. Who was written to on the same day is not written to again: whatever broke off in between, the command
// can be given once more.
func (g *Gateway) tell(ctx context.Context, by audit.Actor, r admind.Revoked) (told []admind.Told, err error) {
	from := addr.Address{Endpoint: "postmaster", Domain: g.domainOf(r.Owner)}
	if err := g.AddAccount(ctx, by, from); err != nil { // RFC 5321 §4.5.1: it is one that must be there
		return nil, fmt.Errorf("gateway: telling partners: %w", err)
	}
	for _, d := range r.Partners {
		to := addr.Address{Endpoint: "postmaster", Domain: d}
		id, err := g.flow.Submit(ctx, by, transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{to}}, strings.NewReader(g.letter(r, from, to)))
		if no := (*flow.Refusal)(nil); errors.As(err, &no) && no.Clause == "RFC 5322 §3.6.4" {
			continue // the letter of today is on its way in other words, or has come back
		}
		if err != nil {
			return told, fmt.Errorf("gateway: telling %s: %w", d, err)
		}
		told = append(told, admind.Told{Domain: d, Message: id})
	}
	return told, g.store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.tell", Object: "domain:" + from.Domain.String(),
			Detail: map[string]string{"serial": r.Serial, "partners": strconv.Itoa(len(told))}})
	})
}

// domainOf is the one of our domains that a certificate is of: of the server's, the first.
func (g *Gateway) domainOf(owner string) addr.Domain {
	_, d, isAddress := strings.Cut(owner, "@")
	if !isAddress {
		d = owner
	}
	if at := slices.Index(g.domains(), addr.Domain(strings.ToLower(d))); at > 0 {
		return g.domains()[at]
	}
	return g.opts.Domain
}

// letter is what partners read.
func (g *Gateway) letter(r admind.Revoked, from, to addr.Address) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	date := g.opts.Clock().UTC().Truncate(24 * time.Hour)
	if r.At.After(date) {
		date = r.At
	}
	// Two letters of one day are the same to the octet, and have one name: the second is taken for a repeat of the first.
	id := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", r.SHA256, to.Domain, date.UTC().Format(time.DateOnly)))
	line("From: %s\r\nTo: %s\r\nDate: %s\r\nMessage-ID: <%x@%s>", from, to, date.UTC().Format(time.RFC1123Z), id[:16], from.Domain)
	line("Subject: A certificate of %s is revoked\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", from.Domain)
	line("A certificate of %s is good no more:\r\n", from.Domain)
	line("  of             %s\r\n  serial number  %s\r\n  SHA-256        %s\r\n  revoked        %s\r\n  reason         %s\r\n",
		r.Owner, r.Serial, r.SHA256, r.At.UTC().Format(time.RFC3339), r.Reason)
	line("Please remove copies that you keep of it, and encrypt nothing to it. Mail that was signed with it since then is not from us.\r\n")
	if s := r.Successor; s != nil {
		line("In its place is now, published where the former one was:\r\n")
		line("  serial number  %s\r\n  SHA-256        %s\r\n  until          %s\r\n", s.Serial, s.SHA256, s.NotAfter.UTC().Format(time.RFC3339))
	}
	line("Our revocation list and our OCSP responder say the same. If you doubt this letter, call us at a number that you know.")
	return b.String()
}

// advice says what an address gives away (Direct 6.1), and with whom it shares a name in DNS (Direct 5.1).
func (g *Gateway) advice(ctx context.Context, a addr.Address) (out admind.Advice, err error) {
	out.Warnings = []string{}
	for _, w := range admin.Revealing(a, g.opts.Clock()) {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s: %s; an address is read by everybody who sees it (Direct 6.1)", a, w))
	}
	z := dnsd.Zone{Origin: a.Domain, MX: []dnsd.MX{{Pref: 10, Host: g.opts.Hostname}}}
	z.CERT = append(z.CERT, dnsd.CERT{For: addr.Address{Domain: a.Domain}})
	err = g.store.View(ctx, func(tx *store.Tx) error {
		for _, d := range g.domains() {
			if !below(d.String(), a.Domain) && !below(a.Domain.String(), d) {
				continue // it has no name of theirs
			}
			if d != a.Domain {
				z.CERT = append(z.CERT, dnsd.CERT{For: addr.Address{Domain: d}})
			}
			accounts, err := tx.Accounts(d)
			if err != nil {
				return err
			}
			for _, other := range accounts {
				if !other.Address.Equal(a) {
					z.CERT = append(z.CERT, dnsd.CERT{For: other.Address})
				}
			}
		}
		return nil
	})
	before := z.Warnings()
	z.CERT = append(z.CERT, dnsd.CERT{For: a})
	for _, w := range z.Warnings() {
		if !slices.Contains(before, w) {
			out.Warnings = append(out.Warnings, w)
		}
	}
	return out, err
}

func issuedOf(c *x509.Certificate) admind.IssuedCertificate {
	owner := c.Subject.CommonName
	for _, names := range [][]string{c.DNSNames, c.EmailAddresses} {
		if len(names) > 0 {
			owner = names[0]
		}
	}
	return admind.IssuedCertificate{Owner: owner, Serial: c.SerialNumber.Text(16), SHA256: sha256Hex(c), NotAfter: c.NotAfter, PEM: pemOf(c)}
}

func sha256Hex(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}
