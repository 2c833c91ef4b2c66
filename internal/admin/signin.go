package admin

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Authenticate says whose account it is that signs in from peer with this name, an address, and this password. ErrCredentials: nobody's.
// ErrTooMany: not judged, for too much has failed before. ErrBusy and other errors: not known now.
func (s *Service) Authenticate(ctx context.Context, peer netip.Addr, user, password string) (addr.Address, error) {
	k := keysOf(peer, user)
	if s.tries.held(k, s.clock()) > 0 {
		return addr.Address{}, ErrTooMany
	}
	account, err := s.judge(ctx, k, user, password)
	switch {
	case err == nil:
		err = s.note(ctx, audit.Entry{Actor: audit.Actor(object(account)), Action: "account.sign-in", Object: object(account)}, account, peer)
	case errors.Is(err, ErrCredentials):
		err = cmp.Or(s.note(ctx, audit.Entry{Actor: "admin", Action: "account.sign-in-refuse", Object: object(account)}, account, peer), err)
	}
	if err != nil {
		return addr.Address{}, err
	}
	return account.Address, nil
}

// judge does the work of a sign-in, in turn, and counts the try. With ErrCredentials goes the account that was tried, if there is one.
func (s *Service) judge(ctx context.Context, k keys, user, password string) (account Account, err error) {
	done, err := s.turn(ctx)
	if err != nil {
		return Account{}, err
	}
	defer done()
	if s.tries.held(k, s.clock()) > 0 { // others of this client have failed meanwhile
		return Account{}, ErrTooMany
	}
	account, phc, err := s.credentials(ctx, user)
	if err != nil {
		return Account{}, prefix("sign in", err)
	}
	prepared, ok := prepare(password)
	if !fits(phc, prepared) || !ok {
		s.tries.failed(k, s.clock())
		return account, ErrCredentials
	}
	s.tries.passed(k, s.clock())
	return account, nil
}

// turn waits until a hash may be computed. The caller calls the function when it is.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	t := time.NewTimer(s.wait)
	defer t.Stop()
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-t.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, prefix("sign in", ctx.Err())
	}
}

// credentials finds the account of that name and its hash. Where there is none, the account is one that nobody has.
func (s *Service) credentials(ctx context.Context, user string) (account Account, phc string, err error) {
	nobody := Account{ID: "unknown"}
	a, err := addr.Parse(user)
	if err != nil {
		return nobody, "", nil
	}
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		if account, err = tx.Account(a); err != nil {
			return err
		}
		phc, err = tx.Password(account.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nobody, "", nil
	}
	return account, phc, err
}

// note writes down how a sign-in ended.
func (s *Service) note(ctx context.Context, e audit.Entry, a Account, peer netip.Addr) error {
	e.Detail = map[string]string{"peer": peer.Unmap().String()}
	if a.Address != (addr.Address{}) { // else nobody's: what was typed may be a password
		e.Detail["account"] = a.Address.String()
	}
	return prefix("sign in", s.store.Tx(ctx, func(tx *store.Tx) error { return audit.Write(tx, e) }))
}
