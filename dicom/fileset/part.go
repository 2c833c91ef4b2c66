package fileset

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// What stands around the data of an entry of an archive, in bytes: its two headers with their ZIP64 fields, its descriptor (APPNOTE 4.3.7,
// 4.3.9, 4.3.12), beside its name, which stands in both headers.
const entryOverhead = 30 + 46 + 16 + 20 + 28

// Measure tells how many bytes each instance takes in DICOM.ZIP, headers included, in the order of Instances: it packs them and keeps
// nothing. In another archive they take as many.
func (p *Plan) Measure(ctx context.Context, progress func(done, total int64)) ([]int64, error) {
	sizes := make(map[string]int64, len(p.Instances)+2)
	err := p.pack(ctx, io.Discard, nil, progress, func(es []zipEntry) {
		for i := range es {
			sizes[es[i].name] = es[i].packed + entryOverhead + 2*int64(len(es[i].name))
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(p.Instances))
	for i := range p.Instances {
		out[i] = sizes[p.Instances[i].FileID]
	}
	return out, nil
}

// manifestLineSize is that of a line of MANIFEST, at most: hash, size, File ID, line end.
const manifestLineSize = 64 + 1 + 20 + 1 + 9*8 + 2

// Around is how many bytes DICOM.ZIP has beside its instances, at most.
func (p *Plan) Around() int64 {
	const ends = 22 + 20 + 56 // APPNOTE 4.3.14–16
	list := int64(len(manifestText)) + int64(len(p.Instances)+2)*manifestLineSize
	return int64(len(p.directory)) + list + 2*entryOverhead + 4*int64(len(DirectoryName)) + ends
}

// Most is how many bytes DICOM.ZIP has at most, as long as nothing stands beside the set: what does not get smaller is stored.
func (p *Plan) Most() int64 {
	n := p.Around()
	for i := range p.Instances {
		x := &p.Instances[i]
		n += x.Size + x.Size>>12 + 64 + entryOverhead + 2*int64(len(x.FileID)) // deflate grows by 5 bytes in 64 KiB, and by those that end a block
	}
	return n + p.ExtraBytes()
}

// entry is how many bytes a file beside the set takes in DICOM.ZIP, at most; what is listed of it included.
func (x Extra) entry() int64 {
	return x.Size + entryOverhead + 2*int64(len(x.Name)) + manifestLineSize + int64(len(x.Name))
}

// ExtraBytes is how many bytes the files beside the set take in DICOM.ZIP, at most.
func (p *Plan) ExtraBytes() (n int64) {
	for _, x := range p.extras {
		n += x.entry()
	}
	return n
}

// Part plans a File-set of its own of some of the instances, by their index in Instances: with a DICOMDIR that lists those alone. Their
// headers are read again; what lies beside the set is left out. ErrChanged where a file is no longer what Scan saw. It lists an instance under the patient that p has it under.
func (p *Plan) Part(ctx context.Context, o ScanOptions, which []int) (*Plan, error) {
	var found collector
	was := make(map[string]*source, len(which))
	for _, i := range which {
		src := &p.sources[i]
		c := candidate{path: src.path, named: true}
		if src.given != nil {
			c.given = &Input{Name: src.path, Size: src.size, Open: src.given}
		}
		found.list = append(found.list, c)
		was[src.path] = src
	}
	if o.adopted = p.adopted; o.adopted == nil {
		o.adopted = map[string]string{}
	}
	part, err := found.scan(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	for i := range part.sources {
		if now, before := &part.sources[i], was[part.sources[i].path]; before == nil || now.size != before.size || now.head != before.head || !now.mod.Equal(before.mod) {
			return nil, fmt.Errorf("%w: %s", ErrChanged, now.path)
		}
	}
	if len(part.Instances) != len(which) {
		return nil, fmt.Errorf("fileset: a part has %d of %d instances", len(part.Instances), len(which))
	}
	part.Overruled = slices.Clone(p.Overruled) // what was seen of the whole
	return part, nil
}
