package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"carepost/internal/vault"
)

// encode gives the one form of a manifest.
func (m Manifest) encode() []byte {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // texts, numbers and a time of our own
	}
	return append(b, '\n')
}

// checksum of all of it but checksum and seal.
func (m Manifest) checksum() string {
	m.Checksum, m.Seal = "", nil
	sum := sha256.Sum256(m.encode())
	return hex.EncodeToString(sum[:])
}

// finish puts checksum and seal in.
func (m *Manifest) finish(box *vault.Box) {
	m.Checksum = m.checksum()
	m.Seal = box.Seal(sealing, m.ID, []byte(m.Checksum))
}

// sealing stands in the place of a column's name (vault.Box).
const sealing = "backup.manifest"

// proven says whether whoever has the keys of the database made this.
func (m Manifest) proven(box *vault.Box) error {
	if text, err := box.Open(sealing, m.ID, m.Seal); err != nil || string(text) != m.Checksum {
		return fmt.Errorf("%w: %s was not made by the installation whose database this is", ErrDamaged, manifestFile)
	}
	return nil
}

// readManifest reads the manifest of a backup: its bytes must be those that encode gives, and its checksum right.
func readManifest(src string) (m Manifest, err error) {
	const most = 1 << 20
	f, _, err := openFile(filepath.Join(src, manifestFile))
	if err != nil {
		return m, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return m, err
	}
	var form struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(text, &form) == nil && form.Format > 1 {
		return m, fmt.Errorf("its format %d is of a later version of this program", form.Format)
	}
	if len(text) > most || json.Unmarshal(text, &m) != nil || m.Format != 1 || !bytes.Equal(m.encode(), text) || m.Checksum != m.checksum() {
		return m, fmt.Errorf("%w: %s", ErrDamaged, manifestFile)
	}
	return m, nil
}

// listWriter writes SHA256SUMS.
type listWriter struct {
	f    *os.File
	w    *bufio.Writer
	sum  hash.Hash
	last string
}

func newListWriter(dir string) (*listWriter, error) {
	f, err := os.OpenFile(filepath.Join(dir, listFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	l := &listWriter{f: f, sum: sha256.New()}
	l.w = bufio.NewWriter(io.MultiWriter(f, l.sum))
	return l, nil
}

func (l *listWriter) add(e entry) error {
	if !e.sane() || l.last != "" && !before(l.last, e.path) {
		return fmt.Errorf("the name of %q cannot be listed", e.path)
	}
	l.last = e.path
	_, err := fmt.Fprintf(l.w, "%x  %s\n", e.sum, e.path)
	return err
}

// close makes the list durable and gives its digest.
func (l *listWriter) close() (string, error) {
	err := errors.Join(l.w.Flush(), l.f.Sync(), l.f.Close())
	return hex.EncodeToString(l.sum.Sum(nil)), err
}

// entry is one line of SHA256SUMS.
type entry struct {
	path string // slashes, below the backup
	sum  [sha256.Size]byte
}

func (e entry) sane() bool {
	return filepath.IsLocal(filepath.FromSlash(e.path)) && path.Clean(e.path) == e.path && e.path != "." && len(e.path) < 1<<10 &&
		!strings.ContainsAny(e.path, "\\\n\r\x00") && e.path != manifestFile && e.path != listFile && e.path != "keys" && !strings.HasPrefix(e.path, "keys/")
}

// before is the order of filepath.WalkDir.
func before(a, b string) bool {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) < 0
}

// listReader reads SHA256SUMS; its digest was compared before.
type listReader struct {
	f   *os.File
	r   *bufio.Scanner
	cur *entry // nil: the end
}

// openList compares the list with the digest in the manifest.
func openList(src string, m Manifest) (*listReader, error) {
	f, _, err := openFile(filepath.Join(src, listFile))
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != m.List {
		err = fmt.Errorf("%w: %s", ErrDamaged, listFile)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	l := &listReader{f: f, r: bufio.NewScanner(f)}
	if err == nil {
		err = l.next()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *listReader) next() error {
	last := l.cur
	l.cur = nil
	if !l.r.Scan() {
		return l.r.Err()
	}
	sum, name, ok := strings.Cut(l.r.Text(), "  ")
	e := entry{path: name}
	raw, err := hex.DecodeString(sum)
	if !ok || err != nil || len(raw) != len(e.sum) || !e.sane() || last != nil && !before(last.path, name) {
		return fmt.Errorf("%w: %s", ErrDamaged, listFile)
	}
	e.sum = [sha256.Size]byte(raw)
	l.cur = &e
	return nil
}

func (l *listReader) close() { l.f.Close() }
