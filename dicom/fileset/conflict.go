package fileset

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"carepost/dicom"
)

// Conflict is a way in which instances contradict each other. Scan stops at each, for the wrong patient may be among them; somebody who
// knows better says so in ScanOptions, and Plan.Overruled keeps what was said, for the record.
type Conflict string

// The conflicts that can be overruled.
const (
	Names    Conflict = "names"    // one Patient ID with different patient names
	Parents  Conflict = "parents"  // one study under two patients, or one series under two studies
	Versions Conflict = "versions" // one SOP Instance UID with different bytes
)

// Conflicts are all of them.
func Conflicts() []Conflict { return []Conflict{Names, Parents, Versions} }

// Overrules says which conflict a reader's finding is of; "" where it is of none.
func Overrules(f Finding) Conflict {
	switch f.Rule {
	case ruleNames.name:
		return Names
	case ruleStudyTwice.name, ruleSeriesTwice.name:
		return Parents
	}
	return ""
}

// conflict is a problem that could be overruled.
func (b *builder) conflict(c Conflict, reason, source string, files ...string) {
	b.problems = append(b.problems, Problem{Files: files, Reason: reason, Source: source, Conflict: c})
}

// overrule goes on past a conflict.
func (b *builder) overrule(c Conflict, f Finding) {
	if b.overruled == nil {
		b.overruled = make(map[Conflict]bool)
	}
	b.overruled[c] = true
	b.note(f)
}

// names stops at one Patient ID with several names: the wrong patient may be among them (PS3.11 X.3.3). Other differences between
// instances of one parent are noted; the record keeps those of the instance that says most (PS3.3 F.5).
func (b *builder) names() {
	type variant struct{ keys, charset string }
	seen := make(map[string]map[variant]*member)
	for _, m := range b.members {
		if m.record.root {
			continue
		}
		v := variant{string(m.patient), m.charset}
		if seen[m.patientID] == nil {
			seen[m.patientID] = make(map[variant]*member)
		}
		if seen[m.patientID][v] == nil {
			seen[m.patientID][v] = m
		}
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		ms := slices.SortedFunc(maps.Values(seen[id]), func(x, y *member) int { return strings.Compare(x.src.path, y.src.path) })
		var named []string // paths of those that have a name: an empty one is like every other
		var known string   // what they say together
		differ := false
		for _, m := range ms {
			if name := m.patient.exact(tagName, m.charset); name != "" {
				differ = differ || !dicom.SameName(known, name)
				known, named = dicom.FullerName(known, name), append(named, m.src.path)
			}
		}
		switch {
		case !differ:
		case b.o.AllowNames:
			b.overrule(Names, ruleNames.at(strings.Join(named, ", "), "one Patient ID, different names; taken as asked"))
		default:
			b.conflict(Names, "one Patient ID, different patient names", ruleNames.source, named...)
		}
	}
}

// oneParent stops at a UID that stands under two parents. Where that is allowed, each parent has a record with that UID below it, as the
// instances have it: a reader that is strict will say so.
func (b *builder) oneParent(r rule, what, parents string, of func(*member) (uid, parent string)) {
	first := make(map[string]*member)
	told := make(map[string]bool)
	for _, m := range b.members {
		if m.record.root {
			continue
		}
		uid, parent := of(m)
		was, ok := first[uid]
		if !ok {
			first[uid] = m
			continue
		}
		if _, p := of(was); p == parent || told[uid] {
			continue
		}
		told[uid] = true
		text := fmt.Sprintf("one %s under two %s", what, parents)
		if b.o.AllowParents {
			b.overrule(Parents, r.at(was.src.path+", "+m.src.path, "%s; taken as asked", text))
			continue
		}
		b.conflict(Parents, text, r.source, was.src.path, m.src.path)
	}
}
