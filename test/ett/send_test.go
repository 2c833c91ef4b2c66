package ett

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// looked is a message as testdata/check.py wants it.
type looked struct {
	Outer       []byte `json:"outer"`
	Signed      []byte `json:"signed"`
	Inner       []byte `json:"inner"`
	Enveloped   string `json:"enveloped"`
	CMS         string `json:"cms"`
	Certificate string `json:"certificate"`
}

// checked has Python look at what the tool has got from the installation: messages of each kind, and notices. Each of the tool's checks of
// what is sent, by its number, is a sub-test: facts §5c.
func checked(t *testing.T, x *tool) {
	kinds := map[string]int{}
	var given []looked
	for _, a := range x.arrivals(func(arrival) bool { return true }) {
		kind := a.header.Get("Content-Type")
		if strings.HasPrefix(kind, "multipart/report") {
			_, statuses, err := readReport(a.inner)
			must(t, err)
			kind = "report " + statuses[0].action
		}
		if kinds[kind]++; kinds[kind] > 2 {
			continue
		}
		enveloped, cms, certificate, err := a.printed(x.dir)
		must(t, err)
		given = append(given, looked{a.outer, a.signed, a.inner, enveloped, cms, certificate})
	}
	if kinds["report processed"] == 0 || len(kinds) < 4 {
		t.Fatalf("the tool has got too little: %v", kinds)
	}
	found := python(t, given)
	wrong := map[string][]string{}
	for _, m := range found {
		for name, w := range m {
			wrong[name] = append(wrong[name], w...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		t.Run(name, func(t *testing.T) {
			for _, w := range wrong[name] {
				t.Error(w)
			}
		})
	}
	t.Run("the_checks_complain", func(t *testing.T) { complains(t, given) })
}

// python has testdata/check.py look at messages: what is wrong, by the name of the check.
func python(t *testing.T, given []looked) (found []map[string][]string) {
	t.Helper()
	in, err := json.Marshal(given)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/check.py")
	var log bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, &log)
	}
	must(t, json.Unmarshal(out, &found))
	return found
}
