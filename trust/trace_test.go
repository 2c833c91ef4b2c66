package trust_test

import (
	"strings"
	"testing"

	"carepost/trust"
	"carepost/trust/casetest"
)

// Who listens is told of every candidate, fetch and path, without an address, and also where a path is remembered.
func TestTrace(t *testing.T) {
	w := casetest.New(t)
	for _, line := range []string{"ca I", "ca J name=I key-of=I", "serve /i.cer cert I", "leaf from=I san=rfc822:lab@h.example aia=/i.cer"} {
		f := strings.Fields(line)
		w.Line(f[0], f[1:])
	}
	w.Anchored()
	judge := w.Judge()
	if v := w.Ask(t.Context(), judge); v.Status != trust.Trusted {
		t.Fatal(v.Reason)
	}
	var told []string
	w.Question.Trace = func(e trust.Event) {
		if e.Outcome == "" || strings.Contains(e.Subject+e.Outcome, "lab@") {
			t.Errorf("%+v", e)
		}
		told = append(told, e.Kind)
	}
	if v := w.Ask(t.Context(), judge); v.Status != trust.Trusted {
		t.Fatal(v.Reason)
	}
	for _, kind := range []string{"fetch", "candidate", "path"} {
		if !strings.Contains(strings.Join(told, " "), kind) {
			t.Errorf("no %s among %q", kind, told)
		}
	}
}
