package zipmail

import (
	"context"
	"fmt"
	"slices"

	"carepost/dicom/fileset"
)

// maxParts is how many mails one set is divided into at most.
const maxParts = 999

// SplitOptions say how large the archives may be.
type SplitOptions struct {
	Archive  int64 // bytes of each DICOM.ZIP, most: see ArchiveRoom
	First    int64 // bytes of the first, most, where other files go with it; zero: as Archive
	Scan     fileset.ScanOptions
	Progress func(done, total int64) // of packing the set once, to know how small its instances get; not called where that need not be known
}

// TooLargeError says that something cannot be made small enough to be sent.
type TooLargeError struct {
	Source string // a path of the sender's; empty: the set has too many parts
	Size   int64  // bytes in an archive of its own
	Limit  int64
}

func (e *TooLargeError) Error() string {
	if e.Source == "" {
		return fmt.Sprintf("zipmail: archives of %d bytes make more than %d parts", e.Limit, maxParts)
	}
	return fmt.Sprintf("zipmail: %s takes %d bytes of an archive, more than the %d that one may have", e.Source, e.Size, e.Limit)
}

// Split divides a set into File-sets that fit the archives, each complete in itself with a DICOMDIR of its own: by studies, and by the series
// of a study that does not fit one archive, and by the instances of a series that does not. What fits together stays together, in the order of
// the set; a study is begun in a new archive rather than divided. The same set and sizes give the same parts. A set that fits is returned
// as it is. *TooLargeError where an instance alone does not fit; fileset.ErrChanged where its file is no longer what was seen.
func Split(ctx context.Context, p *fileset.Plan, o SplitOptions) ([]*fileset.Plan, error) {
	if o.First <= 0 || o.First > o.Archive {
		o.First = o.Archive
	}
	if p.Most() <= o.First { // with what lies beside the set, which goes with the first part
		return []*fileset.Plan{p}, nil
	}
	whole, beside := o.First, p.ExtraBytes()
	o.First -= beside
	sizes, err := p.Measure(ctx, o.Progress)
	if err != nil {
		return nil, fmt.Errorf("zipmail: %w", err)
	}
	d := &divider{limit: o.Archive, first: o.First, room: o.First, sizes: sizes, share: p.Around()/int64(len(sizes)) + 1}
	if d.all(indexes(len(sizes)))+parents+beside <= whole {
		return []*fileset.Plan{p}, nil
	}
	for i, n := range sizes {
		if n += d.share + parents; n > o.First { // wherever it comes to lie
			return nil, &TooLargeError{Source: p.Instances[i].Source, Size: n, Limit: o.First}
		}
	}
	d.set(p)
	if len(d.parts) > maxParts {
		return nil, &TooLargeError{Limit: o.Archive}
	}
	parts, err := plans(ctx, p, o, d.parts, sizes)
	if err != nil {
		return nil, err
	}
	if err := parts[0].AddExtras(p.Extras()...); err != nil {
		return nil, fmt.Errorf("zipmail: %w", err)
	}
	return parts, nil
}

// parents is how much the records of patient, study and series take of a part's directory that its own share does not cover, in bytes.
const parents = 16 << 10

// plans makes a set of each part. One whose directory is larger than was foreseen is halved.
func plans(ctx context.Context, p *fileset.Plan, o SplitOptions, parts [][]int, sizes []int64) (out []*fileset.Plan, err error) {
	for len(parts) > 0 {
		part, err := p.Part(ctx, o.Scan, parts[0])
		if err != nil {
			return nil, fmt.Errorf("zipmail: %w", err)
		}
		limit := o.Archive
		if len(out) == 0 {
			limit = o.First
		}
		n := part.Around()
		for _, i := range parts[0] {
			n += sizes[i]
		}
		switch half := len(parts[0]) / 2; {
		case n <= limit:
			out, parts = append(out, part), parts[1:]
		case half == 0:
			return nil, &TooLargeError{Source: part.Instances[0].Source, Size: n, Limit: limit}
		default:
			parts = slices.Concat([][]int{parts[0][:half], parts[0][half:]}, parts[1:])
		}
		if len(out)+len(parts) > maxParts {
			return nil, &TooLargeError{Limit: o.Archive}
		}
	}
	return out, nil
}

