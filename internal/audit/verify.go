package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/store"
)

// VerifyOptions say what the log is held against besides itself. Zero fields say nothing.
type VerifyOptions struct {
	Heads    []string                // signed heads that were kept elsewhere
	Key      string                  // the public key of the log, kept elsewhere
	Progress func(done, total int64) // in entries
}

// What is wrong.
type What string

// Kinds of it. All but those about heads and keys name an entry.
const (
	Altered   What = "altered"   // the entry is not what its digest says
	Displaced What = "displaced" // it is whole, but another had this place
	Removed   What = "removed"   // there is no entry in this place
	Inserted  What = "inserted"  // the entry has no place that a head stands for, or one that another has
	Stripped  What = "stripped"  // its detail is gone, and no entry says who erased it
	Differs   What = "differs"   // the entries up to a head are not those it was signed for, and up to the last one that fits (or 0) they are
	Shorter   What = "shorter"   // than a head that was kept elsewhere: an older database was put in its place
	BadHead   What = "head"      // it is malformed, or not signed by the log's key
	BadKey    What = "key"       // the log has none, or another than was kept elsewhere
	BadTree   What = "tree"      // the stored hashes, from which the log goes on, are damaged: from that place on at the latest
)

// Finding is one thing that does not fit.
type Finding struct {
	What  What   `json:"what"`
	Seq   int64  `json:"seq,omitempty"`   // place in the log; of Differs: the first that may be concerned
	To    int64  `json:"to,omitempty"`    // the last place concerned, of Removed, Differs and Shorter
	Entry string `json:"entry,omitempty"` // its id
	Kept  bool   `json:"kept,omitempty"`  // it was the head kept elsewhere that told
}

// Verified tells how the log was found.
type Verified struct {
	Origin   string    `json:"origin"`
	Key      string    `json:"key"`
	Entries  int64     `json:"entries"` // that the last head stands for
	At       time.Time `json:"at"`      // when that was signed
	Erased   int64     `json:"erased"`  // entries without their detail
	Heads    int       `json:"heads"`   // that were checked
	Kept     int       `json:"kept"`    // of those kept elsewhere, that fit
	Waiting  int64     `json:"waiting"` // entries that no head stands for yet
	Since    time.Time `json:"since,omitzero"`
	Findings []Finding `json:"findings"` // in the order of the log, at most 100
	More     int       `json:"more_findings,omitempty"`
}

// maxFindings is how many findings are told.
const maxFindings = 100

func (v *Verified) add(f Finding) {
	if len(v.Findings) == maxFindings {
		v.More++
		return
	}
	v.Findings = append(v.Findings, f)
}

// Verify reads the whole log and compares it with its heads. It changes nothing. What does not fit is in the answer and no error.
func (l *Log) Verify(ctx context.Context, o VerifyOptions) (Verified, error) {
	v := &verification{Verified: Verified{Findings: []Finding{}}, l: l, ctx: ctx, o: o}
	if v.o.Progress == nil {
		v.o.Progress = func(int64, int64) {}
	}
	if err := v.run(); err != nil {
		return v.Verified, fmt.Errorf("audit: verifying: %w", err)
	}
	return v.Verified, nil
}

// verification is one run of Verify.
type verification struct {
	Verified
	l   *Log
	ctx context.Context
	o   VerifyOptions

	heads  []checked // by size
	stored leaves
	cursor int64 // place of the last row that was read
	spine  []tlog.Hash
	seq    int64 // entries in spine
	good   int64 // up to here a head fitted
	wrong  bool  // one did not
	torn   bool  // the tiles are damaged
}

// checked is a head whose signature fits.
type checked struct {
	Head
	kept bool
}

// pageSize is how many entries are read in one transaction.
const pageSize = 500

func (v *verification) run() error {
	if err := v.key(); err != nil || v.Key == "" {
		return err
	}
	if err := v.readHeads(); err != nil {
		return err
	}
	v.cursor = math.MinInt64 // below 1 are places that nobody gives
	for done := false; !done; {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		if err := v.l.o.Store.View(v.ctx, func(tx *store.Tx) (err error) { done, err = v.page(tx); return err }); err != nil {
			return err
		}
		v.o.Progress(v.seq, v.Entries)
	}
	return v.l.o.Store.View(v.ctx, v.rest)
}

