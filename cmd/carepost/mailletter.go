package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/mailbox"
)

// saveLetter writes what the mail says beside a study that was taken out of it: instructions stay with the images (DCM-27). A file of that name
// in the set itself stays, and the letter is in the mail.
func (f *mailSave) saveLetter(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, dir string) error {
	name := filepath.Join(dir, mailbox.LetterName)
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	text, err := c.MailLetter(ctx, of, f.folder, uid)
	if err != nil {
		return clientError(err)
	}
	return writeNew(name, strings.NewReader(text))
}
