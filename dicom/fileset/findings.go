package fileset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxOfRule bounds what a hostile set can make us say: so many findings of one rule are kept, the others are counted.
const maxOfRule = 1000

// findings gathers what a check sees. No rule can crowd out another: the first of each is always there, so the verdict is that of
// everything that was found, however much it was.
type findings struct {
	list  []Finding
	times map[string]int // by rule, those that are not in list too
}

func (fs *findings) add(f Finding) { fs.count(f, 1) }

func (fs *findings) count(f Finding, n int) {
	if fs.times == nil {
		fs.times = make(map[string]int)
	}
	if fs.times[f.Rule] < maxOfRule {
		f.Where, f.Text = short(clean(f.Where)), clean(f.Text)
		fs.list = append(fs.list, f)
	}
	fs.times[f.Rule] += n
}

// merge takes in those of another, which is then of no more use.
func (fs *findings) merge(other *findings) {
	for _, f := range other.list {
		fs.add(f)
	}
	for rule, n := range other.times {
		if n > maxOfRule {
			fs.times[rule] += n - maxOfRule
		}
	}
}

// all gives what is in the list, and a line for each rule that has more.
func (fs *findings) all() []Finding {
	told := make(map[string]bool)
	out := fs.list
	for _, f := range fs.list {
		if n := fs.times[f.Rule]; n > maxOfRule && !told[f.Rule] {
			told[f.Rule] = true
			out = append(out, rule{f.Rule, f.Severity, f.Source}.at("", "found %d times; the first %d are listed", n, maxOfRule))
		}
	}
	return out
}

// clean makes a stranger's text printable: no control characters, none that turn the direction of writing.
func clean(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
}

func unprintable(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// short keeps quoted texts of strangers short.
func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
