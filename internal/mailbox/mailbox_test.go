package mailbox

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

const by = audit.Actor("test")

var (
	desk = addr.Address{Endpoint: "desk", Domain: "north.example"}
	boss = addr.Address{Endpoint: "boss", Domain: "north.example"}
)

func open(t *testing.T) *Service {
	t.Helper()
	return openWith(t, store.Options{})
}

// openWith is open with another engine.
func openWith(t *testing.T, o store.Options) *Service {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if o.KEK = storetest.Keeper(t); o.DSN == "" {
		o.Dir = storetest.Dir(t, dir)
	}
	rows, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	blobs, err := blob.New(blob.Options{Dir: dir, Box: rows.Box()})
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Store: rows, Blobs: blobs}
	tx(t, s, func(tx *store.Tx) error {
		if err := tx.InsertDomain(desk.Domain); err != nil {
			return err
		}
		_, err := tx.InsertAccount(desk)
		return err
	})
	return s
}

func tx(t *testing.T, s *Service, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Store.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// body makes a durable body with its row.
func body(t *testing.T, s *Service) store.Mail {
	t.Helper()
	d, err := s.Blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := d.Write([]byte("Subject: x\r\n\r\ny\r\n")); err != nil {
		t.Fatal(err)
	}
	ref, err := d.Commit()
	if err != nil {
		t.Fatal(err)
	}
	tx(t, s, func(tx *store.Tx) error { return tx.InsertBlob(store.Blob(ref)) })
	return store.Mail{Blob: ref.ID, Size: ref.Size}
}

func accepted(t *testing.T, s *Service) store.Message {
	t.Helper()
	m := store.Message{Direction: 1, Kind: 1}
	tx(t, s, func(tx *store.Tx) error { return tx.InsertMessage(&m) })
	return m
}

func live(t *testing.T, s *Service, id string) bool {
	t.Helper()
	err := s.Store.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Blob(id); return err })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func list(t *testing.T, s *Service, of addr.Address, folder string) []store.Mail {
	t.Helper()
	all, err := s.List(t.Context(), by, of, folder, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func audited(t *testing.T, s *Service, action string) (n int) {
	t.Helper()
	tx(t, s, func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action})
		n = len(all)
		return err
	})
	return n
}

// A message is shown once in a folder, and work for the folders outside is made once with it.
func TestDeliverOnce(t *testing.T) {
	s := open(t)
	tx(t, s, func(tx *store.Tx) error {
		a, err := tx.Account(desk)
		if err != nil {
			return err
		}
		return tx.SetDrops(a.ID, store.Drops{Maildir: "/elsewhere/Maildir", Studies: "/elsewhere/studies"})
	})
	m := body(t, s)
	m.Message = accepted(t, s).ID
	for range 2 {
		tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, Inbox, m) })
	}
	if n := len(list(t, s, desk, Inbox)); n != 1 {
		t.Errorf("%d mails", n)
	}
	var into []string
	tx(t, s, func(tx *store.Tx) error {
		all, err := tx.Works("", 100)
		into = nil
		for _, w := range all {
			d, perr := ParseDrop(w.Ref)
			if w.Kind != KindDrop || perr != nil || d.UID != 1 {
				t.Errorf("%+v: %v", w, perr)
			}
			into = append(into, d.Into)
		}
		return err
	})
	slices.Sort(into)
	if !slices.Equal(into, []string{Maildir, Studies}) {
		t.Errorf("work for %v", into)
	}
	if err := s.Store.Tx(t.Context(), func(tx *store.Tx) error { return s.Deliver(tx, boss, Inbox, m) }); !errors.Is(err, ErrNoAccount) {
		t.Errorf("nobody: %v", err)
	}
}

func TestParseDrop(t *testing.T) {
	d := Drop{Account: "A", Mailbox: "M", UID: 7, Into: Studies}
	if got, err := ParseDrop(d.String()); err != nil || got != d {
		t.Errorf("%+v, %v", got, err)
	}
	for _, ref := range []string{"", "A/M/7", "A/M/7/attic", "A/M/x/maildir", "A/M/4294967296/maildir", "/M/7/maildir", "A//7/maildir", "A/M/-1/maildir", "A/M/7/maildir/"} {
		if d, err := ParseDrop(ref); err == nil {
			t.Errorf("%q is %+v", ref, d)
		}
	}
}

// A body lives until the last mail that shows it is deleted, and until nobody is to be shown it any more.
func TestDelete(t *testing.T) {
	s := open(t)
	m := body(t, s)
	about := accepted(t, s)
	m.Message = about.ID
	for _, folder := range []string{Inbox, "Archive"} {
		tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, folder, m) })
	}
	inbox, archive := list(t, s, desk, Inbox)[0], list(t, s, desk, "Archive")[0]
	for range 2 {
		err := s.Delete(t.Context(), by, inbox)
		if again := audited(t, s, "mail.delete") == 1 && errors.Is(err, store.ErrNotFound); err != nil && !again {
			t.Errorf("%v", err)
		}
	}
	if len(list(t, s, desk, Inbox)) != 0 || !live(t, s, m.Blob) {
		t.Error("the other folder lost it")
	}
	tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, "Later", m) })
	if err := s.Delete(t.Context(), by, archive); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), by, list(t, s, desk, "Later")[0]); err != nil {
		t.Error(err)
	}
	if !live(t, s, m.Blob) {
		t.Error("let go while recipients may wait for it")
	}
	tx(t, s, func(tx *store.Tx) error { return tx.SetMessageState(about.ID, about.Version, store.Closed, "") })
	tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, "At last", m) })
	if err := s.Delete(t.Context(), by, list(t, s, desk, "At last")[0]); err != nil || live(t, s, m.Blob) {
		t.Errorf("it lives on: %v", err)
	}
	report := body(t, s) // of no message
	tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, Inbox, report) })
	if err := s.Delete(t.Context(), by, list(t, s, desk, Inbox)[0]); err != nil || live(t, s, report.Blob) {
		t.Errorf("a report lives on: %v", err)
	}
	if n := audited(t, s, "mail.delete"); n != 5 {
		t.Errorf("%d entries", n)
	}
	if err := s.Delete(t.Context(), by, store.Mail{Mailbox: "none", UID: 1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestFolders(t *testing.T) {
	s := open(t)
	if all, err := s.Folders(t.Context(), by, desk); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	list(t, s, desk, Inbox)
	list(t, s, desk, "Archive")
	all, err := s.Folders(t.Context(), by, desk)
	if err != nil || len(all) != 2 || all[0].Name != Inbox || all[1].Name != "Archive" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := s.Folders(t.Context(), by, boss); !errors.Is(err, ErrNoAccount) {
		t.Errorf("nobody: %v", err)
	}
	if n := audited(t, s, "mailbox.folders"); n != 2 {
		t.Errorf("%d entries", n)
	}
}
