package fileset

import (
	"context"
	"fmt"
	"io"
)

// IndexZIP lists what the DICOMDIR of a DICOM.ZIP names, and looks into nothing else: that the files are there and are what they are said
// to be it does not know. A set without a DICOMDIR that can be read names nothing. An error is of the disk or of ctx.
func IndexZIP(ctx context.Context, r io.ReaderAt, size int64, lim Limits) ([]Patient, error) {
	lim = lim.withDefaults()
	v, err := zipVolume(r, size, lim)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	if v.fatal {
		return nil, nil
	}
	c := &checker{v: v, t: newTables(), report: &Report{}, fileOf: map[int]int{}, idOf: map[int]string{}, manifest: -1, l: lay(v)}
	if c.l.directory < 0 {
		return nil, nil
	}
	c.contents = make([]content, len(v.files))
	c.p = newPass(v, c.t, c.l.skip, CheckOptions{Limits: lim})
	if err := c.readDirectory(ctx, lim); err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	c.tree()
	return c.report.Tree, nil
}
