package admin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkDrops cleans the folders and says what is wrong with them.
func (s *Service) checkDrops(d Drops) (Drops, error) {
	for _, dir := range []*string{&d.Maildir, &d.Studies} {
		if *dir == "" {
			continue
		}
		if err := s.checkDrop(dir); err != nil {
			return d, err
		}
	}
	if d.Maildir != "" && (within(d.Maildir, d.Studies) || within(d.Studies, d.Maildir)) {
		return d, invalid("the Maildir and the folder of studies lie one in the other: name two that stand apart")
	}
	return d, nil
}

func (s *Service) checkDrop(dir *string) error {
	if !filepath.IsAbs(*dir) || strings.ContainsAny(*dir, "\x00\n") {
		return invalid("a folder for drops wants an absolute path")
	}
	*dir = filepath.Clean(*dir)
	there, err := real(*dir)
	if err == nil {
		err = reason(s.suits(*dir))
	}
	if err != nil {
		return invalid("the folder %s cannot be used: %v", *dir, err)
	}
	for _, private := range s.private {
		private, err := filepath.Abs(private)
		if err != nil {
			return prefix("drops", err)
		}
		if p, err := real(private); err == nil {
			private = p
		}
		if within(there, private) {
			return invalid("the folder %s lies in a directory of the installation's own: name one outside", *dir)
		}
	}
	return nil
}

// real is path with its symbolic links followed as far as it exists. What exists must be a directory.
func real(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(path)
		if parent == path {
			return path, nil
		}
		above, err := real(parent)
		return filepath.Join(above, filepath.Base(path)), err
	case err != nil:
		return "", reason(err)
	case !info.IsDir():
		return "", errors.New("it is no directory")
	}
	there, err := filepath.EvalSymlinks(path)
	return there, reason(err)
}

// reason is what went wrong, without the path.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// within says whether path is dir or lies in it.
func within(path, dir string) bool {
	return path != "" && dir != "" && (path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/"))
}
