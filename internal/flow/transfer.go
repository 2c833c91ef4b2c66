package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carepost/addr"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

const (
	keepTransfers = 400 * 24 * time.Hour // how long it is known of which mails a large set was made
	mostTransfers = 1000                 // of an account, that are listed
)

// Transfer is a large set that goes, or comes, in several mails.
type Transfer struct{ store.Transfer }

// Ours says that it goes.
func (t Transfer) Ours() bool { return t.Kind == store.TransferOut }

// NewTransfer is a large set of ours that goes in several mails.
type NewTransfer struct {
	From    addr.Address
	To      []addr.Address
	Subject string
	Parts   []zipmail.Listed // in their order
}

// BeginTransfer registers a large set before its first mail is submitted, and names its parts: the Message-ID under which each is to be
// submitted. The same set by the same account for the same recipients is the same transfer until all of its parts have been submitted: what
// was interrupted goes on, and no part goes twice (see used).
func (f *Flow) BeginTransfer(ctx context.Context, by audit.Actor, n NewTransfer) (out Transfer, err error) {
	if len(n.To) == 0 || len(n.Parts) < 2 {
		return out, &Refusal{"PS3.12 Z.2.1", "a large set goes in two parts at least, and to somebody"}
	}
	var uids []string
	for _, p := range n.Parts {
		uids = append(uids, p.UID)
	}
	sets := zipmail.SetsDigest(uids...)
	var t store.Transfer
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		account, err := tx.Account(n.From)
		if errors.Is(err, store.ErrNotFound) {
			return &Refusal{"Direct 1.4", "the sender is no account of this installation"}
		}
		if err != nil {
			return err
		}
		if err := tx.ForgetTransfers(account.ID, store.TransferOut, f.Clock().Add(-keepTransfers)); err != nil {
			return err
		}
		key := n.key(account.ID, sets)
		for {
			t = store.Transfer{Kind: store.TransferOut, Account: account.ID,
				TransferDetail: store.TransferDetail{To: n.To, Subject: n.Subject, Of: len(n.Parts), Sets: sets}}
			fresh, err := tx.HoldTransfer(&t, key)
			if err != nil {
				return err
			}
			if fresh {
				t.Name = t.ID
				for i, p := range n.Parts {
					id := fmt.Sprintf("<%s.%d@%s>", t.ID, i+1, n.From.Domain)
					t.Parts = append(t.Parts, store.TransferPart{N: i + 1, MessageID: id, UID: p.UID, Instances: p.Instances, Bytes: p.Bytes})
				}
				return errors.Join(tx.SetTransfer(t), transferEntry(tx, by, "transfer.begin", t))
			}
			if err := submitted(tx, n.From, &t); err != nil {
				return err
			}
			if len(Transfer{t}.Outstanding()) > 0 {
				return transferEntry(tx, by, "transfer.resume", t)
			}
			if err := tx.RetireTransfer(t); err != nil { // it was sent before; this is another time
				return err
			}
		}
	})
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		return out, err
	}
	if err != nil {
		return out, fmt.Errorf("flow: transfer: %w", err)
	}
	return Transfer{t}, nil
}

// key is the same for the same set, sender and recipients.
func (n NewTransfer) key(account, sets string) string {
	var to []string
	for _, a := range n.To {
		to = append(to, a.Key())
	}
	slices.Sort(to)
	return fmt.Sprintf("%s\n%q\n%s", account, slices.Compact(to), sets)
}

func transferEntry(tx *store.Tx, by audit.Actor, action string, t store.Transfer) error {
	return audit.Write(tx, audit.Entry{Actor: by, Action: action, Object: "transfer:" + t.ID, Detail: map[string]string{
		"parts": strconv.Itoa(t.Of), "outstanding": strconv.Itoa(len(Transfer{t}.Outstanding())),
	}})
}

