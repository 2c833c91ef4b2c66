package fileset

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"carepost/dicom"
)

// checker judges one set.
type checker struct {
	v        *volume
	l        *layout
	d        *directory
	p        *pass
	t        *tables
	contents []content
	report   *Report
	found    findings
	fileOf   map[int]int    // record → file
	idOf     map[int]string // file → File ID, of files that belong to the set
	listed   map[string]hashed
	manifest int          // file, -1 when there is none
	told     map[int]bool // records whose keys are those of some of their files only
}

func (c *checker) find(r rule, where, format string, args ...any) {
	c.found.add(r.at(where, format, args...))
}

// check reads everything and comes to a verdict. x takes the files that are read, unless it is plain before that their set will not be
// taken out; it may be nil. An error is of the disk or of ctx.
func check(ctx context.Context, v *volume, o CheckOptions, x *extraction) (*checker, error) {
	c := &checker{v: v, t: newTables(), report: &Report{}, fileOf: make(map[int]int), idOf: make(map[int]string), manifest: -1,
		told: make(map[int]bool)}
	c.found.merge(&v.findings)
	defer c.conclude()
	if v.fatal {
		return c, nil
	}
	c.l = lay(v)
	c.contents = make([]content, len(v.files))
	c.p = newPass(v, c.t, c.l.skip, o)
	if x != nil && x.allowed(verdict(c.found.list)) {
		x.names = map[int]string{c.l.directory: DirectoryName}
		c.p.out = x
	}
	if c.l.directory >= 0 {
		if err := c.readDirectory(ctx, o.Limits); err != nil {
			return nil, err
		}
	}
	c.found.merge(&c.l.findings)
	c.l.findings = findings{}
	if c.p.out != nil {
		if x.name(c); !x.allowed(c.hope()) {
			c.p.out = nil
		}
	}
	if err := c.p.contents(ctx, c.l.skip, c.contents); err != nil {
		return nil, err
	}
	c.damages()
	if c.l.directory < 0 {
		if err := c.undirected(); err != nil {
			return nil, err
		}
	}
	if c.d != nil {
		c.records()
		c.unique()
		if err := c.readManifest(); err != nil {
			return nil, err
		}
		c.hashes()
	}
	c.others()
	c.tree()
	return c, nil
}

// hope is the best verdict that the set can still get, before the files are read.
func (c *checker) hope() Verdict {
	best := verdict(c.found.list)
	if c.l.directory < 0 {
		best = min(best, Unverifiable)
	}
	for r := range c.references() {
		if c.l.lookup(r.fileID) < 0 {
			best = min(best, Incomplete)
		}
	}
	return best
}

// references gives the records that name a file.
func (c *checker) references() iter.Seq2[*dirRecord, int] {
	return func(yield func(*dirRecord, int) bool) {
		if c.d == nil {
			return
		}
		for i := range c.d.records {
			if r := &c.d.records[i]; !r.inactive && r.fileID != "" && !yield(r, i) {
				return
			}
		}
	}
}

// conclude lets the worst finding win.
func (c *checker) conclude() {
	if c.l != nil {
		c.found.merge(&c.l.findings)
	}
	signed := 0
	for i := range c.contents {
		if o := c.contents[i].obj; o != nil && o.signed {
			signed++
		}
	}
	if signed > 0 {
		c.found.add(signedNote(signed))
	}
	c.report.Findings = c.found.all()
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	c.report.Verdict = verdict(c.report.Findings)
	if c.v.fatal || c.d == nil && c.report.Verdict == Complete {
		c.report.Verdict = Damaged
	}
}

// slurp reads a small file of the volume whole. A broken one is nil; an error is of the disk.
func (c *checker) slurp(i int, limit int64) ([]byte, error) {
	rc, err := c.v.files[i].open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, limit+1))
	switch {
	case broken(err) || int64(len(b)) > limit:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return b, nil
}

