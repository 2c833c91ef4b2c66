package fileset

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// manyNotes is a set of more instances than maxOfRule, each with a note.
func manyNotes(t *testing.T) []zipped {
	t.Helper()
	dir := t.TempDir()
	for i := range maxOfRule + 50 {
		writeFile(t, dir, fmt.Sprint(i), bare("1.2.9.2", fmt.Sprintf("1.2.3.4.%d", i+1)))
	}
	return entriesOf(t, packed(t, scan(t, dir)))
}

// DCM-22: however much there is to say of a set, what makes it incomplete or damaged is said.
func TestNothingIsCrowdedOut(t *testing.T) {
	es := manyNotes(t)
	r := checkBytes(t, rezip(t, es))
	if r.Verdict != Complete || !hasRule(r.Findings, "unknown-sop-class") || len(r.Findings) > 2*maxOfRule {
		t.Fatalf("untouched: %v, %d findings", r.Verdict, len(r.Findings))
	}
	if last := r.Findings[len(r.Findings)-1]; !strings.Contains(last.Text, fmt.Sprintf("found %d times", maxOfRule+50)) {
		t.Errorf("the rest is not counted: %v", last)
	}
	n := len(es) - 2 // the last instance; MANIFEST follows
	changed := slices.Clone(es)
	changed[n].data = bytes.Clone(es[n].data)
	changed[n].data[len(changed[n].data)-1] ^= 1
	if r := checkBytes(t, rezip(t, changed)); r.Verdict != Damaged || !hasRule(r.Findings, "manifest-hash") {
		t.Errorf("the last instance changed: %v", r.Verdict)
	}
	if r := checkBytes(t, rezip(t, slices.Delete(slices.Clone(es), n, n+1))); r.Verdict != Incomplete || len(r.Missing) != 1 {
		t.Errorf("the last instance removed: %v %v", r.Verdict, r.Missing)
	}
	for i := range es {
		es[i].name = strings.ReplaceAll(es[i].name, "/", `\`) // a violation for each
	}
	if r := checkBytes(t, rezip(t, append(es, zipped{"../x", nil}))); r.Verdict != Damaged || !hasRule(r.Findings, "zip-name") {
		t.Errorf("a bad name behind %d backslashes: %v", len(es), r.Verdict)
	}
}

func TestFindings(t *testing.T) {
	var a, b findings
	for range 3 * maxOfRule {
		a.add(ruleCase.at("x", "y"))
		b.add(ruleCase.at("x", "y"))
	}
	b.add(ruleMissing.at("a\x1b]0;b\u202e\r\n", "gone"))
	a.merge(&b)
	fs := a.all()
	if len(fs) != maxOfRule+2 || !strings.Contains(fs[len(fs)-1].Text, "found 6000 times") || verdict(fs) != Incomplete {
		t.Errorf("%d findings, %v", len(fs), fs[len(fs)-1])
	}
	if w := fs[maxOfRule].Where; w != "a?]0;b???" {
		t.Errorf("%q", w)
	}
}

// What strangers wrote reaches no terminal as it is.
func TestNoControlCharacters(t *testing.T) {
	base := foreign(t)
	d := base[0].data
	copy(value(t, d, 0x00041500, 0), "\x1b]0;")
	copy(value(t, d, 0x00041511, 1), "\x1b]0;")
	copy(value(t, d, 0x00041510, 2), "\x1b]0;")
	copy(value(t, d, 0x00041512, 3), "\x1b]0;")
	copy(value(t, d, 0x00041430, 4), "\x9b]0;")
	r := checkBytes(t, rezip(t, base))
	if s := fmt.Sprint(r.Findings, r.Missing, r.Tree, r.Other); strings.ContainsFunc(s, unprintable) {
		t.Errorf("%q", s)
	}
}

// A directory of millions of records in an archive of some kilobytes costs neither memory nor time. ATT-39.
func TestDirectoryBomb(t *testing.T) {
	d, err := writeDirectory([]node{{}}, "EMPTY", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	d = append(d[:bytes.Index(d, []byte{0x04, 0x00, 0x20, 0x12})], 0x04, 0x00, 0x20, 0x12, 'S', 'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF)
	d = append(d, bytes.Repeat(appendRawItem(nil, appendText(nil, 0x00041430, "X")), 1_900_000)...)
	b := rezipDeflated(t, zipped{DirectoryName, append(d, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)})
	start := time.Now()
	grown := peakOf(func() {
		if r := checkBytes(t, b); r.Verdict != Damaged || !hasRule(r.Findings, "dicomdir-unreadable") {
			t.Errorf("%v %v", r.Verdict, r.Findings)
		}
	})
	if took := time.Since(start); grown > 96<<20 || took > 10*time.Second {
		t.Errorf("an archive of %d bytes took %d MiB and %v", len(b), grown>>20, took)
	}
}
