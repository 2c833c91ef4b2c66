package gateway_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"carepost/internal/auditor/auditortest"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// A study goes from one practice to the other: the audit repository is told of the Export and the Import (PS3.15 A.5.3.4, A.5.3.5), with the
// patient and the study, of the start of both, and nothing of the notice that comes back. All of it is valid by the standard's schema.
func TestAuditRepository(t *testing.T) {
	r := auditortest.Start(t)
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Auditing = gateway.Auditing{Server: r.At, Name: auditortest.ServerName, CA: r.CA, Certificate: r.Certificate, Key: r.Key,
			Events: gateway.EventsWithout([]string{"alert"})}
	}, "a.example", "b.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	id := a.Submit(t, studyLetter(t, a, b.Address, false), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	found := map[string]string{}
	gatewaytest.Until(t, func() bool {
		for _, m := range r.Messages() {
			for _, kind := range []string{"Export", "Import", "Application Start"} {
				if strings.Contains(m, `originalText="`+kind+`"`) {
					found[kind] = m
				}
			}
		}
		return len(found) == 3
	}, func() string { return "messages for the audit repository: " + r.Said() })
	for _, kind := range []string{"Export", "Import"} {
		for _, want := range []string{
			`UserID="` + a.Address.String() + `"`, `UserID="` + b.Address.String() + `"`, `csd-code="110031"`, `originalText="Study Instance UID"`,
			`originalText="Patient Number"`, `<Encrypted>true</Encrypted>`, `ParticipantObjectIDTypeCode csd-code="Message-ID"`, `<SOPClass UID="1.2.840.10008.`,
		} {
			if !strings.Contains(found[kind], want) {
				t.Errorf("%s without %s:\n%s", kind, want, found[kind])
			}
		}
	}
	dir, args := t.TempDir(), []string{"-c", filepath.Join("..", "..", "atna", "testdata", "audit-message.rnc")}
	n := map[string]int{}
	for i, m := range r.Messages() {
		_, text, ok := strings.Cut(m, "\ufeff")
		if !ok {
			t.Errorf("no byte order mark: %q", m)
		}
		for _, kind := range []string{"Export", "Import", "Security Alert"} {
			if strings.Contains(m, `originalText="`+kind+`"`) {
				n[kind]++
			}
		}
		args = append(args, filepath.Join(dir, strconv.Itoa(i)+".xml"))
		if err := os.WriteFile(args[len(args)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("jing", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n["Export"] != 1 || n["Import"] != 1 || n["Security Alert"] != 0 {
		t.Errorf("%v", n)
	}
}
