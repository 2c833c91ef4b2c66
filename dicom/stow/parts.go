package stow

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// What a request may be refused for as a whole.
var (
	ErrType   = errors.New("stow: not multipart/related of application/dicom") // 415 (PS3.18 §8.7)
	ErrSyntax = errors.New("stow: the body is no multipart that could be read")
)

// maxPartHeader bounds what stands between two objects: the boundary and the header of the next part, in bytes.
const maxPartHeader = 32 << 10

// Reader reads the parts of a request, one after the other.
type Reader struct {
	parts *multipart.Reader
	in    *rationed
	now   *multipart.Part
}

// NewReader reads a body by the Content-Type of its request (PS3.18 §10.5.1). ErrType.
func NewReader(contentType string, body io.Reader) (*Reader, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/related" || params["boundary"] == "" {
		return nil, ErrType
	}
	if t := params["type"]; t != "" && !strings.EqualFold(t, TypeDICOM) {
		return nil, ErrType // metadata and bulk data apart
	}
	in := &rationed{r: body}
	return &Reader{parts: multipart.NewReader(in, params["boundary"]), in: in}, nil
}

// Next passes over what is left of the part before and gives the next one; object is false where it does not say that it is a DICOM object.
// io.EOF at the end, ErrSyntax where there is none, other errors are of the body.
func (r *Reader) Next() (part io.Reader, object bool, err error) {
	if r.now != nil {
		if _, err := io.Copy(io.Discard, r.now); err != nil {
			return nil, false, r.fault(err)
		}
	}
	r.in.ration(maxPartHeader)
	r.now, err = r.parts.NextRawPart()
	r.in.free()
	if err == io.EOF {
		return nil, false, io.EOF
	}
	if err != nil {
		return nil, false, r.fault(err)
	}
	kind, _, err := mime.ParseMediaType(r.now.Header.Get("Content-Type"))
	return r.now, err == nil && strings.EqualFold(kind, TypeDICOM), nil
}

// fault tells an error of the body from one of its form.
func (r *Reader) fault(err error) error {
	if r.in.err != nil && r.in.err != io.EOF {
		return fmt.Errorf("stow: %w", r.in.err)
	}
	return ErrSyntax
}

// rationed reads r, at most so much at times.
type rationed struct {
	r     io.Reader
	left  int64
	bound bool
	err   error // of r
}

func (r *rationed) ration(n int64) { r.left, r.bound = n, true }
func (r *rationed) free()          { r.bound = false }

func (r *rationed) Read(p []byte) (int, error) {
	if r.bound {
		if r.left <= 0 {
			return 0, ErrSyntax
		}
		p = p[:min(int64(len(p)), r.left)]
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	r.err = err
	return n, err
}
