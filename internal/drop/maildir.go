package drop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/vault"
	"carepost/message"
)

// name is the item's own in any folder, always the same: the mailbox and the UID name a mail for ever.
func (it *item) name() string {
	return fmt.Sprintf("%d.%s_%d.carepost", it.mail.At.Unix(), it.Mailbox, it.UID)
}

// layMail lays a mail into a Maildir.
func (s *Service) layMail(ctx context.Context, j *queue.Job, it *item) (audit.Entry, error) {
	e := it.entry("mail.drop")
	root, err := maildir(it.dir, j.Attempt > 1)
	if err != nil {
		return e, err
	}
	defer root.Close()
	if j.Attempt > 1 { // else nobody can have laid it down
		if err := sweep(root, it.name()); err != nil { // also where the other name is in new: it would outlive its reader's deleting it
			return e, err
		}
		there, err := laid(root, it.name())
		if there || err != nil {
			return e, err
		}
	}
	tmp := path.Join("tmp", fmt.Sprintf("%s.%d", it.name(), j.Epoch)) // whose lease is lost may still be writing his
	defer root.Remove(tmp)
	if err := s.write(ctx, j, it, root, tmp); err != nil {
		return e, err
	}
	if err := j.Beat(ctx); err != nil {
		return e, err
	}
	crash.Point("drop.written")
	if err := link(root, tmp, path.Join("new", it.name())); err != nil {
		return e, err
	}
	return e, syncFolder(root, "new")
}

// maildir opens a Maildir, made where it is missing (0700). What is done in it stays in it, whatever links its owner puts there.
func maildir(dir string, again bool) (*os.Root, error) {
	if err := makeFolder(dir, again); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	made := again
	for _, name := range []string{"tmp", "new", "cur"} {
		err := root.Mkdir(name, 0o700)
		made = made || err == nil
		if err != nil && !errors.Is(err, fs.ErrExist) {
			root.Close()
			return nil, err
		}
	}
	if made {
		err = syncFolder(root, ".")
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// makeFolder makes a folder where it is missing. One that an earlier try may have made is brought to the disk.
func makeFolder(dir string, again bool) error {
	if err := Suits(dir); err != nil {
		return err
	}
	if there, err := exists(dir); err != nil || there && !again {
		return err
	}
	return vault.MakeDir(dir)
}

// laid says whether an earlier try laid the mail down: readers move it from new to cur, and put their flags behind a colon.
func laid(root *os.Root, name string) (bool, error) {
	for _, folder := range []string{"new", "cur"} {
		names, err := list(root, folder)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(names, func(n string) bool { return n == name || strings.HasPrefix(n, name+":") }) {
			return true, syncFolder(root, folder)
		}
	}
	return false, nil
}

// sweep removes what earlier tries left half written.
func sweep(root *os.Root, name string) error {
	names, err := list(root, "tmp")
	for _, n := range names {
		if strings.HasPrefix(n, name+".") {
			err = errors.Join(err, root.Remove(path.Join("tmp", n)))
		}
	}
	return err
}

func list(root *os.Root, folder string) ([]string, error) {
	d, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// write writes the mail to a new file, durable but for its name.
func (s *Service) write(ctx context.Context, j *queue.Job, it *item, root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 256<<10)
	var to io.Writer = out
	binary, err := isBinary(it.body, it.body.Size())
	if err != nil {
		return err
	}
	text := &lines{w: out}
	if !binary {
		to = text
	}
	src := &moving{r: io.NewSectionReader(it.body, 0, it.body.Size()), ctx: ctx, tell: j.Progress}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, src, make([]byte, 256<<10)); err != nil {
		return err
	}
	if err := text.end(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := root.Chtimes(name, it.mail.At, it.mail.At); err != nil { // readers take it for the time of arrival
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// isBinary says whether line ends are data somewhere in a message.
func isBinary(r io.ReaderAt, size int64) (bool, error) {
	root, err := message.Parse(r, size, message.Limits{})
	for _, e := range []error{message.ErrSyntax, message.ErrLimit, message.ErrAmbiguous} {
		if errors.Is(err, e) {
			return false, nil // for a person to read, who is shown it as it is
		}
	}
	if err != nil {
		return false, err
	}
	parts := []*message.Part{root}
	for len(parts) > 0 {
		p := parts[len(parts)-1]
		if p.Encoding == "binary" {
			return true, nil
		}
		parts = append(parts[:len(parts)-1], p.Parts...)
	}
	return false, nil
}

// link gives a file its name. On file systems without links it is renamed: what may lie there under that name is the same mail.
func link(root *os.Root, tmp, name string) error {
	err := root.Link(tmp, name)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EMLINK):
		return root.Rename(tmp, name)
	}
	return err
}

func syncFolder(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// moving keeps the lease while a copy goes on.
type moving struct {
	r    io.Reader
	ctx  context.Context
	tell func() error
}

func (m *moving) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	if err := m.tell(); err != nil {
		return 0, err
	}
	return m.r.Read(p)
}
