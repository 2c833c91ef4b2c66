package gateway_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
)

// ATT-33: a gateway keeps the last head of its log in a file, and tells when the log is not that of the file.
func TestHeadsAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "north.head")
	p := gatewaytest.NewWith(t, func(o *gateway.Options) { o.Auditing.Heads = file }, "north.example").All[0]
	warned := func() bool {
		c, stop := admind.Pair(p.Admind())
		defer stop()
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "does not go on from the head that was kept") })
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	p.Start(t)
	until("no head is kept", func() bool { _, err := os.Stat(file); return err == nil })
	p.Stop()
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.VerifyAudit(t.Context(), "operator:0", audit.VerifyOptions{Heads: []string{string(kept)}})
	if err != nil || v.Kept != 1 || len(v.Findings) > 0 || v.Waiting != 0 || warned() {
		t.Errorf("%+v, %v", v, err)
	}
	other := strings.Replace(string(kept), "carepost-audit-", "carepost-audit-0", 1)
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Reopen(t)
	p.Start(t)
	until("no warning", warned)
	p.Stop()
	if now, err := os.ReadFile(file); err != nil || string(now) != other || !warned() {
		t.Errorf("the file of another log: %q, %v", now, err)
	}
}
