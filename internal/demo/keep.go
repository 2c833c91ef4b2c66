package demo

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"carepost/dicom/fileset"
	"carepost/internal/store"
)

// compare holds every received instance against its source, byte for byte.
func compare(plan *fileset.Plan, received string) error {
	for _, i := range plan.Instances {
		same, err := equalFiles(i.Source, filepath.Join(received, filepath.FromSlash(i.FileID)))
		if err != nil {
			return fmt.Errorf("demo: comparing: %w", err)
		}
		if !same {
			return fmt.Errorf("%w: %s", ErrDifferent, i.FileID)
		}
	}
	return nil
}

func equalFiles(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	pa, pb := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		na, errA := io.ReadFull(fa, pa)
		nb, errB := io.ReadFull(fb, pb)
		if na != nb || !bytes.Equal(pa[:na], pb[:nb]) {
			return false, nil
		}
		if errA == io.EOF || errA == io.ErrUnexpectedEOF {
			return errB == errA, nil
		}
		if errA != nil {
			return false, errA
		}
	}
}

// keep lays out beside the installations what a person wants to look at: the mails as they crossed the wire, and the keys and
// anchors to open them with other programs.
func (w *world) keep(ctx context.Context, sent store.Recipient) error {
	if err := save(ctx, w.a, sent, filepath.Join(w.dir, "wire.eml")); err != nil {
		return err
	}
	notice, err := w.noticeSent(ctx)
	if err != nil {
		return err
	}
	if err := save(ctx, w.b, notice, filepath.Join(w.dir, "notice.eml")); err != nil {
		return err
	}
	for name, p := range map[string]*practice{"sender": w.a, "recipient": w.b} {
		key, cert, err := p.ExportIdentity(ctx, actor)
		if err != nil {
			return err
		}
		crl, err := p.CRL(ctx)
		if err != nil {
			return err
		}
		for path, text := range map[string][]byte{
			"keys/" + name + ".key": key, "keys/" + name + ".pem": cert,
			"anchors/" + name + ".pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Anchor().Raw}),
			"crls/" + name + ".crl":    crl,
		} {
			if err := write(filepath.Join(w.dir, filepath.FromSlash(path)), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// noticeSent is the recipient row of the processed notice that b made.
func (w *world) noticeSent(ctx context.Context) (store.Recipient, error) {
	mails, err := w.b.Mailboxes().List(ctx, actor, recipient, "INBOX", 0, 1)
	if err != nil {
		return store.Recipient{}, err
	}
	t, err := w.b.Flow().Timeline(ctx, actor, mails[0].Message)
	if err != nil {
		return store.Recipient{}, err
	}
	id, err := w.b.Flow().NoticeOf(ctx, t.Recipients[0].ID)
	if err != nil {
		return store.Recipient{}, err
	}
	t, err = w.b.Flow().Timeline(ctx, actor, id)
	if err != nil {
		return store.Recipient{}, err
	}
	return t.Recipients[0], nil
}

// save copies a sealed message, as it went over the wire, into a file.
func save(ctx context.Context, p *practice, r store.Recipient, path string) error {
	body, err := p.Sealed(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return err
	}
	return f.Close()
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// kept tells what lies where, and how to look into the mail.
func kept(dir string) string {
	at := func(name string) string { return quoted(filepath.Join(dir, filepath.FromSlash(name))) }
	return fmt.Sprintf(`Everything is in %s:
  a/  b/                   the two installations
  wire.eml  notice.eml     the mail and its answer, as they crossed the wire
  keys/  anchors/  crls/   to open them with
  received/                the study, as it arrived
To open the mail yourself:
  carepost open --to %s \
      --key %s --cert %s \
      --anchor %s --crl %s \
      <%s >message.eml`, quoted(dir), recipient, at("keys/recipient.key"), at("keys/recipient.pem"),
		at("anchors/sender.pem"), at("crls/sender.crl"), at("wire.eml"))
}

// quoted writes a path for a shell.
func quoted(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@%", r)
	}
	if strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
