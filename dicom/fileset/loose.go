package fileset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// ErrContent is wrapped by errors of a Loose object's reader that are about what was sent, not about the disk.
var ErrContent = errors.New("fileset: the content cannot be decoded")

// Loose is an object that came by itself rather than in a DICOM.ZIP: a part of DICOM MIME (PS3.10, Supplement 54), an attachment.
type Loose struct {
	Name string // its File ID (RFC 3240 §2) or the name that its sender gave it; it is made harmless
	Size int64  // bytes, nearly: for the progress
	Open func() (io.ReadCloser, error)
}

// CheckLoose judges objects that came by themselves. They are UNVERIFIABLE at best: no checksum says that they are unchanged, and without
// a DICOMDIR among them nothing says that they are all. With one, what it names and is not there is missing.
func CheckLoose(ctx context.Context, xs []Loose, o CheckOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	return judge(ctx, looseVolume(xs, o.Limits), o)
}

// UnpackLoose judges objects as CheckLoose does and takes them out as Unpack does, which needs AllowUnverifiable.
func UnpackLoose(ctx context.Context, xs []Loose, dir string, o UnpackOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	return unpack(ctx, looseVolume(xs, o.Limits), dir, o)
}

func looseVolume(xs []Loose, lim Limits) *volume {
	v := &volume{}
	if len(xs) > lim.Entries {
		v.findings.add(ruleLimit.at("", "%d objects: more than %d", len(xs), lim.Entries))
		v.fatal = true
		return v
	}
	v.findings.add(ruleLoose.at("", "not in a DICOM.ZIP: no checksum says whether these objects are as they were sent"))
	taken := make(map[string]bool)
	for i := range xs {
		name := looseName(xs[i].Name, i+1)
		ext := path.Ext(name)
		stem := strings.TrimSuffix(name, ext)
		for n := 2; taken[fold(name)] || occupied(taken, name); n++ {
			name = fmt.Sprintf("%s-%d%s", path.Base(stem), n, ext)
		}
		for at := fold(name); at != "."; at = path.Dir(at) {
			taken[at] = taken[at] || at == fold(name)
		}
		v.size += xs[i].Size
		v.files = append(v.files, volumeFile{name: name, size: xs[i].Size, open: func() (io.ReadCloser, error) {
			rc, err := xs[i].Open()
			if err != nil {
				return nil, err
			}
			return &bounded{ReadCloser: rc, left: lim.File}, nil
		}})
	}
	return v
}

// occupied says that a file stands where name needs a folder, or a folder where it would stand.
func occupied(taken map[string]bool, name string) bool {
	if _, folder := taken[fold(name)]; folder {
		return true
	}
	for at := path.Dir(fold(name)); at != "."; at = path.Dir(at) {
		if taken[at] {
			return true
		}
	}
	return false
}

// bounded ends in ErrContent after left bytes.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: too long", ErrContent)
	}
	return n, err
}
