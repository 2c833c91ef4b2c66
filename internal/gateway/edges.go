package gateway

import (
	"context"
	"errors"
	"io"

	"carepost/addr"
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
	if l.DNS != nil {
		rooms["dnsd"] = func(ctx context.Context) error { return g.dns.Serve(ctx, l.DNS, l.DNSTCP) }
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

func (g *Gateway) accept(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
	for i := range env.To {
		env.To[i] = g.home(env.To[i])
	}
	id, err := g.flow.Accept(ctx, env, body)
	if r := (*flow.Refusal)(nil); errors.As(err, &r) {
		return "", &smtpd.Refusal{Text: r.Clause + ": " + r.Reason}
	}
	return id, err
}
