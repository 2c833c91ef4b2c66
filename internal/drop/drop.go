// Package drop lays what arrives for an account into folders outside the installation: its mail into a Maildir, so that any mail
// program reads it, and the studies attached to it into folders of their own. Plaintext leaves the sealed store here, and only because the
// account's holder asked for it (store.Drops); every file or folder that is laid down has its audit entry.
//
// The Maildir is that of qmail's maildir(5): a file is written under tmp, brought to the disk, and given its name in new by a link, so that
// a reader sees a whole message or none. Its name is made of the mailbox and the UID: a step that is run again finds what it laid
// down, in new, or in cur with the flags of a reader. The mailbox of the sealed store keeps its copy.
//
// Lines end with LF, as mail programs on Unix expect of files (CRLF is what is sent and signed); a message with a part in the encoding
// "binary" is left as it is, since there CR and LF are data. Nothing is added to a message.
//
// A study is laid down when its file-set is COMPLETE and its mail gives no cause for doubt; else it stays in the mail, and the audit and
// the log say so.
//
// What cannot be known: a message that a reader moved out of the Maildir between the laying down and its entry, with a crash in between,
// is laid down again.
package drop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const actor = audit.Actor("drop")

// Service does the work that mailbox.Service.Deliver puts on the queue for accounts with folders.
type Service struct {
	Store *store.Store
	Blobs *blob.Store
	Log   *slog.Logger // default discards
}

// Handlers is the work, for queue.New. A folder may lie on a server that hangs: it keeps nobody else waiting.
func (s *Service) Handlers() []queue.Handler {
	return []queue.Handler{
		{Kind: mailbox.KindDrop, Lane: store.Small, Workers: 2, Stalled: 8, Do: s.do},
		{Kind: mailbox.KindDrop, Lane: store.Huge, Workers: 1, Stalled: 4, Do: s.do},
	}
}

// item is one mail to lay into one folder.
type item struct {
	mailbox.Drop
	dir  string
	mail store.Mail
	body *blob.Body
}

// do lays down one mail, or the study in it. Work whose mail, account or folder is gone meanwhile is done.
func (s *Service) do(ctx context.Context, j *queue.Job) error {
	d, err := mailbox.ParseDrop(j.Ref)
	if err != nil {
		return s.Store.Tx(ctx, func(tx *store.Tx) error { return j.Bury(tx, err.Error()) })
	}
	it, err := s.item(ctx, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case errors.Is(err, blob.ErrDamaged):
		return s.bury(ctx, j, it, err)
	case err != nil:
		return fmt.Errorf("drop: %w", err)
	case it.dir == "":
		return nil
	}
	defer it.body.Close()
	lay := s.layMail
	if it.Into == mailbox.Studies {
		lay = s.layStudy
	}
	entry, err := lay(ctx, j, it)
	if errors.Is(err, blob.ErrDamaged) {
		return s.bury(ctx, j, it, err)
	}
	if err != nil {
		return fmt.Errorf("drop: %s: %w", it.Into, nameless(err))
	}
	crash.Point("drop.laid")
	err = s.Store.Tx(ctx, func(tx *store.Tx) error {
		if entry.Action != "" {
			if err := audit.Write(tx, entry); err != nil {
				return err
			}
		}
		return j.Finish(tx)
	})
	crash.Point("drop.settled")
	return err
}

// item reads what a piece of work is about. store.ErrNotFound.
func (s *Service) item(ctx context.Context, d mailbox.Drop) (*item, error) {
	it := &item{Drop: d}
	var row store.Blob
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		account, err := tx.AccountByID(it.Account)
		if err != nil {
			return err
		}
		if !account.Closed.IsZero() {
			return store.ErrNotFound
		}
		it.dir = account.Drops.Maildir
		if it.Into == mailbox.Studies {
			it.dir = account.Drops.Studies
		}
		if it.mail, err = tx.Mail(it.Mailbox, it.UID); err != nil {
			return err
		}
		row, err = tx.Blob(it.mail.Blob)
		return err
	})
	if err != nil || it.dir == "" {
		return it, err
	}
	it.body, err = s.Blobs.Open(blob.Ref(row))
	return it, err
}

// entry begins the audit entry of what is done with an item.
func (it *item) entry(action string) audit.Entry {
	return audit.Entry{Actor: actor, Action: action, Object: "mailbox:" + it.Mailbox,
		Detail: map[string]string{"uid": strconv.FormatUint(uint64(it.UID), 10), "message": it.mail.Message}}
}

// bury ends work about a body that is damaged: no further try can help, and the operator is to see it.
func (s *Service) bury(ctx context.Context, j *queue.Job, it *item, cause error) error {
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		e := it.entry("work.bury")
		e.Detail["kind"], e.Detail["error"] = j.Kind, cause.Error()
		if err := audit.Write(tx, e); err != nil {
			return err
		}
		return j.Bury(tx, cause.Error())
	})
}
