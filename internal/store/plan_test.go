package store

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// explainer asks SQLite how it will run each statement, and complains of those that read whole tables.
type explainer struct {
	planner
	t *testing.T
}

func (e *explainer) explain(ctx context.Context, text string, args []any) {
	e.t.Helper()
	before := len(e.steps)
	if err := e.plan(ctx, text, args); err != nil {
		e.t.Fatal(err)
	}
	for _, step := range e.steps[before:] {
		if strings.HasPrefix(step, "SCAN") && step != "SCAN CONSTANT ROW" {
			e.t.Errorf("%s: %s", step, text)
		}
	}
}

// planner keeps how SQLite will run each query.
type planner struct {
	querier
	steps []string
}

func (p *planner) plan(ctx context.Context, text string, args []any) error {
	rows, err := p.querier.QueryContext(ctx, "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return err
		}
		p.steps = append(p.steps, step)
	}
	return rows.Err()
}

func (p *planner) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if err := p.plan(ctx, text, args); err != nil {
		return nil, err
	}
	return p.querier.QueryContext(ctx, text, args...)
}

func (e *explainer) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	e.explain(ctx, text, args)
	return e.querier.ExecContext(ctx, text, args...)
}

func (e *explainer) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	e.explain(ctx, text, args)
	return e.querier.QueryContext(ctx, text, args...)
}

// What happens for every message must not cost more with every message that is there.
func TestNoScans(t *testing.T) {
	kek, err := vault.OpenKEK(filepath.Join(t.TempDir(), "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), KEK: kek})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	e := &explainer{t: t}
	lee := addr.Address{Endpoint: "lee", Domain: "h.example"}
	err = s.Tx(t.Context(), func(tx *Tx) error {
		e.querier = tx.q
		tx.q = e
		m := Message{Direction: transit.Inbound, Kind: transit.Mail, Dedupe: []byte("x"), Header: Header{MessageID: "<1@h.example>"}}
		b := testBlob(tx, 1)
		errs := []error{tx.InsertBlob(b), tx.InsertMessage(&m), tx.InsertDomain("h.example")}
		again := m
		again.ID = ""
		if err := tx.InsertMessage(&again); !errors.Is(err, ErrDuplicate) {
			errs = append(errs, err)
		}
		a, err := tx.InsertAccount(lee)
		box, err2 := tx.EnsureMailbox(a.ID, "INBOX")
		_, err3 := tx.AppendMail(&Mail{Mailbox: box.ID, Message: m.ID, Blob: b.ID})
		r := Recipient{Message: m.ID, Address: lee}
		d := Delivery{Message: m.ID, Domain: "h.example", Blob: b.ID}
		errs = append(errs, err, err2, err3, tx.InsertRecipient(&r), tx.InsertDelivery(&d, r.ID), tx.MoveRecipient(r.ID, 0, Move{To: transit.Sealed}),
			tx.NoteAnswer(r.ID, transit.Answer{}), tx.SetDeadline(r.ID, time.Now()), tx.InsertNotice(r.ID, "processed", "n"),
			tx.Correlate(ByMessageID, "x", r.ID, time.Now().Add(time.Hour)), tx.SetMessageHeader(m.ID, m.Header), tx.SetMessageWork(m.ID, b.ID),
			tx.SetMessageState(m.ID, 0, Decided, ""), tx.InsertWork(&Work{Kind: "k", Ref: m.ID, Unique: "u", Dest: "h.example"}))
		work, err := tx.ClaimWork(Claim{Kind: "k", Lane: Small, Limit: 1, PerDest: 2, TTL: time.Hour, Backoff: func(int64) time.Duration { return 0 }})
		errs = append(errs, err)
		for _, w := range work {
			errs = append(errs, tx.ExtendWork(w.ID, w.Epoch, time.Hour), tx.RetryWork(w.ID, w.Epoch, 0, ""))
		}
		for _, read := range []func() error{
			func() error { _, err := tx.Message(m.ID); return err },
			func() error { _, err := tx.MessagesByHeaderID("<1@h.example>"); return err },
			func() error { _, err := tx.Timeline(m.ID); return err },
			func() error { _, err := tx.Recipients(m.ID); return err },
			func() error { _, err := tx.RecipientsOf(d.ID); return err },
			func() error { _, err := tx.Correlated(ByMessageID, "x"); return err },
			func() error { _, err := tx.Blob(b.ID); return err },
			func() error { _, err := tx.Account(lee); return err },
			func() error { _, err := tx.ListMail(box.ID, 0, 0); return err },
			func() error { _, err := tx.WorkOf(m.ID); return err },
			func() error { _, _, err := tx.NextWork(Claim{Kind: "k", Lane: Small, PerDest: 2}); return err },
			func() error { _, err := tx.Certs(Owner{Address: lee}); return err },
			func() error { _, err := tx.Anchors(Owner{Address: lee}, transit.Inbound); return err },
			func() error { _, err := tx.Audits(AuditFilter{Object: "message:1"}); return err },
			func() error { _, err := tx.Audits(AuditFilter{Actor: "flow"}); return err },
			func() error { return tx.FinishWork("none", 1) },
			func() error { _, err := tx.DeadBlobs(time.Now(), 10); return err },
			func() error { _, err := tx.LiveBlobs("", 10); return err },
			func() error { _, err := tx.KnownKeys([]string{"x"}); return err },
			func() error { _, err := tx.BlobMails(b.ID); return err },
			func() error { return tx.KillBlob(b.ID) },
			func() error { return tx.SweepBlob(b.ID) },
			func() error { return tx.SetPassword(a.ID, "x") },
			func() error { return tx.HoldWork(work[0].ID) },
			func() error { return tx.RetryWorkNow(work[0].ID) },
			func() error { return tx.CancelWork(work[0].ID) },
		} {
			if err := read(); !errors.Is(err, ErrLeaseLost) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.steps) < 30 {
		t.Errorf("only %d plans seen", len(e.steps))
	}
}

// What looks for bodies that nobody refers to reads each row of bodies once, and no other table.
func TestUnreferredPlan(t *testing.T) {
	s := openTest(t, t.TempDir())
	plan := &planner{}
	if err := s.View(t.Context(), func(tx *Tx) error {
		plan.querier = tx.q
		tx.q = plan
		_, err := tx.UnreferredBlobs(time.Now(), 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	scans := 0
	for _, step := range plan.steps {
		if strings.HasPrefix(step, "SCAN") {
			scans++
		}
	}
	if scans != 1 || !strings.Contains(strings.Join(plan.steps, "\n"), "SCAN b USING INDEX") {
		t.Errorf("plan:\n%s", strings.Join(plan.steps, "\n"))
	}
}
