package flow

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/trust"
)

// author refuses what an account may not sign: its own address stands in From; or, where the operator has allowed that, in Sender, while
// From is another account of ours (RFC 5322 §3.6.2), and a certificate speaks for both (Direct 1.4, 2.2; DIR-10, DIR-46).
func (f *Flow) author(ctx context.Context, h message.Header, env transit.Envelope) error {
	account := env.From.Address
	from, err := h.Mailboxes("From")
	if err != nil || len(from) != 1 {
		return &Refusal{"Direct 2.2", "the From field is not the account that sends"}
	}
	if h.Has("Sender") {
		sender, err := h.Mailboxes("Sender")
		if err != nil || len(sender) != 1 || !sender[0].Address.Equal(account) {
			return &Refusal{"Direct 2.2", "the Sender field is not the account that sends"}
		}
	}
	author := from[0].Address
	switch {
	case author.Equal(account):
		return nil
	case !f.OnBehalf:
		return &Refusal{"Direct 2.2", "the From field is not the account that sends; writing in another's name is for the operator to allow"}
	case !h.Has("Sender"):
		return &Refusal{"RFC 5322 §3.6.2", "the From field is not the account that sends, and no Sender field says who does"}
	}
	ours, err := f.account(ctx, author)
	if err != nil {
		return err
	}
	if !ours {
		return &Refusal{"Direct 1.4", "the From field names no account of this installation"}
	}
	_, err = f.signer(ctx, f.Policy, account, f.Clock(), author)
	if errors.Is(err, errNoCertificate) {
		return &Refusal{"Direct 4.1", "no certificate speaks for both the From and the Sender"}
	}
	return err
}

// inNameOf are the addresses that the signature of a message must speak for besides its envelope's sender.
func (m *outgoing) inNameOf() []addr.Address {
	out := slices.Clone(m.Header.SignFor)
	from, err := m.header.Mailboxes("From")
	if err == nil && len(from) == 1 && !from[0].Address.Equal(m.Envelope.From.Address) {
		out = append(out, from[0].Address)
	}
	return out
}

// speaksFor says whether a certificate is bound to an address (Direct 4.1).
func speaksFor(c *x509.Certificate, a addr.Address) bool {
	binding, _ := trust.Names(c, a)
	return binding != trust.Unbound
}
