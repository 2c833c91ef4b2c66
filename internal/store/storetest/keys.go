package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// filling is a store with something in every sealed column.
type filling struct {
	account store.Account
	mailbox store.Mailbox
	message store.Message
	body    store.Blob
	work    string
}

// many is more rows than one transaction of a rotation takes.
const many = 130

func fill(t testing.TB, s *store.Store) (f filling) {
	lab := address(t, "lab@h.example")
	f.body = newBody(s, time.Now(), false)
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	do(t, s, func(tx *store.Tx) (err error) { f.account, err = tx.InsertAccount(lab); return err })
	do(t, s, func(tx *store.Tx) error {
		f.message = store.Message{Direction: transit.Inbound, Kind: transit.Mail, Raw: f.body.ID,
			Envelope: transit.Envelope{Helo: "mx.h.example"}, Header: store.Header{Subject: "Befund"}}
		var err error
		f.mailbox, err = tx.EnsureMailbox(f.account.ID, "INBOX")
		pk := store.PrivateKey{ID: "key", Public: []byte("public"), Wrapped: s.Box().Seal("privkey.wrapped", "key", []byte("private"))}
		if err := errors.Join(err, tx.InsertBlob(f.body), tx.InsertMessage(&f.message), tx.SetPassword(f.account.ID, "$argon2id$"),
			tx.SetDrops(f.account.ID, store.Drops{Maildir: "/mail/lab", Studies: "/studies"}), tx.InsertPrivateKey(pk),
			tx.InsertCert(&store.Cert{Owner: store.Owner{Address: lab}, Key: "key", DER: []byte("cert"), Chain: []byte("chain"), NotBefore: at("2026-01-01T00:00:00Z")}),
			tx.InsertKeyRequest(&store.KeyRequest{Owner: store.Owner{Address: lab}, Key: "key", Uses: "both", Kind: "RSA 2048"}),
			tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Address: lab}, Direction: transit.Inbound, DER: []byte("root")}),
			tx.InsertIssued("h.example", big.NewInt(7), []byte("issued")), tx.SetSetting("k", []byte("value"), 0)); err != nil {
			return err
		}
		r := store.Recipient{Message: f.message.ID, Address: lab}
		w := store.Work{Kind: "k", Ref: f.message.ID}
		err = errors.Join(tx.InsertRecipient(&r), tx.NoteAnswer(r.ID, transit.Answer{Code: 451, Text: "later"}), tx.InsertWork(&w))
		f.work = w.ID
		for i := range int64(many) {
			m := store.Mail{Mailbox: f.mailbox.ID, Blob: f.body.ID, Subject: "Befund", Sender: "x@y.example"}
			_, e := tx.AppendMail(&m)
			id := tx.NewID()
			err = errors.Join(err, e, tx.InsertAudit(store.Audit{ID: id, At: tx.Now(), Detail: []byte("detail"), Digest: []byte{1}}))
			to := transit.Sealed
			if i%2 == 1 {
				to = transit.Sent
			}
			err = errors.Join(err, tx.MoveRecipient(r.ID, i, store.Move{To: to, Detail: "moved"}))
		}
		return err
	})
	claim(t, s, "me", time.Hour, 1)
	do(t, s, func(tx *store.Tx) error { return tx.RetryWork(f.work, 1, time.Hour, "reason") })
	return f
}

// check reads all that fill wrote.
func (f filling) check(t testing.TB, s *store.Store) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		var errs []error
		same := func(what string, got, want any, err error) {
			errs = append(errs, err)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		lab := f.account.Address
		a, err := tx.Account(lab)
		same("account", a, store.Account{ID: f.account.ID, Address: lab, Created: a.Created, HasPassword: true, Drops: store.Drops{Maildir: "/mail/lab", Studies: "/studies"}}, err)
		issued, err := tx.Issued("h.example", big.NewInt(7))
		same("issued", string(issued), "issued", err)
		phc, err := tx.Password(a.ID)
		same("password", phc, "$argon2id$", err)
		boxes, err := tx.Mailboxes(a.ID)
		same("mailbox", boxes[0].Name, "INBOX", err)
		mails, err := tx.ListMail(f.mailbox.ID, 0, 2*many)
		same("mails", len(mails), many, err)
		m, err := tx.Message(f.message.ID)
		same("message", m.Header.Subject+m.Envelope.Helo, "Befundmx.h.example", err)
		rs, err := tx.Recipients(m.ID)
		same("recipient", rs[0].Address.String()+rs[0].Text, "lab@h.examplelater", err)
		events, err := tx.Timeline(m.ID)
		same("events", len(events), many+1, err)
		w, err := tx.Work(f.work)
		same("work", w.Error, "reason", err)
		certs, err := tx.Certs(store.Owner{Address: lab})
		same("cert", string(certs[0].DER)+string(certs[0].Chain), "certchain", err)
		requests, err := tx.KeyRequests(store.Owner{Address: lab})
		same("request", requests[0].Owner.Address, lab, err)
		anchors, err := tx.Anchors(store.Owner{Address: lab}, transit.Inbound)
		same("anchor", anchors[0].Owner.Address, lab, err)
		v, _, err := tx.Setting("k")
		same("setting", string(v), "value", err)
		audits, err := tx.Audits(store.AuditFilter{Limit: 2 * many})
		same("audits", len(audits), many, err)
		pk, err := tx.PrivateKey("key")
		same("public key", string(pk.Public), "public", err)
		private, err := s.Box().Open("privkey.wrapped", "key", pk.Wrapped)
		same("private key", string(private), "private", err)
		b, err := tx.Blob(f.body.ID)
		same("digest", b.SHA256, f.body.SHA256, err)
		same("kid", b.KID, fmt.Sprintf("%x", b.WrappedDEK[1:5]), nil)
		dek, err := s.Box().UnwrapKey(b.ID, b.WrappedDEK)
		same("data key", dek, bytes.Repeat([]byte{7}, 32), err)
		return errors.Join(errs...)
	}))
}

