package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// partOf says which part of a transfer an arrival is; nil: none, or nothing that can be relied on.
func (a *arrival) partOf(sender addr.Address) *store.MessagePart {
	if a.part.IsZero() || a.fileset == nil || a.report {
		return nil
	}
	return &store.MessagePart{Transfer: a.part.Transfer, Of: a.part.Of, Sets: a.part.Sets, Sender: sender, TransferPart: store.TransferPart{
		N: a.part.N, UID: a.fileset.UID, Instances: a.fileset.Instances, Bytes: a.fileset.Bytes, Verdict: a.fileset.Verdict.String(),
	}}
}

// gather notes that a part of a transfer has come to the mailbox of a recipient, and says how far that has come. A sender names his
// transfers: those of two senders have nothing to do with one another, nor what somebody signed with what nobody did.
func (f *Flow) gather(tx *store.Tx, message string, to addr.Address, p *store.MessagePart) (words string, err error) {
	if p == nil {
		return "", nil
	}
	account, err := tx.Holder(to)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := tx.ForgetTransfers(account.ID, store.TransferIn, f.Clock().Add(-keepTransfers)); err != nil {
		return "", err
	}
	t := store.Transfer{Kind: store.TransferIn, Account: account.ID,
		TransferDetail: store.TransferDetail{Name: p.Transfer, Sender: p.Sender, Unprotected: p.Unprotected, Of: p.Of, Sets: p.Sets}}
	if _, err := tx.HoldTransfer(&t, inKey(account, p)); err != nil {
		return "", err
	}
	part := p.TransferPart
	part.Message, part.At = message, f.Clock()
	add(&t, part, p)
	if err := tx.SetTransfer(t); err != nil {
		return "", err
	}
	return Transfer{t}.Words(p.N), nil
}

// inKey names a transfer of a partner to one of our accounts.
func inKey(account store.Account, p *store.MessagePart) string {
	return fmt.Sprintf("%s\n%s\n%t\n%s", account.ID, p.Sender.Key(), p.Unprotected, p.Transfer)
}

// TransferOf tells which part of a transfer a message is that came for an account, and how far that has come; n is 0 where it is none.
// store.ErrNotFound where there is no such account.
func (f *Flow) TransferOf(ctx context.Context, by audit.Actor, of addr.Address, message string) (out Transfer, n int, err error) {
	var t store.Transfer
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		t, n = store.Transfer{}, 0
		account, err := tx.Account(of)
		if err != nil {
			return err
		}
		m, err := tx.Message(message)
		if err != nil || m.Header.Part == nil {
			return err
		}
		t, err = tx.TransferNamed(store.TransferIn, inKey(account, m.Header.Part))
		if errors.Is(err, store.ErrNotFound) { // forgotten, or another's
			return nil
		}
		if err != nil {
			return err
		}
		n = m.Header.Part.N
		return audit.Write(tx, audit.Entry{Actor: by, Action: "transfer.read", Object: "transfer:" + t.ID})
	})
	if err != nil {
		return out, 0, fmt.Errorf("flow: transfer: %w", err)
	}
	return Transfer{t}, n, nil
}

// add puts a part to those that are there. One that came damaged gives way to another of its number; of two that are whole and differ the first
// stays, and the transfer is never whole.
func add(t *store.Transfer, part store.TransferPart, p *store.MessagePart) {
	if p.Of != t.Of || p.Sets != t.Sets {
		t.Odd = "its parts do not agree about how many there are, or which"
		if p.N > t.Of {
			return
		}
	}
	i := slices.IndexFunc(t.Parts, func(q store.TransferPart) bool { return q.N == part.N })
	complete := fileset.Complete.String()
	switch {
	case i < 0:
		t.Parts = append(t.Parts, part)
		slices.SortFunc(t.Parts, func(a, b store.TransferPart) int { return cmp.Compare(a.N, b.N) })
	case t.Parts[i].Verdict != complete:
		t.Parts[i] = part
	case part.Verdict == complete && part.UID != t.Parts[i].UID:
		t.Odd = fmt.Sprintf("two different File-sets are called part %d", part.N)
	}
}

// Words tell people how far a transfer has come, and which part of it they look at, if n is one.
func (t Transfer) Words(n int) string {
	head := ""
	if t.Unprotected {
		head = "UNPROTECTED, nobody vouches for it; "
	}
	if n > 0 {
		head += zipmail.Part{N: n, Of: t.Of}.String() + "; "
	}
	whole, _, why := t.Whole()
	switch left := t.Outstanding(); {
	case why != "":
		return head + "not to be trusted as a whole: " + why
	case whole:
		return head + "all parts are here"
	default:
		return fmt.Sprintf("%s%d of %d are here, still to come: %s", head, t.Of-len(left), t.Of, numbers(left))
	}
}

// numbers writes 1, 2, 3, 7 as "1-3, 7".
func numbers(ns []int) (out string) {
	for i := 0; i < len(ns); {
		j := i
		for j+1 < len(ns) && ns[j+1] == ns[j]+1 {
			j++
		}
		if out != "" {
			out += ", "
		}
		if j > i {
			out += fmt.Sprintf("%d-%d", ns[i], ns[j])
		} else {
			out += fmt.Sprint(ns[i])
		}
		i = j + 1
	}
	return out
}
