package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carepost/internal/vault"
)

// sealedTable names the sealed columns of a table. Their name for package vault is "table.column", and row gives that of the row.
type sealedTable struct {
	name    string
	key     string // the primary key, or its first column
	number  string // its second column, a number; empty: there is none
	both    bool   // the row is named by both: "key/number"
	columns []string
	where   string // rows that count; empty: all
}

func (t sealedTable) row(key string, number int64) string {
	if t.both {
		return key + "/" + strconv.FormatInt(number, 10)
	}
	return key
}

// sealedTables are all of them. TestResealKnowsAllColumns looks for others.
func sealedTables() []sealedTable {
	return []sealedTable{
		{name: "setting", key: "k", columns: []string{"v"}},
		{name: "privkey", key: "id", columns: []string{"public", "wrapped"}}, // wrapped: by package keyring
		{name: "cert", key: "id", columns: []string{"owner", "der", "chain"}},
		{name: "keyrequest", key: "id", columns: []string{"owner"}},
		{name: "anchor", key: "id", columns: []string{"owner", "evaluation"}},
		{name: "bundle", key: "id", columns: []string{"owner", "detail"}},
		{name: "pin", key: "id", columns: []string{"owner", "detail"}},
		{name: "remembered", key: "id", columns: []string{"detail"}},
		{name: "contact", key: "recipient", columns: []string{"detail"}},
		{name: "transfer", key: "id", columns: []string{"detail"}},
		{name: "status", key: "id", columns: []string{"about", "body"}},
		{name: "issued", key: "id", columns: []string{"der"}},
		{name: "account", key: "id", columns: []string{"addr", "password", "maildir", "studies"}},
		{name: "mailbox", key: "id", columns: []string{"name"}},
		{name: "blob", key: "id", columns: []string{"sha256", "dek"}, where: "state <> 'gone'"}, // dek: by package blob
		{name: "message", key: "id", columns: []string{"envelope", "header"}},
		{name: "msg_event", key: "message", number: "seq", columns: []string{"detail"}},
		{name: "recipient", key: "id", columns: []string{"addr", "last_text"}},
		{name: "work", key: "id", columns: []string{"last_error"}},
		{name: "mail", key: "mailbox", number: "uid", both: true, columns: []string{"subject", "sender"}},
		{name: "audit", key: "id", columns: []string{"detail"}},
		{name: "handover", key: "id", columns: []string{"detail"}},
		{name: "intake", key: "id", columns: []string{"detail"}},
		{name: "collect", key: "id", columns: []string{"detail"}},
		{name: "collected", key: "id", columns: []string{"detail"}},
		{name: "intake_object", key: "intake", number: "seq", both: true, columns: []string{"detail"}},
	}
}

// stale is the condition for rows with a column that is sealed by another key than the one that begins values with $1.
func (t sealedTable) stale() string {
	var terms []string
	for _, c := range t.columns {
		terms = append(terms, fmt.Sprintf("substr(%s, 1, %d) <> $1", c, vault.HeadSize))
	}
	text := "(" + strings.Join(terms, " OR ") + ")"
	if t.where != "" {
		text += " AND " + t.where
	}
	return text
}

// staleRow is one such row with its sealed columns as they were read.
type staleRow struct {
	key    string
	number int64
	values [][]byte
}

// resealPage is how many rows are written anew in one transaction, for which others wait.
const resealPage = 100

// dropAfter is how long other nodes may still seal with a key after there is a newer one: many times refreshEvery.
const dropAfter = time.Hour

// Reseal brings every sealed column and data key under the newest store key, in small transactions between those of others, and then deletes
// older keys that nothing uses any more; on PostgreSQL only those that were followed by another more than an hour ago, for other nodes may
// still use them. progress (may be nil) gets the count of rows done. Reseal may be stopped and begun again at any time, and repeating it is
// harmless. Values that do not open stay, as do the keys then, and are the error in the end.
func (s *Store) Reseal(ctx context.Context, progress func(done, total int64)) error {
	if err := s.learnKeys(ctx, s.keeper()); err != nil {
		return err
	}
	// Whoever sealed with an older key in this process, and is about to commit it, has done so after this. (On PostgreSQL there are others, which
	// dropAfter is for.)
	if err := s.Tx(ctx, func(*Tx) error { return nil }); err != nil {
		return err
	}
	r := &resealing{s: s, head: s.box.Head(), progress: progress}
	if err := r.count(ctx); err != nil {
		return err
	}
	const passes = 10 // rows that somebody else changes meanwhile are for the next
	for pass := 1; ; pass++ {
		moved, err := r.pass(ctx)
		switch {
		case err != nil:
			return err
		case r.damaged != nil:
			return fmt.Errorf("store: sealing anew: %d rows do not open, the first: %w", r.bad, r.damaged)
		case moved == 0:
			return s.dropKeys(ctx, hex.EncodeToString(r.head[1:]), r.since)
		case pass == passes:
			return errors.New("store: sealing anew: others write faster; to be repeated")
		}
	}
}

// resealing is one run of Reseal.
type resealing struct {
	s           *Store
	head        []byte
	progress    func(done, total int64)
	done, total int64

	since   int64 // when the oldest transaction began that this pass may not have seen the end of, by the engine's clock
	bad     int
	damaged error // of the first row that does not open
}

