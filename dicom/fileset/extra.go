package fileset

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// Extra is a file that travels in DICOM.ZIP beside the File-set: a letter, a readme. The DICOMDIR does not name it (PS3.12 Y.1.1 note), so
// that readers may pass it over; MANIFEST holds its hash.
type Extra struct {
	Name string // components of A-Z 0-9 _ - joined by "/", the last with an extension: "OTHER/LETTER.PDF"
	Size int64  // bytes
	Open func() (io.ReadCloser, error)

	Source string // by which the finding about it calls it; empty where there is to be none
}

// Limits of extra files.
const (
	maxExtras    = 1000 // files
	maxExtraName = 100  // octets of a name
)

// AddExtras puts files beside the set, after its instances, in their order. A name that a set may hold otherwise, or twice, is an error.
func (p *Plan) AddExtras(extras ...Extra) error {
	taken := map[string]bool{DirectoryName: true, DescriptorName: true}
	for _, x := range p.extras {
		taken[foldID(x.Name)] = true
	}
	for _, x := range extras {
		switch key := foldID(x.Name); {
		case !ValidExtra(x.Name):
			return fmt.Errorf("fileset: %q is no name for a file beside a set: A-Z 0-9 _ -, with an extension", clean(short(x.Name)))
		case taken[key]:
			return fmt.Errorf("fileset: two files %s beside a set", x.Name)
		default:
			taken[key] = true
		}
	}
	if len(p.extras)+len(extras) > maxExtras {
		return fmt.Errorf("fileset: more than %d files beside a set", maxExtras)
	}
	for _, x := range extras {
		if x.Source != "" {
			p.Findings = append(p.Findings, ruleExtra.at(x.Source, "no DICOM object: it travels beside the set, as %s", x.Name))
		}
	}
	p.extras = append(p.extras, extras...)
	return nil
}

// Extras are those that were added.
func (p *Plan) Extras() []Extra { return p.extras }

// ValidExtra says that a name may stand in an archive beside a set, cannot be one of its File IDs and leads nowhere else. What IHE keeps
// for PDI and XDM is left to them but for their pages.
func ValidExtra(name string) bool {
	parts := strings.Split(name, "/")
	last := parts[len(parts)-1]
	base, ext, ok := strings.Cut(last, ".")
	if !ok || len(name) > maxExtraName || len(parts) > 8 || parts[0] == "DICOM" || parts[0] == "IHE_XDM" || ext == "DCM" || base == DirectoryName {
		return false
	}
	parts[len(parts)-1] = base + ext
	for _, c := range parts {
		if !validComponent(strings.ReplaceAll(c, "-", "_")) || c[0] == '-' {
			return false
		}
	}
	return base != "" && ext != ""
}

// ExtraName makes a name of one that people or programs gave a file: upper case, what a set may not hold becomes "_".
func ExtraName(folder, name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, name)
	base, ext := name, "BIN"
	if i := strings.LastIndexByte(name, '.'); i > 0 && i < len(name)-1 {
		base, ext = name[:i], name[i+1:]
	}
	base = strings.Trim(strings.ReplaceAll(base, ".", "_"), "-")
	if base == "" {
		base = "FILE"
	}
	ext = strings.Trim(ext, "-")
	if ext == "" || ext == "DCM" {
		ext = "BIN"
	}
	return folder + "/" + base[:min(len(base), 40)] + "." + ext[:min(len(ext), 8)]
}

// writeExtras puts the files beside the set into the archive and their hashes into the MANIFEST.
func (p *Plan) writeExtras(ctx context.Context, z *zipWriter, m *manifestMaker) error {
	for _, x := range p.extras {
		sum, crc, err := x.digest(ctx)
		if err != nil {
			return err
		}
		r, err := x.Open()
		if err != nil {
			return err
		}
		again := sha256.New()
		err = (&ArchiveWriter{z}).File(x.Name, x.Size, crc, false, io.TeeReader(untilDone{ctx, r}, again))
		r.Close()
		if err == nil && string(again.Sum(nil)) != string(sum) {
			err = ErrChanged
		}
		if err != nil {
			return fmt.Errorf("%s: %w", x.Name, err)
		}
		m.add(sum, x.Size, x.Name)
	}
	return nil
}

// digest reads a file for what stands in front of it.
func (x *Extra) digest(ctx context.Context) (sum []byte, crc uint32, err error) {
	r, err := x.Open()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	h, c := sha256.New(), crc32.NewIEEE()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(h, c)}, untilDone{ctx, r}, make([]byte, 256<<10))
	if err == nil && n != x.Size {
		err = ErrChanged
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", x.Name, err)
	}
	return h.Sum(nil), c.Sum32(), nil
}

// untilDone ends a reader with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
