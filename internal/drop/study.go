package drop

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/vault"
	"carepost/message"
)

// folder is the name of the study's folder: the day of arrival (UTC), the sender's domain, and a short id of the mail, always the same; and
// "unprotected" where nobody vouches for the mail (DCM-32).
func (it *item) folder() (string, error) {
	from := "unknown"
	h, err := message.ReadHeader(bufio.NewReader(io.NewSectionReader(it.body, 0, it.body.Size())), message.Limits{})
	if errors.Is(err, blob.ErrDamaged) {
		return "", err
	}
	if ms, err := h.Mailboxes("From"); err == nil && len(ms) > 0 { // package flow has judged the signer by it
		from = ms[0].Address.Domain.String()
	}
	sum := sha256.Sum256([]byte(it.Drop.String()))
	short := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	name := it.mail.At.UTC().Format("2006-01-02") + "-" + from + "-" + short
	if mailbox.Unprotected(h) {
		name += "-unprotected"
	}
	return name, nil
}

// layStudy takes the file-set of a mail out into a folder of its own, if it is COMPLETE. The entry is empty where the mail has none.
func (s *Service) layStudy(ctx context.Context, j *queue.Job, it *item) (audit.Entry, error) {
	set, err := mailbox.FileSet(s.Blobs, it.body)
	switch {
	case errors.Is(err, message.ErrEncoding): // its base64 is damaged
		return s.left(it, &fileset.Report{}), nil
	case errors.Is(err, mailbox.ErrNoFileSet):
		images, err := mailbox.Unverifiable(it.body)
		if err != nil || !images {
			return audit.Entry{}, err
		}
		return s.left(it, &fileset.Report{Verdict: fileset.Unverifiable}), nil
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrLimit), errors.Is(err, message.ErrAmbiguous):
		return audit.Entry{}, nil
	case err != nil:
		return audit.Entry{}, err
	}
	defer set.Close()
	name, err := it.folder()
	if err != nil {
		return audit.Entry{}, err
	}
	if err := makeFolder(it.dir, j.Attempt > 1); err != nil {
		return audit.Entry{}, err
	}
	if err := remains(it.dir, name); err != nil {
		return audit.Entry{}, err
	}
	there, err := exists(filepath.Join(it.dir, name))
	if err != nil {
		return audit.Entry{}, err
	}
	hidden := filepath.Join(it.dir, fmt.Sprintf(".%s.%d", name, j.Epoch))
	defer os.RemoveAll(hidden)
	report, err := s.unpack(ctx, j, set, hidden, there)
	if err != nil {
		return audit.Entry{}, err
	}
	switch {
	case report.Verdict != fileset.Complete:
		return s.left(it, report), nil
	case !there:
		if err := it.layLetter(hidden); err != nil {
			return audit.Entry{}, err
		}
		if err := j.Beat(ctx); err != nil {
			return audit.Entry{}, err
		}
		crash.Point("drop.unpacked")
		if err := os.Rename(hidden, filepath.Join(it.dir, name)); err != nil {
			return audit.Entry{}, err
		}
	}
	if err := vault.SyncDir(it.dir); err != nil {
		return audit.Entry{}, err
	}
	e := it.entry("study.drop")
	e.Detail["verdict"], e.Detail["instances"] = report.Verdict.String(), strconv.Itoa(report.Found)
	if set.Unprotected {
		e.Detail["protection"] = "none"
	}
	return e, nil
}

// unpack judges the set and takes it out, durable, where it is COMPLETE; where it was taken out before it is only judged.
func (s *Service) unpack(ctx context.Context, j *queue.Job, set *mailbox.Attached, dir string, before bool) (*fileset.Report, error) {
	check := fileset.CheckOptions{Progress: func(int64, int64) { _ = j.Progress() }} // a lost lease shows at the end
	if before {
		report, err := set.Check(ctx, check)
		if err == nil {
			report.Add(set.Doubts()...)
		}
		return report, err
	}
	report, err := set.Unpack(ctx, dir, fileset.UnpackOptions{CheckOptions: check})
	if errors.Is(err, fileset.ErrRefused) || errors.Is(err, fileset.ErrDamaged) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if report.Add(set.Doubts()...); report.Verdict != fileset.Complete {
		return report, nil
	}
	return report, syncTree(j, dir)
}

// left is the entry of a study that stays in its mail.
func (s *Service) left(it *item, r *fileset.Report) audit.Entry {
	e := it.entry("study.leave")
	e.Detail["verdict"], e.Detail["reason"] = r.Verdict.String(), "only a COMPLETE file-set is laid down; this one is in the mail"
	if s.Log != nil {
		s.Log.Warn("study not laid down", "mailbox", it.Mailbox, "uid", it.UID, "verdict", r.Verdict.String())
	}
	return e
}

// remains removes what earlier tries left half unpacked: our hidden folder, and the one that package fileset makes beside it.
func remains(dir, name string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	for _, n := range names {
		if strings.HasPrefix(n, "."+name+".") || strings.HasPrefix(n, ".."+name+".") {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, n)))
		}
	}
	return err
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// syncTree brings a folder and all in it to the disk.
func syncTree(j *queue.Job, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = j.Progress()
		}
		if err != nil {
			return err
		}
		return vault.SyncDir(path) // a file's content is brought to the disk in the same way
	})
}