// readDirectory reads the DICOMDIR as it reads every other file: once, as a stream.
func (c *checker) readDirectory(ctx context.Context, lim Limits) error {
	i := c.l.directory
	c.idOf[i] = DirectoryName
	if c.v.files[i].size > lim.Directory {
		c.find(ruleLimit, DirectoryName, "%d bytes: more than %d", c.v.files[i].size, lim.Directory)
		return nil
	}
	var w *bufio.Writer
	if c.p.out != nil {
		w = bufio.NewWriterSize(nil, 64<<10)
	}
	x := &c.contents[i]
	err := c.p.content(ctx, i, x, w, func(t io.Reader) (err error) {
		c.d, err = readDirectory(c.t, t, mostRecords(len(c.v.files)))
		return err
	})
	if err != nil {
		return err
	}
	if x.err != nil {
		text, _ := reason(x.err)
		c.find(ruleDirectory, DirectoryName, "it cannot be read: %s", text)
	}
	if c.d != nil {
		c.report.UID, c.report.FileSetID = clean(c.d.uid), clean(c.d.id)
		c.found.merge(&c.d.findings)
	}
	x.err = errDirectory
	return nil
}

// damages reports files whose bytes are not those that were packed.
func (c *checker) damages() {
	for i := range c.contents {
		if x := &c.contents[i]; x.damaged != nil {
			r := ruleZIPCRC
			if !errors.Is(x.damaged, errCRC) {
				r = ruleZIP
			}
			c.find(r, c.v.files[i].name, "%v", x.damaged)
		}
	}
}

// records matches every record that names a file with that file.
func (c *checker) records() {
	named := make(map[string]bool)
	used := make(map[int]string)
	for r, i := range c.references() {
		c.report.Instances++
		if key := foldID(r.fileID); named[key] {
			c.find(ruleFileIDTwice, r.fileID, "two records name this file")
		} else {
			named[key] = true
		}
		f := c.l.lookup(r.fileID)
		if f == c.l.directory {
			f = -1
		}
		if f < 0 {
			c.missing(i)
			continue
		}
		if used[f] == "" {
			used[f] = r.fileID
			c.l.departs(c.v, f, r.fileID)
			c.report.Bytes += c.contents[f].size
		}
		c.fileOf[i], c.idOf[f] = f, r.fileID
		c.report.Found++
		c.compare(i, f)
	}
}

// missing names an instance that is not there by all that the DICOMDIR knows of it, but for the patient.
func (c *checker) missing(i int) {
	r := &c.d.records[i]
	line := fmt.Sprintf("%s: %s", short(clean(r.fileID)), short(clean(r.typ)))
	if n := r.keys.text(tagInstanceNo); n != "" {
		line += " " + dicom.Text([]byte(n), "")
	}
	for up := r.up; up >= 0; up = c.d.records[up].up {
		switch p := &c.d.records[up]; p.typ {
		case "SERIES":
			line += fmt.Sprintf(" of series %s (%s) %s", p.keys.shown(tagSeriesNo, ""), p.keys.shown(tagModality, ""), p.keys.shown(tagSeriesUID, ""))
		case "STUDY":
			line += fmt.Sprintf(", study %s of %s %s", p.keys.shown(tagStudyID, p.charset), p.keys.shown(tagStudyDate, ""), p.keys.shown(tagStudyUID, ""))
		}
	}
	line += ", SOP Instance UID " + short(clean(r.instance))
	c.miss(line)
	c.find(ruleMissing, r.fileID, "the DICOMDIR names this %s; it is not there", clean(r.typ))
}

// miss adds a line to the list of the missing, which ends somewhere.
func (c *checker) miss(line string) {
	switch n := len(c.report.Missing); {
	case n < maxMissing:
		c.report.Missing = append(c.report.Missing, line)
	case n == maxMissing:
		c.report.Missing = append(c.report.Missing, "and more")
	}
}

// maxMissing bounds the lines of Report.Missing.
const maxMissing = 10_000
