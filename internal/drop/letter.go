package drop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"carepost/internal/mailbox"
	"carepost/internal/vault"
)

// mostNames is how many names are tried for the letter: a set may hold files of such names itself.
const mostNames = 20

// layLetter lays the letter of the mail beside DICOMDIR, durable: the instructions to the recipient stay with the study (DCM-27). The set
// does not reference it, as files beside a set may be (PS3.12 Y.1.1).
func (it *item) layLetter(dir string) error {
	l, err := mailbox.ReadLetter(it.body)
	if err != nil {
		return err
	}
	base, ext := strings.TrimSuffix(mailbox.LetterName, filepath.Ext(mailbox.LetterName)), filepath.Ext(mailbox.LetterName)
	for n := 1; ; n++ {
		name := mailbox.LetterName
		if n > 1 {
			name = fmt.Sprintf("%s_%d%s", base, n, ext)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666) // as the study
		if errors.Is(err, fs.ErrExist) && n < mostNames {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(l.String())
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		return vault.SyncDir(dir)
	}
}