func (r *resealing) count(ctx context.Context) error {
	for _, t := range sealedTables() {
		var n int64
		if err := r.s.View(ctx, func(tx *Tx) error {
			return tx.one(`SELECT COUNT(*) FROM `+t.name+` WHERE `+t.stale(), []any{r.head}, &n)
		}); err != nil {
			return err
		}
		r.total += n
	}
	r.report(0)
	return nil
}

func (r *resealing) report(n int64) {
	r.done += n
	r.total = max(r.total, r.done)
	if r.progress != nil {
		r.progress(r.done, r.total)
	}
}

// pass goes through everything once and tells how many rows were not as they should be.
func (r *resealing) pass(ctx context.Context) (moved int64, err error) {
	r.bad, r.damaged, r.head = 0, nil, r.s.box.Head() // there may be a newer key again
	if err := r.s.View(ctx, func(tx *Tx) (err error) { r.since, err = tx.oldest(); return err }); err != nil {
		return 0, err
	}
	for _, t := range sealedTables() {
		after := staleRow{number: -1}
		for {
			rows, err := r.page(ctx, t, after)
			if err != nil {
				return moved, err
			}
			if len(rows) == 0 {
				break
			}
			if err := r.move(ctx, t, rows); err != nil {
				return moved, err
			}
			moved += int64(len(rows))
			after = rows[len(rows)-1]
		}
	}
	return moved, nil
}

func (r *resealing) page(ctx context.Context, t sealedTable, after staleRow) (rows []staleRow, err error) {
	number, from, order, args := "0", t.key+" > $2", t.key, []any{r.head, after.key}
	if t.number != "" {
		number, from, order = t.number, fmt.Sprintf("(%s, %s) > ($2, $3)", t.key, t.number), t.key+", "+t.number
		args = append(args, after.number)
	}
	text := fmt.Sprintf(`SELECT %s, %s, %s FROM %s WHERE %s AND %s ORDER BY %s LIMIT %d`,
		t.key, number, strings.Join(t.columns, ", "), t.name, t.stale(), from, order, resealPage)
	err = r.s.View(ctx, func(tx *Tx) error {
		rows, err = all(tx, func(scan scanner) (row staleRow, err error) {
			row.values = make([][]byte, len(t.columns))
			dest := []any{&row.key, &row.number}
			for i := range row.values {
				dest = append(dest, &row.values[i])
			}
			return row, scan(dest...)
		}, text, args...)
		return err
	})
	return rows, err
}

// change is one value that is to be replaced.
type change struct {
	row      staleRow
	column   string
	old, new []byte
	kid      string
}

// move seals rows anew and writes them in one transaction, but for values that have changed since they were read: those are sealed by the
// newest key already, or are for the next pass.
func (r *resealing) move(ctx context.Context, t sealedTable, rows []staleRow) error {
	var changes []change
	for _, row := range rows {
		for i, old := range row.values {
			if old == nil || string(old[:min(len(old), vault.HeadSize)]) == string(r.head) {
				continue
			}
			name := t.row(row.key, row.number)
			kid, fresh, err := r.s.box.Reseal(t.name+"."+t.columns[i], name, old)
			if err != nil {
				r.bad++
				if r.damaged == nil {
					r.damaged = fmt.Errorf("%s.%s of %s: %w", t.name, t.columns[i], name, err)
				}
				continue
			}
			changes = append(changes, change{row: row, column: t.columns[i], old: old, new: fresh, kid: kid})
		}
	}
	err := r.s.Tx(ctx, func(tx *Tx) error {
		for _, c := range changes {
			if err := tx.replace(t, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.report(int64(len(rows)))
	}
	return err
}

func (tx *Tx) replace(t sealedTable, c change) error {
	set, args := "", []any{c.new, c.row.key, c.old}
	if t.number != "" {
		args = append(args, c.row.number)
		set = " AND " + t.number + " = $4"
	}
	where := fmt.Sprintf(" WHERE %s = $2 AND %s = $3", t.key, c.column) + set
	text := fmt.Sprintf("UPDATE %s SET %s = $1", t.name, c.column)
	if t.name == "blob" && c.column == "dek" {
		args = append(args, c.kid)
		text += ", kid = $4"
	}
	_, err := tx.exec(text+where, args...)
	return err
}

// dropKeys deletes the sealing keys older than kid, under which everything is that transactions wrote which began before since; those that
// began later, in whatever node, know of a key that was followed by another dropAfter before that.
func (s *Store) dropKeys(ctx context.Context, kid string, since int64) error {
	return s.Tx(ctx, func(tx *Tx) error {
		rows, err := tx.keyRows()
		if err != nil {
			return err
		}
		if err := tx.sameKeys(rows); err != nil {
			return err
		}
		var sealing []keyRow
		for _, r := range rows {
			if r.Purpose == vault.Sealing {
				sealing = append(sealing, r)
			}
		}
		for i, r := range sealing {
			if r.KID == kid {
				break
			}
			if followed := sealing[min(i+1, len(sealing)-1)].created; !s.Exclusive() && since-followed < dropAfter.Milliseconds() {
				break
			}
			if _, err := tx.exec(`DELETE FROM sealkey WHERE kid = $1 AND purpose = $2`, r.KID, string(vault.Sealing)); err != nil {
				return err
			}
		}
		return nil
	})
}

// oldest tells when the oldest transaction that is still open in any node began, by the engine's clock: no later than now.
func (tx *Tx) oldest() (ms int64, err error) {
	return ms, tx.one(cmp.Or(tx.s.dialect.oldest, `SELECT {now}`), nil, &ms)
}