// key finds the log's key without making one. A log that has not begun has none, no head, and no entry with a place.
func (v *verification) key() error {
	k, err := v.l.existing(v.ctx)
	if errors.Is(err, store.ErrNotFound) {
		return v.l.o.Store.View(v.ctx, v.unbegun)
	}
	if err != nil {
		if v.ctx.Err() != nil {
			return err
		}
		v.add(Finding{What: BadKey}) // it is there, and does not open
		return nil
	}
	v.Key, v.Origin = k.public, k.name
	if v.o.Key != "" && v.o.Key != k.public {
		v.add(Finding{What: BadKey, Kept: true})
	}
	return nil
}

func (v *verification) unbegun(tx *store.Tx) error {
	kept := v.o.Key != "" || len(v.o.Heads) > 0
	_, err := tx.LastAuditHead()
	headless := errors.Is(err, store.ErrNotFound)
	if err != nil && !headless {
		return err
	}
	placed, err := tx.PlacedAudits(math.MaxInt64)
	if err != nil {
		return err
	}
	if kept || !headless || placed > 0 {
		v.add(Finding{What: BadKey, Kept: kept})
	}
	v.Waiting, v.Since, err = tx.WaitingAudits()
	return err
}

// readHeads reads all heads there are, and those kept elsewhere.
func (v *verification) readHeads() error {
	for after := int64(math.MinInt64); ; {
		var rows []store.AuditHead
		if err := v.l.o.Store.View(v.ctx, func(tx *store.Tx) (err error) { rows, err = tx.AuditHeads(after, pageSize); return err }); err != nil {
			return err
		}
		for _, row := range rows {
			after = row.Size
			h, err := OpenHead(row.Note, v.Key)
			if err != nil || h.Size != row.Size {
				v.add(Finding{What: BadHead, Seq: row.Size})
				continue
			}
			v.heads = append(v.heads, checked{Head: h})
		}
		if len(rows) == 0 {
			break
		}
	}
	if len(v.heads) == 0 {
		v.add(Finding{What: BadHead})
	} else {
		last := v.heads[len(v.heads)-1]
		v.Entries, v.At = last.Size, last.At
		v.stored.root = tlog.Tree{N: last.Size, Hash: last.Root}
	}
	for _, kept := range v.o.Heads {
		h, err := OpenHead(kept, v.Key)
		switch {
		case err != nil:
			v.add(Finding{What: BadHead, Kept: true})
		case h.Size > v.Entries:
			v.add(Finding{What: Shorter, Seq: v.Entries + 1, To: h.Size, Kept: true})
		default:
			v.heads = append(v.heads, checked{h, true})
		}
	}
	slices.SortStableFunc(v.heads, func(a, b checked) int { return int(min(max(a.Size-b.Size, -1), 1)) })
	return v.compare()
}

// page goes through the next entries of the log.
func (v *verification) page(tx *store.Tx) (done bool, err error) {
	rows, err := tx.AuditsAfter(v.cursor, pageSize)
	if err != nil {
		return false, err
	}
	t := newTree(tx, v.Entries)
	for _, row := range rows {
		v.cursor = row.Seq
		switch {
		case row.Seq < 1 || row.Seq == v.seq:
			v.add(Finding{What: Inserted, Seq: row.Seq, Entry: row.ID})
			continue
		case row.Seq > v.Entries:
			return true, v.missing(t, v.Entries+1)
		}
		if err := v.missing(t, row.Seq); err != nil {
			return false, err
		}
		if err := v.entry(t, row); err != nil {
			return false, err
		}
	}
	if len(rows) < pageSize {
		return true, v.missing(t, v.Entries+1)
	}
	return false, nil
}

// missing notes that the entries before seq are not there, if any. The tiles know what they were.
func (v *verification) missing(t *tree, seq int64) error {
	if v.seq+1 >= seq {
		return nil
	}
	v.add(Finding{What: Removed, Seq: v.seq + 1, To: seq - 1})
	v.wrong = true
	for v.seq+1 < seq {
		leaf, ok, err := v.stored.leaf(t, v.seq+1)
		if err != nil {
			return err
		}
		if !ok { // nothing can be said of the heads beyond
			v.badTree(v.seq + 1)
			v.seq = seq - 1
			v.heads = nil
			return nil
		}
		v.push(leaf)
		if err := v.compare(); err != nil {
			return err
		}
	}
	return nil
}