// divider fills archives with instances, by their index.
type divider struct {
	limit, first int64 // bytes of an archive, and of the first
	room         int64 // that the one that is being filled has left
	share        int64 // of directory and manifest, for each instance
	sizes        []int64
	parts        [][]int
	open         []int
}

func (d *divider) all(is []int) (n int64) {
	for _, i := range is {
		n += d.sizes[i] + d.share
	}
	return n
}

// set puts everything in its place. Instances that no study has (hanging protocols and their like) come last, one by one.
func (d *divider) set(p *fileset.Plan) {
	at := make(map[string]int, len(p.Instances))
	for i := range p.Instances {
		at[p.Instances[i].FileID] = i
	}
	of := func(xs []fileset.Instance) (is []int) {
		for i := range xs {
			is = append(is, at[xs[i].FileID])
			delete(at, xs[i].FileID)
		}
		return is
	}
	for _, patient := range p.Tree {
		for _, study := range patient.Studies {
			var series [][]int
			for _, s := range study.Series {
				series = append(series, of(s.Instances))
			}
			d.study(series)
		}
	}
	for i := range p.Instances {
		if _, left := at[p.Instances[i].FileID]; left {
			d.put([]int{i})
		}
	}
	d.flush()
}

func (d *divider) study(series [][]int) {
	if d.fits(slices.Concat(series...)) {
		d.put(slices.Concat(series...))
		return
	}
	d.flush()
	for _, s := range series {
		if d.fits(s) {
			d.put(s)
			continue
		}
		for _, i := range s {
			d.put([]int{i})
		}
	}
	d.flush() // what was divided shares its last archive with nothing else
}

// fits says whether the next new archive has room for them.
func (d *divider) fits(is []int) bool {
	next := d.limit
	if len(d.parts)+len(d.open) == 0 {
		next = d.first
	}
	return d.all(is)+parents <= next
}

// put adds what belongs together, to a new archive where this one has no room.
func (d *divider) put(is []int) {
	n := d.all(is)
	if n+parents > d.room {
		d.flush() // nothing is larger than an empty one has room for
	}
	d.open, d.room = append(d.open, is...), d.room-n
}

func (d *divider) flush() {
	if len(d.open) > 0 {
		d.parts = append(d.parts, d.open)
		d.open, d.room = nil, d.limit
	}
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// ArchiveRoom is how many bytes DICOM.ZIP may have so that the mail that carries it has at most so many as its sender wrote it, and at most so
// many once it is sealed; zero: no limit. rest is what else the mail holds, in bytes. Zero where there is no room at all, negative where
// there is no limit.
func ArchiveRoom(mail, sealed, rest int64) int64 {
	if mail <= 0 && sealed <= 0 {
		return -1
	}
	room := int64(1) << 62
	if sealed > 0 {
		room = unwrapped(sealed - sealOverhead) // base64 around what is encrypted (RFC 8551 §3.3)
	}
	if mail > 0 {
		room = min(room, mail)
	}
	return max(0, unwrapped(room-headOverhead-rest))
}

// Holds says that a mail of so many bytes is no larger than ArchiveRoom's limits have it.
func Holds(mail, sealed, size int64) bool {
	return (mail <= 0 || size <= mail) && (sealed <= 0 || size <= unwrapped(sealed-sealOverhead))
}

// ListRoom is how many bytes the list of parts takes in each mail, nearly at most, of a set whose archive has at most so many.
func ListRoom(archive, mail, sealed int64) int64 {
	const line = 200
	least := sealed
	if least <= 0 || mail > 0 && mail < least {
		least = mail
	}
	return line * min(4+6*archive/max(least, 1), maxParts)
}

// What stands around an archive, in bytes.
const (
	headOverhead = 16 << 10 // header, delimiters and the list of parts
	sealOverhead = 32 << 10 // signature, certificates, keys for recipients
)

// unwrapped is how many bytes base64 in lines of 76 characters (RFC 2045 §6.8) has room for in n, with a tenth of a percent for the lengths
// that BER puts in between.
func unwrapped(n int64) int64 { return max(0, n/78*57/1001*1000) }
