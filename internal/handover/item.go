package handover

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// errNothing says that a mail has no study, or is one that nobody can read as mail.
var errNothing = errors.New("handover: no study")

// item is a mail with its set, judged.
type item struct {
	from    addr.Address // zero: not to be read
	header  message.Header
	at      time.Time // when it came
	verdict fileset.Verdict
	all     []fileset.Content // in the order of the DICOMDIR
	about   transit.Subjects  // of the set

	body *blob.Body
	set  *mailbox.Attached
}

func (it *item) close() {
	if it.set != nil {
		it.set.Close()
	}
	it.body.Close()
}

// open reads the mail of a row and judges the set in it. errNothing; store.ErrNotFound where the mail or its account is gone.
func (s *Service) open(ctx context.Context, j *queue.Job, h store.Handover) (*item, error) {
	var row store.Blob
	it := &item{}
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		account, err := tx.AccountByID(h.Account)
		if err != nil {
			return err
		}
		if !account.Closed.IsZero() {
			return store.ErrNotFound
		}
		m, err := tx.Mail(h.Mailbox, h.UID)
		if err != nil {
			return err
		}
		it.at = m.At
		row, err = tx.Blob(m.Blob)
		return err
	})
	if err != nil {
		return nil, err
	}
	if it.body, err = s.o.Blobs.Open(blob.Ref(row)); err != nil {
		return nil, err
	}
	if err := it.judge(ctx, j, s.o.Blobs); err != nil {
		it.close()
		return nil, err
	}
	return it, nil
}

// judge takes the set out of the mail and judges it. Base64 that is damaged is a set that is damaged.
func (it *item) judge(ctx context.Context, j *queue.Job, blobs *blob.Store) (err error) {
	it.set, err = mailbox.FileSet(blobs, it.body)
	switch {
	case errors.Is(err, message.ErrEncoding):
		it.verdict = fileset.Damaged
	case errors.Is(err, mailbox.ErrNoFileSet):
		if images, err := mailbox.Unverifiable(it.body); err != nil || !images {
			return cmp.Or(err, errNothing)
		}
		it.verdict = fileset.Unverifiable
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrLimit), errors.Is(err, message.ErrAmbiguous):
		return errNothing
	case err != nil:
		return err
	}
	it.header, err = message.ReadHeader(bufio.NewReader(io.NewSectionReader(it.body, 0, it.body.Size())), message.Limits{})
	if errors.Is(err, blob.ErrDamaged) {
		return err
	}
	if ms, err := it.header.Mailboxes("From"); err == nil && len(ms) > 0 { // package flow has judged the signer by it
		it.from = ms[0].Address
	}
	if it.set == nil {
		return nil
	}
	report, all, err := it.set.Instances(ctx, fileset.CheckOptions{Progress: func(int64, int64) { _ = j.Progress() }}) // a lost lease shows at the end
	if err != nil {
		return err
	}
	report.Add(it.set.Doubts()...)
	it.verdict, it.all, it.about = report.Verdict, all, transit.Subjects{Patients: mailbox.PatientsOf(report.Tree)}.Bounded()
	return nil
}
