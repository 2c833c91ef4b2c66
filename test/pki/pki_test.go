package pki

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"carepost/trust"
	"carepost/trust/casetest"
)

// explained is a row of differences.md: OpenSSL answers otherwise than we do, and we know why.
type explained struct{ word, clause, why string }

var differenceLine = regexp.MustCompile("^\\| `([^`]+)` \\| (\\d+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

func differences(t *testing.T) map[string]explained {
	t.Helper()
	page, err := os.ReadFile("differences.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]explained{}
	for line := range strings.Lines(string(page)) {
		m := differenceLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			if strings.HasPrefix(line, "| `") {
				t.Errorf("not a row: %s", line)
			}
			continue
		}
		key := m[1] + "#" + m[2]
		if _, twice := all[key]; twice {
			t.Errorf("%s stands twice", key)
		}
		all[key] = explained{strings.TrimSpace(m[3]), strings.TrimSpace(m[4]), strings.TrimSpace(m[5])}
	}
	return all
}

// silent are the clauses on which OpenSSL has no opinion: it knows nothing of Direct addresses and domains. Nor does it know our language of certificate policies, ask OCSP
// responders, or know a policy for what is not known.
func silent(clause string) bool {
	return slices.Contains([]string{"Direct 4.1", "Direct 4.1.1", "Direct 4.1.2", "policy of the installation"}, clause)
}

// Wherever OpenSSL has an opinion it is ours, or differences.md says why not; and what is said there is still so. All cases of package
// trust and all rows of the matrix are asked. DIR-32, DIR-38, DIR-40.
func TestOpenSSLAgrees(t *testing.T) {
	known := differences(t)
	var mu sync.Mutex
	agreed, unasked, seen := 0, 0, map[string]bool{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range all(t) {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				n := 0
				c.Each(t, func(w *casetest.World, want casetest.Want) {
					n++
					if w.Stopped || w.Answers || w.Question.Revocation != (trust.Revocation{}) || silent(want.Clause) {
						mu.Lock()
						unasked++
						mu.Unlock()
						return
					}
					key, said := fmt.Sprintf("%s#%d", c.Name, n), ask(t, w)
					mu.Lock()
					defer mu.Unlock()
					row, ok := known[key]
					seen[key] = true
					switch agree := said.accepts != want.Refusal(); {
					case agree && ok:
						t.Errorf("%s: OpenSSL agrees by now (%q); the explanation is stale", key, said.word)
					case agree:
						agreed++
					case !ok:
						t.Errorf("%s: we want %s %s, OpenSSL says: %s", key, want.Status, want.Clause, said)
					case row.word != said.String():
						t.Errorf("%s: OpenSSL says %s, and not %q", key, said, row.word)
					}
				})
			})
		}
	})
	for key := range known {
		if !seen[key] {
			t.Errorf("differences.md explains %s, which nobody asked", key)
		}
	}
	if agreed < 400 || unasked > agreed/3 {
		t.Errorf("OpenSSL agrees on %d questions and is not asked %d: that shows little", agreed, unasked)
	}
	t.Logf("OpenSSL agrees on %d questions, differs on %d for known reasons, and has no opinion on %d", agreed, len(known), unasked)
}

func (o opinion) String() string {
	if o.accepts {
		return "accepted"
	}
	return o.word
}

// all are the cases of package trust and the rows of the matrix.
func all(t *testing.T) []casetest.Case {
	cases := casetest.Glob(t, "../../trust/testdata/*.txtar")
	for _, section := range sections {
		cases = append(cases, rows(t)[section]...)
	}
	return cases
}
