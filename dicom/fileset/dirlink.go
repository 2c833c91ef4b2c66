package fileset

import "carepost/dicom"

// link follows the offsets. Where one leads nowhere, back, or not to everything, the order of the file and the types of the records
// say what was meant, as other readers do; that is a finding and changes nothing on disk.
func (x *dirReader) link(f *dicom.File) {
	d := x.d
	if len(d.records) == 0 {
		return
	}
	bad := x.follow(f.Data.Int(0x00041200))
	if last := f.Data.Int(0x00041202); len(bad) == 0 && len(d.roots) > 0 && d.records[d.roots[len(d.roots)-1]].offset != last {
		d.find(ruleOffset, "(0004,1202) is not the offset of the last record of the root")
	}
	if len(bad) == 0 {
		return
	}
	for _, f := range bad {
		d.findings.add(f)
	}
	x.byOrder()
}

// byOrder makes the tree from the order of the records and their types.
func (x *dirReader) byOrder() {
	d := x.d
	d.roots = nil
	var path [4]int     // the last record of each level
	silent := len(path) // the level of an inactive record, below which everything is
	for i := range d.records {
		r := &d.records[i]
		r.up, r.children = -1, nil
		level := x.level(r.typ)
		if level > silent {
			r.inactive = true
			continue
		}
		silent = len(path)
		if r.inactive {
			silent = level
			continue
		}
		for up := level - 1; up >= 0 && r.up < 0; up-- {
			if path[up] > 0 {
				r.up = path[up] - 1
			}
		}
		x.hang(i)
		path[level] = i + 1
		clear(path[level+1:])
	}
}

// hang puts record i among the children of its parent.
func (x *dirReader) hang(i int) {
	d := x.d
	if up := d.records[i].up; up >= 0 {
		d.records[up].children = append(d.records[up].children, i)
	} else {
		d.roots = append(d.roots, i)
	}
}

// level of a record type: 0 at the root, 3 for what names files.
func (x *dirReader) level(typ string) int {
	switch typ {
	case "PATIENT":
		return 0
	case "STUDY":
		return 1
	case "SERIES":
		return 2
	}
	if r, ok := x.t.byName[typ]; ok && r.root {
		return 0
	}
	return 3
}

// maxLevels is far beyond PS3.3 Table F.4-1, which has five.
const maxLevels = 16

// follow walks the links with a list of its own, so that neither depth nor loops matter. It gives what is wrong.
func (x *dirReader) follow(first int64) (bad []Finding) {
	d := x.d
	seen := make([]bool, len(d.records))
	wrong := func(r rule, format string, args ...any) {
		if len(bad) < maxOfRule {
			bad = append(bad, r.at(DirectoryName, format+"; read by the order of the records", args...))
		}
	}
	type chain struct {
		at        int64
		up, depth int
	}
	todo := []chain{{first, -1, 0}}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for at := c.at; at != 0; {
			i := d.at(at)
			if i < 0 {
				wrong(ruleOffset, "an offset of %d leads to no record", at)
				break
			}
			if seen[i] {
				wrong(ruleLoop, "the record at %d is reached twice", at)
				break
			}
			seen[i] = true
			r := &d.records[i]
			if r.inactive {
				d.find(ruleInactive, "the record at %d is inactive, and passed over with all below it", at)
				x.silence(r.lower, seen)
			} else {
				r.up = c.up
				x.hang(i)
				if r.lower != 0 && c.depth >= maxLevels {
					wrong(ruleHierarchy, "records more than %d levels deep at %d", maxLevels, at)
				} else if r.lower != 0 {
					todo = append(todo, chain{r.lower, i, c.depth + 1})
				}
			}
			at = r.next
		}
	}
	if first == 0 {
		wrong(ruleOffset, "(0004,1200) names no first record")
	}
	for i, ok := range seen {
		if !ok && !d.records[i].inactive {
			wrong(ruleOrphan, "no link leads to the record at %d", d.records[i].offset)
		}
	}
	return bad
}

// silence marks what hangs below an inactive record, so that it is no orphan.
func (x *dirReader) silence(first int64, seen []bool) {
	todo := []int64{first}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i := x.d.at(at); at != 0 && i >= 0 && !seen[i]; i = x.d.at(at) {
			seen[i] = true
			x.d.records[i].inactive = true
			todo = append(todo, x.d.records[i].lower)
			at = x.d.records[i].next
		}
	}
}
