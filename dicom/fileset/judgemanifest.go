package fileset

import (
	"bytes"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"carepost/dicom"
)

// unique checks what may stand in a directory once (PS3.11 X.3.3, PS3.3 F.5).
func (c *checker) unique() {
	seen := make(map[string]bool)
	for i := range c.d.records {
		r := &c.d.records[i]
		if r.inactive {
			continue
		}
		once := func(rl rule, what, v string) {
			if v == "" {
				return
			}
			if key := rl.name + "\x00" + v; seen[key] {
				c.find(rl, DirectoryName, "two %s records with one %s", r.typ, what)
			} else {
				seen[key] = true
			}
		}
		switch r.typ {
		case "PATIENT":
			once(rulePatientTwice, "Patient ID", r.keys.exact(tagPatientID, r.charset))
		case "STUDY":
			once(ruleStudyTwice, "Study Instance UID", r.keys.text(tagStudyUID))
		case "SERIES":
			once(ruleSeriesTwice, "Series Instance UID", r.keys.text(tagSeriesUID))
		default:
			if r.fileID != "" {
				once(ruleInstanceTwice, "SOP Instance UID", r.instance)
			}
		}
	}
}

// readManifest decides which file is the MANIFEST, and whether it can be believed.
func (c *checker) readManifest() error {
	named := c.d.descriptor == DescriptorName
	i := c.l.lookup(DescriptorName)
	if i < 0 {
		switch {
		case named || c.d.ours:
			c.find(ruleManifestMissing, DescriptorName, "this set was made with a MANIFEST; it is not there")
		case c.d.descriptor != "" && c.l.lookup(c.d.descriptor) < 0:
			c.find(ruleDescriptorGone, c.d.descriptor, "the DICOMDIR names this File-set Descriptor File; it is not there")
		default:
			c.unhashed()
		}
		return nil
	}
	b, err := c.slurp(i, 16<<20+256*int64(len(c.v.files))) // a line has some 120 bytes
	if err != nil {
		return err
	}
	if !c.d.ours && !bytes.HasPrefix(b, []byte(manifestTitle[:len("CAREPOST")])) {
		c.unhashed()
		return nil // another maker's file of this name
	}
	c.manifest, c.idOf[i] = i, DescriptorName
	c.l.departs(c.v, i, DescriptorName)
	if !named {
		c.find(ruleManifestUnnamed, DescriptorName, "the DICOMDIR does not name it in (0004,1141)")
	}
	if c.listed, err = readManifest(b); err != nil {
		c.find(ruleManifestBroken, DescriptorName, "it is not as it was written: %s", detail(err, errManifestSyntax))
	}
	return nil
}

// unhashed says what a set without MANIFEST can be judged by.
func (c *checker) unhashed() {
	if c.v.checksums {
		c.find(ruleNoManifest, "", "no content hashes in this set: judged by DICOMDIR and checksums alone")
		return
	}
	c.find(ruleNoManifest, "", "no content hashes in this folder: judged by DICOMDIR alone; a changed byte inside an image would not show")
}

// hashes compares every file with its line in MANIFEST.
func (c *checker) hashes() {
	if c.listed == nil {
		return
	}
	c.report.Hashed = true
	if _, ok := c.listed[DirectoryName]; !ok {
		c.find(ruleManifestBroken, DescriptorName, "it does not list DICOMDIR")
	}
	named := make(map[string]bool, len(c.d.records))
	for i := range c.d.records {
		named[c.d.records[i].fileID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(c.listed)) {
		want := c.listed[id]
		i := c.l.lookup(id)
		switch {
		case i < 0 && !named[id]:
			c.miss(id + ": listed in MANIFEST")
			c.find(ruleManifestMissFile, id, "MANIFEST lists this file; it is not there")
		case i < 0:
		case c.contents[i].sum != want.sum || c.contents[i].size != want.size:
			c.find(ruleManifestHash, id, "it is not what was packed: MANIFEST has another SHA-256")
		}
	}
	for i := range c.d.records {
		if f, ok := c.fileOf[i]; ok {
			if _, listed := c.listed[c.d.records[i].fileID]; !listed {
				c.find(ruleManifestExtra, c.v.files[f].name, "the DICOMDIR names it, MANIFEST does not list it")
			}
		}
	}
}

// others looks at the files that no record names: instances must not be among them (PS3.11 X.3.3).
func (c *checker) others() {
	for i := range c.v.files {
		if _, ours := c.idOf[i]; ours || c.l.skip[i] || i == c.l.directory {
			continue
		}
		x, name := &c.contents[i], c.v.files[i].name
		c.report.Other = append(c.report.Other, clean(name))
		switch {
		case x.isInstance():
			c.find(ruleUnreferenced, name, "a DICOM instance that no record of the DICOMDIR names")
		case errors.Is(x.err, errDirectory) && !isDirectoryName(path.Base(name)):
			c.find(ruleOther, name, "a DICOMDIR under another name; passed over")
		case x.damaged != nil || errors.Is(x.err, errDirectory): // said elsewhere
		case errors.Is(x.err, dicom.ErrNotDICOM):
			if own := c.d != nil && foldID(name) == foldID(c.l.prefix+c.d.descriptor); !own && !c.expected(strings.TrimPrefix(name, c.l.prefix)) {
				c.find(ruleOther, name, "no DICOM object, and not named by the DICOMDIR; passed over")
			}
		default:
			text, _ := reason(x.err)
			c.find(ruleUnreferenced, name, "a DICOM file that no record names: %s", text)
		}
	}
}

// expected says that a file beside the set belongs there: MANIFEST lists it, or IHE does.
func (c *checker) expected(name string) bool {
	_, listed := c.listed[name]
	return listed || companion(name)
}

// companion says that a file is one that IHE PDI and XDM put beside a File-set: expected there, and listed without a word.
func companion(name string) bool {
	name = fold(name)
	return name == "INDEX.HTM" || name == "README.TXT" || strings.HasPrefix(name, "IHE_XDM/") || strings.HasPrefix(name, "IHE_PDI/")
}
