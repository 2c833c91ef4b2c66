package fileset

import (
	"fmt"
	"slices"
)

// tree makes the listing from the records.
func (c *checker) tree() {
	if c.d == nil {
		return
	}
	rep := c.report
	for i := range c.d.records {
		switch r := &c.d.records[i]; {
		case r.inactive:
		case r.typ == "PATIENT":
			rep.Patients++
		case r.typ == "STUDY":
			rep.Studies++
		case r.typ == "SERIES":
			rep.Series++
		}
	}
	var loose Patient // of records that stand where no patient is above them
	for _, i := range c.d.roots {
		if c.d.records[i].typ == "PATIENT" {
			rep.Tree = append(rep.Tree, c.patientOf(i))
			continue
		}
		s := Series{Instances: c.leaves(i, nil)}
		if len(s.Instances) > 0 {
			loose.Studies = append(loose.Studies, Study{Series: []Series{s}})
		}
	}
	if len(loose.Studies) > 0 {
		rep.Tree = append(rep.Tree, loose)
	}
}

func (c *checker) patientOf(i int) Patient {
	r := &c.d.records[i]
	p := Patient{ID: r.keys.shown(tagPatientID, r.charset), Name: r.keys.shown(tagName, r.charset)}
	for _, j := range r.children {
		if s := &c.d.records[j]; s.typ == "STUDY" {
			p.Studies = append(p.Studies, c.studyOf(j))
		} else if xs := c.leaves(j, nil); len(xs) > 0 {
			p.Studies = append(p.Studies, Study{Series: []Series{{Instances: xs}}})
		}
	}
	return p
}

func (c *checker) studyOf(i int) Study {
	r := &c.d.records[i]
	s := Study{UID: clean(r.keys.text(tagStudyUID)), ID: r.keys.shown(tagStudyID, r.charset), Date: r.keys.shown(tagStudyDate, ""),
		Time: r.keys.shown(tagStudyTime, ""), Description: r.keys.shown(tagStudyDesc, r.charset), Accession: r.keys.shown(tagAccession, r.charset)}
	for _, j := range r.children {
		x := &c.d.records[j]
		se := Series{Instances: c.leaves(j, nil)}
		if x.typ == "SERIES" {
			se.UID, se.Number, se.Modality = clean(x.keys.text(tagSeriesUID)), x.keys.shown(tagSeriesNo, ""), x.keys.shown(tagModality, "")
		}
		s.Series = append(s.Series, se)
	}
	return s
}

// leaves gathers the instances at and below record i. The records are a tree: follow has seen to that.
func (c *checker) leaves(i int, xs []Instance) []Instance {
	todo := []int{i}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		r := &c.d.records[i]
		if r.fileID != "" {
			xs = append(xs, c.instance(i))
		}
		for _, j := range slices.Backward(r.children) {
			todo = append(todo, j)
		}
	}
	return xs
}

func (c *checker) instance(i int) Instance {
	r := &c.d.records[i]
	x := Instance{FileID: clean(r.fileID), Type: clean(r.typ), Number: r.keys.shown(tagInstanceNo, ""), SOPClass: clean(r.class), SOPInstance: clean(r.instance),
		TransferSyntax: clean(r.syntax), Size: -1}
	if f, ok := c.fileOf[i]; ok {
		x.Size, x.SHA256 = c.contents[f].size, fmt.Sprintf("%x", c.contents[f].sum)
		if o := c.contents[f].obj; o != nil {
			x.Image, x.Signed = o.image, o.signed
		}
	}
	return x
}
