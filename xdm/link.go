package xdm

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"

	"carepost/dicom/fileset"
)

// link finds the file of an entry: by its URI, then by its hash. -1: there is none.
func (c *checker) link(uri, place string, want []byte, where string) (int, error) {
	uri = strings.ReplaceAll(uri, `\`, "/")
	tries := []string{path.Join(path.Dir(place+"x"), uri), place + uri, path.Join(place, uri), uri}
	if plain, err := url.PathUnescape(uri); err == nil && plain != uri {
		tries = append(tries, path.Join(path.Dir(place+"x"), plain), place+plain)
	}
	for n, name := range tries {
		name = strings.TrimPrefix(path.Clean(name), "/")
		i, ok := c.byName[strings.ToUpper(name)]
		if !ok || uri == "" {
			continue
		}
		switch {
		case n > 0:
			c.find(rulePath, c.files[i].Name, "not where its URI says, from the folder of the metadata")
		case c.files[i].Name != name:
			c.find(ruleCase, c.files[i].Name, "the case of letters is not that of its URI")
		}
		return i, nil
	}
	if want == nil {
		return -1, nil
	}
	if err := c.hashes(); err != nil {
		return -1, err
	}
	sum := [sha1.Size]byte(want)
	for len(c.byHash[sum]) > 0 { // a file that has its entry is looked at no more
		i := c.byHash[sum][0]
		c.byHash[sum] = c.byHash[sum][1:]
		if !c.used[i] {
			c.find(ruleLink, c.files[i].Name, "only its hash leads from %s to it", where)
			return i, nil
		}
	}
	return -1, nil
}

// hashes reads every file of the package, for entries that no URI helps.
func (c *checker) hashes() error {
	if c.byHash != nil {
		return nil
	}
	c.byHash = map[[sha1.Size]byte][]int{}
	for i, f := range c.files {
		if !strings.Contains(strings.ToUpper("/"+f.Name), "/"+FolderName+"/") {
			continue
		}
		got, err := c.sum(i)
		if err != nil {
			return err
		}
		if got.err == nil {
			c.byHash[got.sum] = append(c.byHash[got.sum], i)
		}
	}
	return nil
}

// sum reads a file, once.
func (c *checker) sum(i int) (content, error) {
	if s, ok := c.sums[i]; ok {
		return s, nil
	}
	r := c.files[i].Open()
	defer r.Close()
	h, s := sha1.New(), content{}
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, &telling{patient{c.ctx, r}, c}, make([]byte, 64<<10))
	switch s.size = n; {
	case fileset.Broken(err):
		s.err = err
	case err != nil:
		return s, err
	}
	h.Sum(s.sum[:0])
	c.sums[i] = s
	return s, nil
}

// telling tells how far reading has come: a long file is not mistaken for a check that hangs.
type telling struct {
	patient
	c *checker
}

func (t *telling) Read(p []byte) (int, error) {
	n, err := t.patient.Read(p)
	if t.c.done += int64(n); t.c.progress != nil {
		t.c.progress(min(t.c.done, t.c.total), t.c.total)
	}
	return n, err
}

// hash reads a SHA-1: 40 hexadecimal digits; some write it in base64.
func hash(s string) ([]byte, error) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == sha1.Size {
		return b, nil
	}
	if b, err := base64.StdEncoding.DecodeString(s); err == nil && len(b) == sha1.Size {
		return b, errors.New("the hash is written in base64 rather than hexadecimal")
	}
	return nil, errors.New("the hash is no SHA-1")
}
