package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/flow"
	"carepost/internal/smtpd"
	"carepost/smtp"
)

// A mail server of the house may hand over all the mail that goes out of it, without signing in: each recipient is sealed for, or refused
// while that server still has the message and can tell its sender (Direct 6.1, DIR-55). Nothing leaves in clear, for there is no way out
// that does not seal.

// host says whether a client is one of these servers.
func (g *Gateway) host(s smtpd.Session) bool { return g.ofTheHouse(s.Peer.Addr().Unmap()) }

func (g *Gateway) ofTheHouse(ip netip.Addr) bool {
	return slices.ContainsFunc(g.opts.Hosts, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// sender lets an account send as itself, and a server of the house as every account.
func (g *Gateway) sender(ctx context.Context, s smtpd.Session, from addr.Path) *smtp.Reply {
	if !s.Account.IsZero() {
		if from.IsNull() || !from.Address.Equal(s.Account) {
			return smtp.NewReply(553, "5.7.1", "You may send as the address you signed in with, and this is another: set it as sender and From")
		}
		return nil
	}
	if from.IsNull() {
		return smtp.NewReply(553, "5.7.1", "Reports are not passed on from here")
	}
	_, err := g.admin.Actor(ctx, from.Address)
	switch {
	case errors.Is(err, admin.ErrNoAccount):
		return smtp.NewReply(553, "5.7.1", "Direct 1.4: the sender is no account of this installation")
	case err != nil:
		return smtp.NewReply(451, "4.3.0", "Not at present, try again later")
	}
	return nil
}

// sealable says of each recipient that a server of the house names whether a message would be sealed for him.
func (g *Gateway) sealable(ctx context.Context, s smtpd.Session, to addr.Path) *smtp.Reply {
	if !s.Account.IsZero() {
		return nil // a person reads the report in his mailbox
	}
	err := g.flow.Sealable(ctx, s.From.Address, g.home(to.Address))
	if r := (*flow.Refusal)(nil); errors.As(err, &r) {
		return smtp.NewReply(550, "5.7.5", r.Clause+": "+r.Reason)
	}
	if err != nil {
		return smtp.NewReply(451, "4.7.5", "It is not known at present whether this recipient can be sealed for, try again later")
	}
	return nil
}
