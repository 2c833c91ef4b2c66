package drop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errHolder says that a folder is another user's. Root could write there, but its holder could not read it, and by a link he could have
// root write elsewhere.
var errHolder = errors.New("the folder is another user's, who could not read what root writes there: run the gateway as a user of its own, that may write to it")

// Suits says whether this process may lay mail into a folder, which need not be there yet.
func Suits(dir string) error { return suits(dir, os.Geteuid()) }

func suits(dir string, euid int) error {
	if euid != 0 {
		return nil // the system sees to it
	}
	// Whose are the folders that it lies in, from the top? What is in another user's is his to exchange.
	at := "/"
	for _, name := range append([]string{""}, strings.Split(filepath.Clean(dir), "/")...) {
		at = filepath.Join(at, name)
		for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} { // a link, and where it leads
			info, err := look(at)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !rooted(info) {
				return errHolder
			}
		}
	}
	return nil
}

// rooted says that something is root's.
func rooted(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Uid == 0
}
