package fileset

import (
	"context"
	"fmt"
	"io"
)

// Content is an instance of a set that was judged, and how to read it again: the Part 10 file byte for byte. SOP class, instance and
// transfer syntax are those of the file.
type Content struct {
	Instance
	Study string // Study Instance UID; "" of records that stand at the root
	Open  func() (io.ReadCloser, error)
}

// InstancesZIP is CheckZIP for who goes on to read the instances, in the order of the DICOMDIR, which is the same each time. They can be read
// as long as r can. Only those that are there are named: of a set that is COMPLETE, all.
func InstancesZIP(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*Report, []Content, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := zipVolume(r, size, o.Limits)
	if err != nil {
		return nil, nil, fmt.Errorf("fileset: %w", err)
	}
	c, err := check(ctx, v, o, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("fileset: %w", err)
	}
	var out []Content
	for _, i := range c.references() {
		f, there := c.fileOf[i]
		if !there || c.contents[f].obj == nil {
			continue
		}
		x, obj := Content{Instance: c.instance(i), Open: v.files[f].open}, c.contents[f].obj
		x.SOPClass, x.SOPInstance, x.TransferSyntax, x.Study = obj.class, obj.instance, obj.syntax, obj.study
		out = append(out, x)
	}
	return c.report, out, nil
}
