package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/keyring"
	"carepost/internal/store"
)

// LogOptions of a Log. Zero fields have defaults.
type LogOptions struct {
	Store *store.Store
	Keys  *keyring.Keyring
	Every time.Duration // how often to look for new entries; default 1 s
	Log   *slog.Logger  // default discards
}

// Log gives entries their order and signs heads of the Merkle tree over them. Any number of nodes may run one: they take turns.
type Log struct {
	o LogOptions

	mu  sync.Mutex
	key *key // nil: not read yet
}

// maxSeal is how many entries get their places in one transaction, for which others wait.
const maxSeal = 500

// keepHeads is how far the heads that are kept lie apart: of those signed within the same of it, the last alone stays.
const keepHeads = time.Hour

// setting holds the handle of the log's key.
const setting = "audit.key"

// NewLog makes a log; Run starts it.
func NewLog(o LogOptions) (*Log, error) {
	if o.Store == nil || o.Keys == nil {
		return nil, errors.New("audit: options: want a Store and Keys")
	}
	o.Every = cmp.Or(o.Every, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Log{o: o}, nil
}

// Run seals what is written until ctx ends, and once more then. What goes wrong is logged and tried again: entries are written
// meanwhile and wait.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(l.o.Every)
	defer tick.Stop()
	for failed := false; ; {
		_, err := l.Seal(ctx)
		if err != nil && ctx.Err() == nil && !failed { // not once a second
			l.o.Log.Error("sealing the audit log", "err", err)
		}
		failed = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_, _ = l.Seal(last)
			return nil
		}
	}
}

// Seal gives all entries that wait their places and signs the head. It tells how many there were. ErrLog if the log is not what was sealed
// before: nothing is added then.
func (l *Log) Seal(ctx context.Context) (n int, err error) {
	ctx = store.Patient(ctx)
	for {
		waits := false
		if err := l.o.Store.View(ctx, func(tx *store.Tx) (err error) { waits, err = tx.AuditWaits(); return err }); err != nil {
			return n, fmt.Errorf("audit: %w", err)
		}
		if !waits {
			return n, nil
		}
		k, err := l.signer(ctx)
		if err != nil {
			return n, err
		}
		some := 0
		if err := l.o.Store.Tx(ctx, func(tx *store.Tx) (err error) { some, err = l.seal(tx, k); return err }); err != nil {
			return n, err
		}
		n += some
	}
}

// seal is one transaction of Seal.
func (l *Log) seal(tx *store.Tx, k *key) (n int, err error) {
	if err := tx.LockAudit(); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	t, before, err := l.open(tx, k)
	if err != nil {
		return 0, err
	}
	rows, err := tx.AuditsToPlace("", maxSeal)
	if err != nil || len(rows) == 0 {
		return 0, err // another node was quicker
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
		if fits, err := asWritten(tx, read(row)); err != nil {
			return 0, err
		} else if !fits { // it gets its place all the same, and verification names it
			l.o.Log.Error("an entry of the audit log is not what was written", "entry", row.ID)
		}
		if err := t.add(tlog.RecordHash(row.Digest)); err != nil {
			return 0, err
		}
	}
	if err := tx.PlaceAudits(ids, before.Size+1); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	if err := t.save(); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	return len(rows), l.replace(tx, k, t, before)
}

// open gives the tree that the last head stands for. ErrLog if it is another.
func (l *Log) open(tx *store.Tx, k *key) (*tree, Head, error) {
	last, err := tx.LastAuditHead()
	if errors.Is(err, store.ErrNotFound) {
		return nil, Head{}, fmt.Errorf("%w: it has a key, but no head", ErrLog)
	}
	if err != nil {
		return nil, Head{}, fmt.Errorf("audit: %w", err)
	}
	head, err := OpenHead(last.Note, k.public)
	if err != nil {
		return nil, Head{}, err
	}
	t := newTree(tx, head.Size)
	root, err := t.root()
	if err == nil && (root != head.Root || head.Size != last.Size) {
		err = fmt.Errorf("%w: the hashes of %d entries", ErrLog, head.Size)
	}
	return t, head, err
}

// replace signs the head of t in the place of the one before.
func (l *Log) replace(tx *store.Tx, k *key, t *tree, before Head) error {
	root, err := t.root()
	if err != nil {
		return err
	}
	head := Head{Origin: k.name, Size: t.size, Root: root, At: tx.Now()}
	if err := insertHead(tx, k, head); err != nil {
		return err
	}
	if before.Size > 0 && before.At.Truncate(keepHeads).Equal(head.At.Truncate(keepHeads)) {
		err = tx.DeleteAuditHead(before.Size)
	}
	return err
}

func insertHead(tx *store.Tx, k *key, head Head) error {
	signed, err := k.sign(head)
	if err == nil {
		err = tx.InsertAuditHead(store.AuditHead{Size: head.Size, At: head.At, Note: signed})
	}
	if err != nil {
		return fmt.Errorf("audit: signing a head: %w", err)
	}
	return nil
}

// signer gives the key of the log; it is made with the head of the empty log when there is none.
func (l *Log) signer(ctx context.Context) (*key, error) {
	for {
		k, err := l.existing(ctx)
		if !errors.Is(err, store.ErrNotFound) {
			return k, err
		}
		if err := l.begin(ctx); err != nil && !errors.Is(err, store.ErrConflict) { // another node may be quicker
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
}

// existing gives the key of the log. store.ErrNotFound if it has not begun.
func (l *Log) existing(ctx context.Context) (*key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key != nil {
		return l.key, nil
	}
	var id []byte
	err := l.o.Store.View(ctx, func(tx *store.Tx) (err error) { id, _, err = tx.Setting(setting); return err })
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	s, err := l.o.Keys.Signer(ctx, string(id))
	if err == nil {
		l.key, err = newKey(s)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return l.key, nil
}

// begin makes the key and the head of the empty log. store.ErrConflict if they are there.
func (l *Log) begin(ctx context.Context) error {
	var id string
	return l.o.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		if id, err = l.o.Keys.GenerateEd25519(ctx, tx); err != nil {
			return err
		}
		if err := tx.SetSetting(setting, []byte(id), 0); err != nil {
			return err
		}
		s, err := l.o.Keys.Signer(ctx, id) // from memory
		if err != nil {
			return err
		}
		k, err := newKey(s)
		if err != nil {
			return err
		}
		if _, err := tx.LastAuditHead(); !errors.Is(err, store.ErrNotFound) {
			return cmp.Or(err, fmt.Errorf("%w: it has heads, but no key", ErrLog))
		}
		root, err := tlog.TreeHash(0, nil)
		if err != nil {
			return err
		}
		return insertHead(tx, k, Head{Origin: k.name, Root: root, At: tx.Now()})
	})
}
