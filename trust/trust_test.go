package trust_test

import (
	"testing"

	"carepost/trust/casetest"
)

// now is the day on which the questions are judged.
var now = casetest.Now

// TestCases runs the cases of testdata: a file per case, named by its clause. Each proves DIR-32 and the row that its clause
// belongs to (DIR-04, DIR-34, DIR-35: 4.1; DIR-33: revocation; DIR-36: usage; DIR-37, DIR-38, DIR-40: 4.2; DIR-39: AIA). ATT-16.
func TestCases(t *testing.T) {
	for _, c := range casetest.Glob(t, "testdata/*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			c.Each(t, func(w *casetest.World, want casetest.Want) { casetest.Judge(t, w, want) })
		})
	}
}

// There are many cases, and more of them refuse than accept.
func TestRefusalsOutnumber(t *testing.T) {
	cases := casetest.Glob(t, "testdata/*.txtar")
	refused, accepted := casetest.Count(cases)
	if len(cases) < 175 || refused <= accepted {
		t.Errorf("%d cases want %d refusals and %d acceptances", len(cases), refused, accepted)
	}
}
