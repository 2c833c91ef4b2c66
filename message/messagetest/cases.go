// Package messagetest reads the cases of the rooms that read mail: a file per case, in the txtar format, its reason on the first
// line.
package messagetest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Case is one file: its parts by name.
type Case struct {
	Reason string
	Files  map[string][]byte
}

// Cases returns the cases of a folder by name. A folder without cases fails the test.
func Cases(t testing.TB, dir string) map[string]Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	all := map[string]Case{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".txtar")] = parse(b)
	}
	return all
}

// parse reads "-- NAME --" lines and what follows each.
func parse(b []byte) Case {
	c := Case{Files: map[string][]byte{}}
	name := ""
	for line := range bytes.Lines(b) {
		if s := strings.TrimSuffix(string(line), "\n"); strings.HasPrefix(s, "-- ") && strings.HasSuffix(s, " --") && len(s) > 6 {
			name = s[3 : len(s)-3]
			c.Files[name] = []byte{}
			continue
		}
		if name == "" {
			c.Reason += string(line)
			continue
		}
		c.Files[name] = append(c.Files[name], line...)
	}
	return c
}

// CRLF returns b with CRLF for LF: cases are written with LF.
func CRLF(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
