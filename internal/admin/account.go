package admin

import (
	"context"
	"errors"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// AddAccount gives a domain of ours an address, or opens a closed one again: with the mail it had, without password and folders.
// ErrOpen, ErrNoDomain.
func (s *Service) AddAccount(ctx context.Context, by audit.Actor, a addr.Address) error {
	certified := false
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		account, err := tx.InsertAccount(a)
		if err != nil {
			return err
		}
		if certified, err = hasCertificate(tx, a); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "account.create", Object: object(account)})
	})
	switch {
	case errors.Is(err, store.ErrDuplicate):
		return ErrOpen
	case errors.Is(err, store.ErrNotFound):
		return ErrNoDomain
	}
	if err == nil && certified { // from before it was closed
		err = s.published(ctx)
	}
	return prefix("add account", err)
}

// hasCertificate says that what is published depends on whether the address is open.
func hasCertificate(tx *store.Tx, a addr.Address) (bool, error) {
	rows, err := tx.Certs(store.Owner{Address: a})
	return len(rows) > 0, err
}

// CloseAccount ends the use of an address: nothing is sent or taken for it, and its password and folders are forgotten, and its
// certificates are published no more. Its mail stays.
func (s *Service) CloseAccount(ctx context.Context, by audit.Actor, a addr.Address) error {
	certified := false
	err := s.change(ctx, by, a, "account.close", nil, func(tx *store.Tx, account Account) (err error) {
		if certified, err = hasCertificate(tx, a); err != nil {
			return err
		}
		return tx.CloseAccount(account.ID)
	})
	if err == nil && certified {
		err = prefix("close account", s.published(ctx))
	}
	return err
}

// Accounts lists those of a domain, closed ones too, oldest first; of all domains when d is empty.
func (s *Service) Accounts(ctx context.Context, by audit.Actor, d addr.Domain) (out []Account, err error) {
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		domains, err := s.domains(tx, d)
		for _, d := range domains {
			of, err := tx.Accounts(d)
			if err != nil {
				return err
			}
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "account.list", Object: "domain:" + d.String()}); err != nil {
				return err
			}
			out = append(out, of...)
		}
		return err
	})
	return out, known("accounts", err)
}

// domains are d, or all of ours when d is empty. ErrNoDomain.
func (s *Service) domains(tx *store.Tx, d addr.Domain) (out []addr.Domain, err error) {
	if d != "" {
		_, err := tx.Domain(d)
		if errors.Is(err, store.ErrNotFound) {
			err = ErrNoDomain
		}
		return []addr.Domain{d}, err
	}
	all, err := tx.Domains()
	for _, d := range all {
		out = append(out, d.Name)
	}
	return out, err
}

// SetDrops says into which folders an account's mail is put as well. *Invalid.
func (s *Service) SetDrops(ctx context.Context, by audit.Actor, a addr.Address, d Drops) error {
	d, err := s.checkDrops(d)
	if err != nil {
		return err
	}
	detail := map[string]string{"maildir": d.Maildir, "studies": d.Studies}
	return s.change(ctx, by, a, "account.drops", detail, func(tx *store.Tx, account Account) error { return tx.SetDrops(account.ID, d) })
}

// Actor is how an account is named where it acts. ErrNoAccount.
func (s *Service) Actor(ctx context.Context, a addr.Address) (audit.Actor, error) {
	var account Account
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		account, err = open(tx, a)
		return err
	})
	return audit.Actor(object(account)), known("account", err)
}

// change does something to an open account and writes it down.
func (s *Service) change(ctx context.Context, by audit.Actor, a addr.Address, action string, detail map[string]string, do func(*store.Tx, Account) error) error {
	return known(action, s.store.Tx(ctx, func(tx *store.Tx) error {
		account, err := open(tx, a)
		if err != nil {
			return err
		}
		if err := do(tx, account); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: action, Object: object(account), Detail: detail})
	}))
}

// open finds an open account. ErrNoAccount.
func open(tx *store.Tx, a addr.Address) (Account, error) {
	account, err := tx.Account(a)
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNoAccount
	}
	return account, err
}

func object(a Account) string { return "account:" + a.ID }

// known leaves our own errors as they are and prefixes the others.
func known(what string, err error) error {
	for _, own := range []error{ErrNoAccount, ErrNoDomain, ErrNoAnchor, ErrNoPin, ErrNoCertificate} {
		if errors.Is(err, own) {
			return own
		}
	}
	return prefix(what, err)
}