// kids lists the sealing keys, the current one last.
func kids(t testing.TB, s *store.Store) (list []string) {
	t.Helper()
	keys, err := s.SealingKeys(t.Context())
	must(t, err)
	hashing, current := 0, ""
	for _, k := range keys {
		if k.Purpose == vault.Hashing {
			hashing++
			continue
		}
		if list = append(list, k.KID); k.Current {
			current = k.KID
		}
		if k.Created.IsZero() {
			t.Errorf("%+v", k)
		}
	}
	if hashing != 1 || current != list[len(list)-1] || current != s.Box().KID() {
		t.Errorf("%+v, the box seals with %s", keys, s.Box().KID())
	}
	return list
}

// Rotation is the suite's case of a rotation of store keys. age has the engine think that all its store keys are older by two hours.
func Rotation(t *testing.T, open Opener, age func(t *testing.T)) {
	s := open(t)
	f := fill(t, s)
	first := kids(t, s)
	held := newBody(s, time.Now(), false) // begun before the rotation, to be accepted after it
	stop, cancel := context.WithCancel(t.Context())
	must(t, s.Reseal(t.Context(), func(done, total int64) {
		if done != 0 || total != 0 {
			t.Errorf("%d of %d to do though nothing was rotated", done, total)
		}
	}))
	kid, err := s.RotateSealing(t.Context(), s.KEK(), nil)
	must(t, err)
	if got := kids(t, s); !slices.Equal(got, append(first, kid)) {
		t.Fatalf("keys %v, want %v and %v", got, first, kid)
	}
	f.check(t, s)
	err = s.Reseal(stop, func(done, _ int64) {
		if done > many {
			cancel()
		}
	})
	want(t, err, context.Canceled)
	f.check(t, s)
	age(t)
	var last, all int64
	must(t, s.Reseal(t.Context(), func(done, total int64) {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last, all = done, total
	}))
	if last != all || last < many {
		t.Errorf("%d of %d in the end", last, all)
	}
	if got := kids(t, s); !slices.Equal(got, []string{kid}) {
		t.Fatalf("keys %v, want %v alone", got, kid)
	}
	f.check(t, s)
	do(t, s, func(tx *store.Tx) error { return tx.InsertBlob(held) })
	must(t, s.Close())
	s = open(t) // knows the new key only
	f.check(t, s)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		b, err := tx.Blob(held.ID)
		must(t, err)
		_, err = s.Box().UnwrapKey(b.ID, b.WrappedDEK)
		return err
	}))
	want(t, func() error { _, err := s.RotateSealing(t.Context(), Keeper(t), nil); return err }(), vault.ErrKEK)
	// What goes with a change of keys is in its transaction: without it there is no change, and the other way round.
	refused := errors.New("refused")
	_, err = s.RotateSealing(t.Context(), s.KEK(), func(*store.Tx, string) error { return refused })
	want(t, err, refused)
	want(t, s.RewrapKeys(t.Context(), Keeper(t), func(*store.Tx) error { return refused }), refused)
	if got := kids(t, s); !slices.Equal(got, []string{kid}) {
		t.Errorf("keys %v after a refusal", got)
	}
	must(t, s.Close())
	s = open(t) // by the same key-encryption key
	var named string
	note := func(tx *store.Tx, action string) error {
		return tx.InsertAudit(store.Audit{ID: tx.NewID(), Action: action, Digest: []byte{1}})
	}
	kid, err = s.RotateSealing(t.Context(), s.KEK(), func(tx *store.Tx, kid string) error { named = kid; return note(tx, "rotated") })
	must(t, err)
	must(t, s.RewrapKeys(t.Context(), s.KEK(), func(tx *store.Tx) error { return note(tx, "rewrapped") }))
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		for _, action := range []string{"rotated", "rewrapped"} {
			if list, err := tx.Audits(store.AuditFilter{Action: action}); err != nil || len(list) != 1 {
				t.Errorf("%s: %d entries, %v", action, len(list), err)
			}
		}
		return nil
	}))
	if got := kids(t, s); named != kid || len(got) != 2 || got[1] != kid {
		t.Errorf("key %s, named %s, of %v", kid, named, got)
	}
}

// rotateUnderLoad: others write while store keys come and go.
func rotateUnderLoad(t *testing.T, open Opener) {
	s := open(t)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var ids []string
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				b := newBody(s, time.Now(), false)
				m := store.Message{Direction: transit.Outbound, Kind: transit.Mail, Raw: b.ID, Header: store.Header{Subject: fmt.Sprint(c, i)}}
				if err := s.Tx(t.Context(), func(tx *store.Tx) error {
					m.ID = ""
					return errors.Join(tx.InsertBlob(b), tx.InsertMessage(&m))
				}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, m.ID)
				mu.Unlock()
			}
		})
	}
	for range 3 {
		_, err := s.RotateSealing(t.Context(), s.KEK(), nil)
		must(t, err)
		if err := s.Reseal(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	must(t, s.Reseal(t.Context(), nil))
	must(t, s.Close())
	s = open(t)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		for _, id := range ids {
			m, err := tx.Message(id)
			must(t, err)
			b, err := tx.Blob(m.Raw)
			must(t, err)
			if _, err := s.Box().UnwrapKey(b.ID, b.WrappedDEK); err != nil || b.KID != s.Box().KID() {
				t.Errorf("body: %v, under %s", err, b.KID)
			}
		}
		return nil
	}))
	if len(ids) == 0 {
		t.Error("nobody wrote")
	}
}