// submitted fills in which parts of a transfer of ours have become messages.
func submitted(tx *store.Tx, from addr.Address, t *store.Transfer) error {
	for i := range t.Parts {
		ms, err := tx.MessagesByHeaderID(t.Parts[i].MessageID)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if m.Direction == transit.Outbound && m.Envelope.From.Address.Equal(from) {
				t.Parts[i].Message, t.Parts[i].At = m.ID, m.Received
			}
		}
	}
	return nil
}

// Outstanding are the numbers of the parts that are not there: of ours those that are not submitted, of a partner's those that have not come, or
// not whole.
func (t Transfer) Outstanding() (out []int) {
	there := map[int]bool{}
	for _, p := range t.Parts {
		there[p.N] = p.Message != "" && (t.Kind == store.TransferOut || p.Verdict == "COMPLETE")
	}
	for n := 1; n <= t.Of; n++ {
		if !there[n] {
			out = append(out, n)
		}
	}
	return out
}

// Whole says that all parts are there, each of them COMPLETE, and that they are the ones that the sender listed: proven says that he did. why
// tells what is wrong with parts that do not fit together.
func (t Transfer) Whole() (whole, proven bool, why string) {
	if t.Odd != "" {
		return false, false, t.Odd
	}
	if len(t.Outstanding()) > 0 {
		return false, false, ""
	}
	if t.Sets == "" {
		return true, false, ""
	}
	uids := make([]string, t.Of)
	for _, p := range t.Parts {
		uids[p.N-1] = p.UID
	}
	if zipmail.SetsDigest(uids...) != t.Sets {
		return false, false, "the File-sets are not those that the sender listed"
	}
	return true, true, ""
}

// Transfers lists what an account sent, or got, in several mails, newest first. store.ErrNotFound where there is no such account.
func (f *Flow) Transfers(ctx context.Context, by audit.Actor, of addr.Address, way transit.Direction) (out []Transfer, err error) {
	kind := store.TransferIn
	if way == transit.Outbound {
		kind = store.TransferOut
	}
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		account, err := tx.Account(of)
		if err != nil {
			return err
		}
		all, err := tx.Transfers(account.ID, kind, mostTransfers)
		if err != nil {
			return err
		}
		out = nil
		for _, t := range all {
			if kind == store.TransferOut {
				if err := submitted(tx, account.Address, &t); err != nil {
					return err
				}
			}
			out = append(out, Transfer{t})
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "transfer.list", Object: "account:" + account.ID})
	})
	if err != nil {
		return nil, fmt.Errorf("flow: transfers: %w", err)
	}
	return out, nil
}

// PartResult is a part of a transfer, and what has become of it for each recipient.
type PartResult struct {
	store.TransferPart
	Results []Result // outbound, in the order of recipients
}

// Transfer reads one with all its parts. store.ErrNotFound.
func (f *Flow) Transfer(ctx context.Context, by audit.Actor, id string) (out Transfer, parts []PartResult, err error) {
	var t store.Transfer
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		parts = nil
		if t, err = tx.Transfer(id); err != nil {
			return err
		}
		if t.Kind == store.Fragments {
			return store.ErrNotFound
		}
		account, err := tx.AccountByID(t.Account)
		if err != nil {
			return err
		}
		if t.Kind == store.TransferOut {
			if err := submitted(tx, account.Address, &t); err != nil {
				return err
			}
		}
		for _, p := range t.Parts {
			r := PartResult{TransferPart: p}
			if p.Message != "" && t.Kind == store.TransferOut {
				if r.Results, err = results(tx, p.Message); err != nil {
					return err
				}
			}
			parts = append(parts, r)
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "transfer.read", Object: "transfer:" + id})
	})
	if err != nil {
		return out, nil, fmt.Errorf("flow: transfer: %w", err)
	}
	return Transfer{t}, parts, nil
}

func results(tx *store.Tx, message string) (out []Result, err error) {
	m, err := tx.Message(message)
	if err != nil {
		return nil, err
	}
	all, err := tx.Recipients(message)
	for _, r := range all {
		result, _ := ResultOf(m, r)
		out = append(out, result)
	}
	return out, err
}