// badTree notes once that the stored hashes are damaged, at that place first.
func (v *verification) badTree(seq int64) {
	if !v.torn {
		v.add(Finding{What: BadTree, Seq: seq})
	}
	v.torn = true
}

// entry judges one entry in its place.
func (v *verification) entry(t *tree, row store.Audit) error {
	leaf := tlog.RecordHash(row.Digest)
	was, ok, err := v.stored.leaf(t, row.Seq)
	if err != nil {
		return err
	}
	if !ok {
		v.badTree(row.Seq)
	}
	state := read(row).State
	what := What("")
	switch {
	case state == Broken:
		what = Altered
	case ok && was != leaf:
		what = Displaced
	}
	if state == Erased {
		v.Erased++
		if told, err := erasureTold(t.tx, row.ID); err != nil {
			return err
		} else if !told {
			v.add(Finding{What: Stripped, Seq: row.Seq, Entry: row.ID})
		}
	}
	if what != "" {
		v.add(Finding{What: what, Seq: row.Seq, Entry: row.ID})
		v.wrong = true
		if ok { // so that what follows can be compared with the heads all the same
			leaf = was
		}
	}
	v.push(leaf)
	return v.compare()
}

// push adds a leaf to the spine: the roots of the complete subtrees, from the left.
func (v *verification) push(leaf tlog.Hash) {
	v.spine = append(v.spine, leaf)
	v.seq++
	for n := v.seq; n%2 == 0; n /= 2 {
		last := len(v.spine) - 1
		v.spine[last-1] = tlog.NodeHash(v.spine[last-1], v.spine[last])
		v.spine = v.spine[:last]
	}
}

// root is the hash of the tree of what was pushed.
func (v *verification) root() (tlog.Hash, error) {
	if len(v.spine) == 0 {
		return tlog.TreeHash(0, nil)
	}
	h := v.spine[len(v.spine)-1]
	for i := len(v.spine) - 2; i >= 0; i-- {
		h = tlog.NodeHash(v.spine[i], h)
	}
	return h, nil
}

// compare holds the heads of this size against what was read.
func (v *verification) compare() error {
	for len(v.heads) > 0 && v.heads[0].Size <= v.seq {
		h := v.heads[0]
		v.heads = v.heads[1:]
		if h.Size < v.seq {
			continue
		}
		root, err := v.root()
		if err != nil {
			return err
		}
		if root != h.Root {
			v.add(Finding{What: Differs, Seq: v.good + 1, To: h.Size, Kept: h.kept})
			v.wrong = true
			continue
		}
		v.Heads++
		if h.kept {
			v.Kept++
		}
		v.good = h.Size
	}
	return nil
}

// rest looks at what lies beside and behind the log.
func (v *verification) rest(tx *store.Tx) error {
	root, err := newTree(tx, v.Entries).root()
	switch {
	case errors.Is(err, ErrLog):
		v.badTree(0)
	case err != nil:
		return err
	case len(v.spine) > 0 && !v.wrong:
		if mine, err := v.root(); err != nil || mine != root {
			v.badTree(0)
		}
	}
	last, err := tx.LastAuditHead()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	beyond, err := tx.AuditsAfter(max(last.Size, v.Entries), 1)
	if err != nil {
		return err
	}
	for _, row := range beyond {
		v.add(Finding{What: Inserted, Seq: row.Seq, Entry: row.ID})
	}
	n, err := tx.PlacedAudits(v.Entries)
	if err != nil {
		return err
	}
	if len(v.Findings) == 0 && n != v.Entries {
		v.add(Finding{What: Inserted})
	}
	if v.Waiting, v.Since, err = tx.WaitingAudits(); err != nil {
		return err
	}
	waiting, err := tx.AuditsToPlace("", maxSeal)
	for _, row := range waiting {
		if read(row).State == Broken {
			v.add(Finding{What: Altered, Entry: row.ID})
		}
	}
	return err
}
