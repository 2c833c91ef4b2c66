package fileset

import (
	"slices"
	"strings"
	"testing"
)

// What an instance has in a form that is no longer, or never was, the standard's does not make the directory an invalid one: dates and numbers take
// today's form or count as missing, texts stand as they are, and each is told of once (PS3.5 6.2; facts of PS3.3 F.5).
func TestStrangeValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65)
	for name, c := range map[string]struct {
		more      [][]byte
		want      [][]byte // in the directory
		says      string   // of a finding; none where it is empty
		complains string   // dciodvfy, about a text that is left as it is
	}{
		"a date of ACR-NEMA": {more: [][]byte{appendText(nil, tagStudyDate, "2026.01.02"), appendText(nil, tagStudyTime, "10:15:30")},
			want: [][]byte{appendText(nil, tagStudyDate, "20260102"), appendText(nil, tagStudyTime, "101530")}},
		"zeros for a date, and another": {more: [][]byte{appendText(nil, tagStudyDate, "00000000"), appendText(nil, 0x00080021, "unknown"), appendText(nil, 0x00080022, "20260103"),
			appendText(nil, 0x00080032, "7pm")},
			want: [][]byte{appendText(nil, tagStudyDate, "20260103"), appendText(nil, tagStudyTime, "000000")}, says: "Study Date (0008,0020) has no value that the standard allows"},
		"no number": {more: [][]byte{appendText(nil, tagSeriesNo, "A1"), appendText(nil, tagInstanceNo, "7.000")},
			want: [][]byte{appendText(nil, tagSeriesNo, "1"), appendText(nil, tagInstanceNo, "7")}, says: "Series Number (0020,0011) has no value that the standard allows"},
		"a long text":        {more: [][]byte{appendText(nil, tagStudyDesc, long)}, want: [][]byte{appendText(nil, tagStudyDesc, long)}, says: "is longer than 64 characters", complains: "Length invalid"},
		"a text of bytes":    {more: [][]byte{appendText(nil, tagStudyDesc, "a\xe4b")}, says: "nothing says in which character set", complains: "Character invalid"},
		"control characters": {more: [][]byte{appendText(nil, tagStudyDesc, "a\tb")}, says: "holds control characters", complains: "Character invalid"},
	} {
		dir := t.TempDir()
		for _, n := range []string{"1.3", "1.4"} {
			writeFile(t, dir, n, ct("P1", "Berg^Ann", "1.1", "1.2", n, c.more...))
		}
		p := scan(t, dir)
		for _, want := range c.want {
			if !strings.Contains(string(p.directory), string(want)) {
				t.Errorf("%s: no %q in the directory", name, want)
			}
		}
		told := 0
		for _, f := range p.Findings {
			told += b2i(strings.Contains(f.Text, c.says))
		}
		if c.says != "" && told != 1 {
			t.Errorf("%s: told %d times: %v", name, told, p.Findings)
		}
		b := packed(t, p)
		r := checkBytes(t, b)
		if r.Verdict != Complete || slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity > Note }) || hasRule(r.Findings, "keys-differ") {
			t.Errorf("%s: %v %v", name, r.Verdict, r.Findings)
		}
		set := t.TempDir()
		writeFile(t, set, DirectoryName, p.directory)
		out, _ := peer(set, "dciodvfy", DirectoryName)
		if len(out) == 0 {
			t.Fatal("dciodvfy says nothing")
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "Error") && (c.complains == "" || !strings.Contains(line, c.complains) && !strings.Contains(line, "contains invalid data values")) {
				t.Errorf("%s: dciodvfy: %s", name, line)
			}
		}
	}
}

func TestUsable(t *testing.T) {
	for _, c := range []struct{ vr, in, want string }{
		{"DA", "20260102", "20260102"}, {"DA", "20260102 ", "20260102 "}, {"DA", "2026.01.02", "20260102"}, {"DA", "20261302", "-"}, {"DA", "20260100", "-"}, {"DA", "2026", "-"},
		{"DA", "2026-01-02", "-"}, {"DA", "", ""}, {"DA", "  ", "  "}, {"TM", "10", "10"}, {"TM", "1015", "1015"}, {"TM", "101559.123456", "101559.123456"}, {"TM", "10:15", "1015"},
		{"TM", "10:15:59.5", "101559.5"}, {"TM", "101560", "101560"}, {"TM", "240000", "-"}, {"TM", "106000", "-"}, {"TM", "1015.5", "-"}, {"TM", "101559.1234567", "-"}, {"TM", "1", "-"},
		{"IS", "7", "7"}, {"IS", "+07 ", "+07 "}, {"IS", "-1", "-1"}, {"IS", "7.00", "7"}, {"IS", "7.5", "-"}, {"IS", "2147483648", "-"}, {"IS", "0000000000001", "-"}, {"IS", `1\2`, "-"},
		{"LO", "anything\n", "anything\n"},
	} {
		got := "-"
		if v, ok := usable(c.vr, []byte(c.in)); ok {
			got = string(v)
		}
		if got != c.want {
			t.Errorf("%s %q: %q rather than %q", c.vr, c.in, got, c.want)
		}
	}
}
