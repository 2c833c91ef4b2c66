package audit

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/store"
)

// ExportOptions choose what Export writes. Zero fields choose all.
type ExportOptions struct {
	From, To int64  // places in the log
	Object   string // entries about this alone: "message:01J…"
	Clear    bool   // leave the details out: what is in clear names no person
}

// Export writes the log, or a part of it, as lines of JSON that prove themselves to who has the log's public key: first the log with its last
// signed head, then the entries in their order, then the other heads, each with the proof (RFC 9162 §2.1.4) that the last one goes on from
// it, then how many entries there were. In a part, each entry has the proof that it is in the log (RFC 9162 §2.1.3); in the whole log
// the digests of all entries make the head. docs/audit.md describes the lines. Entries that are not what was written are exported as they
// are, and say so. store.ErrNotFound where the log has not begun.
func (l *Log) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	x := &export{ctx: ctx, l: l, o: o, out: bufio.NewWriter(w)}
	err := x.run()
	if err == nil {
		err = x.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

type export struct {
	ctx  context.Context
	l    *Log
	o    ExportOptions
	out  *bufio.Writer
	head Head
	n    int64
}

// The lines of an export.
type (
	logLine struct {
		Type   string `json:"type"` // "log"
		Format int    `json:"format"`
		Origin string `json:"origin"`
		Key    string `json:"key"`
		Head   string `json:"head"`
		Whole  bool   `json:"whole"` // all entries follow
	}
	entryLine struct {
		Type   string      `json:"type"` // "entry"
		Seq    int64       `json:"seq"`
		ID     string      `json:"id"`
		At     int64       `json:"at"` // milliseconds since 1970 UTC
		Node   string      `json:"node"`
		Actor  string      `json:"actor"`
		Action string      `json:"action"`
		Object string      `json:"object"`
		State  string      `json:"state"`
		Sum    string      `json:"sum,omitempty"`    // SHA-256 of detail, in hexadecimal
		Detail string      `json:"detail,omitempty"` // the text that was sealed
		Digest string      `json:"digest"`           // in hexadecimal
		Proof  []tlog.Hash `json:"proof,omitempty"`
	}
	headLine struct {
		Type  string      `json:"type"` // "head"
		Head  string      `json:"head"`
		Proof []tlog.Hash `json:"proof"`
	}
	endLine struct {
		Type    string `json:"type"` // "end"
		Entries int64  `json:"entries"`
	}
)

func (x *export) line(v any) error {
	e := json.NewEncoder(x.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (x *export) run() error {
	s := x.l.o.Store
	k, err := x.l.existing(x.ctx)
	if err != nil {
		return err
	}
	var signed string
	if err := s.View(x.ctx, func(tx *store.Tx) error {
		last, err := tx.LastAuditHead()
		signed = last.Note
		return err
	}); err != nil {
		return err
	}
	if x.head, err = OpenHead(signed, k.public); err != nil {
		return err
	}
	to := x.head.Size
	if x.o.To > 0 {
		to = min(to, x.o.To)
	}
	whole := x.o.From <= 1 && to == x.head.Size && x.o.Object == ""
	if err := x.line(logLine{"log", 1, k.name, k.public, signed, whole}); err != nil {
		return err
	}
	for after := max(x.o.From-1, 0); after < to; {
		if err := s.View(x.ctx, func(tx *store.Tx) (err error) { after, err = x.page(tx, after, to, whole); return err }); err != nil {
			return err
		}
	}
	if err := x.heads(k); err != nil {
		return err
	}
	return x.line(endLine{"end", x.n})
}

// page writes some entries, those behind a place, and tells how far it went.
func (x *export) page(tx *store.Tx, after, to int64, whole bool) (int64, error) {
	rows, err := tx.AuditsAfter(after, pageSize)
	if err != nil {
		return after, err
	}
	t := newTree(tx, x.head.Size)
	for _, row := range rows {
		after = row.Seq
		if row.Seq > to {
			return after, nil
		}
		if x.o.Object != "" && row.Object != x.o.Object {
			continue
		}
		line := x.entry(row)
		if !whole {
			proof, err := tlog.ProveRecord(x.head.Size, row.Seq-1, t)
			if err != nil && !errors.Is(err, ErrLog) { // a damaged tree proves nothing; the entry is shown all the same
				return after, err
			}
			line.Proof = proof
		}
		if err := x.line(line); err != nil {
			return after, err
		}
		x.n++
	}
	if len(rows) == 0 {
		after = to
	}
	return after, x.ctx.Err()
}

func (x *export) entry(row store.Audit) entryLine {
	line := entryLine{
		Type: "entry", Seq: row.Seq, ID: row.ID, At: row.At.UnixMilli(), Node: row.Node, Actor: row.Actor, Action: row.Action, Object: row.Object,
		State: read(row).State.String(), Sum: hex.EncodeToString(row.Sum), Digest: hex.EncodeToString(row.Digest),
	}
	if !x.o.Clear {
		line.Detail = string(row.Detail)
	}
	return line
}

// heads writes those before the last.
func (x *export) heads(k *key) error {
	for after := int64(math.MinInt64); ; {
		var rows []store.AuditHead
		err := x.l.o.Store.View(x.ctx, func(tx *store.Tx) (err error) {
			if rows, err = tx.AuditHeads(after, pageSize); err != nil {
				return err
			}
			t := newTree(tx, x.head.Size)
			for _, row := range rows {
				after = row.Size
				if row.Size < 1 || row.Size >= x.head.Size {
					continue
				}
				if _, err := OpenHead(row.Note, k.public); err != nil {
					continue // Verify tells
				}
				proof, err := tlog.ProveTree(x.head.Size, row.Size, t)
				if err != nil && !errors.Is(err, ErrLog) {
					return err
				}
				if err := x.line(headLine{"head", row.Note, proof}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(rows) == 0 {
			return err
		}
	}
}

// String is the state's name.
func (s State) String() string {
	switch s {
	case Whole:
		return "whole"
	case Erased:
		return "erased"
	}
	return "broken"
}

// Signed is the last head of the log as it is kept elsewhere, and the public key that it proves itself by.
type Signed struct {
	Head Head
	Note string
	Key  string
}

// Last gives the last head. store.ErrNotFound where the log has not begun.
func (l *Log) Last(ctx context.Context) (out Signed, err error) {
	k, err := l.existing(ctx)
	if err != nil {
		return out, err
	}
	out.Key = k.public
	if err := l.o.Store.View(ctx, func(tx *store.Tx) error {
		last, err := tx.LastAuditHead()
		out.Note = last.Note
		return err
	}); err != nil {
		return out, fmt.Errorf("audit: %w", err)
	}
	out.Head, err = OpenHead(out.Note, k.public)
	return out, err
}
