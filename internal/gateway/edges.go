package gateway

import (
	"context"
	"errors"
	"io"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/smtp"
)

// edges names what serves on the listeners that are there.
func (g *Gateway) edges(rooms map[string]func(context.Context) error) {
	l := g.opts.Listeners
	if l.MX != nil {
		rooms["mx"] = func(ctx context.Context) error { return g.mx.Serve(ctx, l.MX) }
	}
	if l.Submission != nil {
		rooms["submission"] = func(ctx context.Context) error { return g.submission.Serve(ctx, l.Submission) }
	}
	if l.Submissions != nil {
		rooms["submissions"] = func(ctx context.Context) error { return g.submission.ServeTLS(ctx, l.Submissions) }
	}
	if l.Admin != nil {
		rooms["admind"] = func(ctx context.Context) error { return g.admind.Serve(ctx, l.Admin) }
	}
	if l.DNS != nil {
		rooms["dnsd"] = func(ctx context.Context) error { return g.dns.Serve(ctx, l.DNS, l.DNSTCP) }
	}
	if l.LDAP != nil {
		rooms["ldapd"] = func(ctx context.Context) error { return g.ldap.Serve(ctx, l.LDAP) }
	}
	if l.DICOM != nil {
		rooms["dicom"] = func(ctx context.Context) error { return g.dicom.Serve(ctx, l.DICOM) }
	}
	if l.DICOMTLS != nil {
		rooms["dicom by TLS"] = func(ctx context.Context) error { return g.dicom.ServeTLS(ctx, l.DICOMTLS) }
	}
	if l.DICOMWeb != nil {
		rooms["dicomweb"] = func(ctx context.Context) error { return g.web.Serve(ctx, l.DICOMWeb) }
	}
	if l.HTTP != nil {
		rooms["certd"] = func(ctx context.Context) error { return g.http.Serve(ctx, l.HTTP) }
	}
}

// rcpt takes mail for our own domains. Whether somebody has the address is told to nobody who is not trusted.
func (g *Gateway) rcpt(ctx context.Context, _ smtpd.Session, to addr.Path) *smtp.Reply {
	local, err := g.flow.IsLocal(ctx, g.home(to.Address).Domain)
	switch {
	case err != nil:
		return &smtp.Reply{Code: 451, Enhanced: "4.3.0", Text: []string{"try again later"}}
	case !local:
		return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"mail for that domain is not taken here"}}
	}
	return nil
}

// home maps the postmaster of our host, who must be reachable (RFC 5321 §4.5.1), to that of our domain.
func (g *Gateway) home(a addr.Address) addr.Address {
	if a.Domain.String() == g.opts.Hostname {
		a.Domain = g.opts.Domain
	}
	return a
}

func (g *Gateway) bringHome(env *transit.Envelope) {
	for i, to := range env.To {
		env.To[i] = g.home(to)
		if w, ok := env.Wishes[to.Key()]; ok {
			env.Wishes[env.To[i].Key()] = w
		}
	}
}

func (g *Gateway) accept(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
	g.bringHome(&env)
	id, err := g.flow.Accept(ctx, env, body)
	return id, refusal(err, 0, "")
}

// signIn says whose account a mail program speaks for.
func (g *Gateway) signIn(ctx context.Context, s smtpd.Session, user, password string) (addr.Address, error) {
	a, err := g.admin.Authenticate(ctx, s.Peer.Addr(), user, password)
	if errors.Is(err, admin.ErrCredentials) {
		return a, smtpd.ErrCredentials
	}
	return a, err
}

// submit takes mail of our own accounts (RFC 6409). Who sends has been proven by signIn.
func (g *Gateway) submit(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
	by, err := g.admin.Actor(ctx, env.From.Address)
	if errors.Is(err, admin.ErrNoAccount) { // closed since
		return "", &smtpd.Refusal{Code: 550, Enhanced: "5.7.1", Text: "Direct 1.4: the account is closed"}
	}
	if err != nil {
		return "", err
	}
	if ip := env.Peer.Addr().Unmap(); !env.SignedIn && g.ofTheHouse(ip) {
		by = audit.Actor("host:" + ip.String())
	}
	g.bringHome(&env)
	id, err := g.flow.Submit(ctx, by, env, body)
	return id, refusal(err, 550, "5.7.1")
}

// refusal turns a refusal of the flow into a reply; other errors are temporary for the client.
func refusal(err error, code int, enhanced string) error {
	if r := (*flow.Refusal)(nil); errors.As(err, &r) {
		return &smtpd.Refusal{Code: code, Enhanced: enhanced, Text: r.Clause + ": " + r.Reason}
	}
	return err
}
