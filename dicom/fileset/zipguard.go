package fileset

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// judge looks at an entry by itself.
func (a *archive) judge(e *entry) {
	if e.flags&(1|1<<6|1<<13) != 0 {
		a.find(ruleZIPSecret, e.raw, "encrypted: secrecy is the mail's, not the archive's")
	}
	if e.method != stored && e.method != deflate {
		a.find(ruleZIPMethod, e.raw, "compression method %d: only stored (0) and deflated (8) are read", e.method)
	}
	if e.size < 0 || e.packed < 0 || e.header < 0 || e.method == stored && e.size != e.packed {
		a.find(ruleZIP, e.raw, "impossible sizes")
		e.size, e.packed = max(e.size, 0), max(e.packed, 0)
	}
	if e.size > a.lim.File {
		a.find(ruleLimit, e.raw, "%d bytes: more than %d", e.size, a.lim.File)
	}
	name := strings.ReplaceAll(a.text(e), `\`, "/")
	e.name = strings.TrimSuffix(name, "/")
	e.folder = e.name != name
	if e.folder && e.size > 0 {
		a.find(ruleZIP, e.raw, "a folder with content")
	}
	if strings.Contains(e.raw, `\`) {
		a.find(ruleZIPSlash, e.raw, "backslashes where slashes belong")
	}
	if why := unsafeName(e.name); why != "" {
		a.find(ruleZIPName, e.raw, "a name that %s", why)
	}
}

// text decodes a name. Without bit 11 it is in the code page of the first PCs (APPNOTE D.1), though most write UTF-8 all the same. No
// File ID needs either, so only files beside the set have such names.
func (a *archive) text(e *entry) string {
	if e.flags&bitUTF8 != 0 || utf8.ValidString(e.raw) {
		return e.raw
	}
	name, err := charmap.CodePage437.NewDecoder().String(e.raw)
	if err != nil {
		return e.raw
	}
	a.find(ruleZIPCoding, name, "a name that is not in UTF-8")
	return name
}

// unsafeName says why a name must not be written anywhere, "" if it may.
func unsafeName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > 1024:
		return "is too long"
	case !utf8.ValidString(name):
		return "is no UTF-8"
	case strings.HasPrefix(name, "/"):
		return "is absolute"
	}
	parts := strings.Split(name, "/")
	if len(parts) > 32 {
		return "is too deep"
	}
	for _, p := range parts {
		switch {
		case p == "" || p == "." || p == "..":
			return "leads elsewhere"
		case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7F }):
			return "has control characters"
		case strings.ContainsAny(p, `:*?"<>|`):
			return "means something else on other systems"
		case strings.HasSuffix(p, " ") || strings.HasSuffix(p, "."):
			return "ends in a space or a dot"
		case device(p):
			return "is that of a device"
		}
	}
	return ""
}

// device knows the names that Windows keeps for itself.
func device(p string) bool {
	base, _, _ := strings.Cut(strings.ToUpper(p), ".")
	switch base {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") && base[3] >= '1' && base[3] <= '9'
}

// gaps looks for bytes that belong to no entry, and for entries that share bytes: nothing hides, nothing is counted twice.
func (a *archive) gaps(end endRecord) {
	order := make([]*entry, 0, len(a.entries))
	for i := range a.entries {
		order = append(order, &a.entries[i])
	}
	slices.SortFunc(order, func(x, y *entry) int { return cmp.Compare(x.header, y.header) })
	at := int64(0)
	for _, e := range order {
		switch {
		case e.header < at:
			a.find(ruleZIPOverlap, e.raw, "its bytes are those of another entry too")
		case e.header > at && at == 0:
			a.find(ruleZIPJunk, "", "%d bytes in front of the archive", e.header)
		case e.header > at:
			a.find(ruleZIPJunk, "", "%d bytes that belong to no entry", e.header-at)
		}
		at = max(at, e.end)
	}
	switch {
	case at > end.start:
		a.find(ruleZIPOverlap, "", "entries reach into the central directory")
	case at < end.start && len(order) > 0:
		a.find(ruleZIPJunk, "", "%d bytes that belong to no entry", end.start-at)
	}
}

// names refuses names that are one on some systems: equal, or equal but for case, and a file where another entry needs a folder.
func (a *archive) names() {
	files := make(map[string]bool, len(a.entries))
	for _, e := range a.entries {
		if e.folder {
			continue
		}
		if key := fold(e.name); files[key] {
			a.find(ruleZIPTwice, e.raw, "another entry has this name, or the same but for case")
		} else {
			files[key] = true
		}
	}
	for _, e := range a.entries {
		key := fold(e.name)
		for i := strings.LastIndexByte(key, '/'); i >= 0; i = strings.LastIndexByte(key, '/') {
			if key = key[:i]; files[key] {
				a.find(ruleZIPTwice, e.raw, "a file stands where this entry has a folder")
				break
			}
		}
	}
}

// fold gives the form in which names collide.
func fold(name string) string { return strings.ToUpper(name) }

// sums guards against bombs before anything is unpacked.
func (a *archive) sums() {
	var total int64
	for _, e := range a.entries {
		if total += e.size; total < 0 {
			total = math.MaxInt64
			break
		}
	}
	if total > a.lim.Total {
		a.stop(ruleLimit, "%d bytes unpacked: more than %d", total, a.lim.Total)
	}
	if total > 1<<30 && total/max(a.size, 1) > a.lim.Ratio { // below, a blank image may be what it is
		a.stop(ruleLimit, "unpacked it would be more than %d times its size", a.lim.Ratio)
	}
}
