package config_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/config"
	"carepost/trust"
)

// DIR-33.
func TestRevocation(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		text  string
		want  agent.Revocations
		wrong string
	}{
		{text: "", want: agent.Revocations{Grace: day}},
		{text: "unknown = \"accept\"\ngrace = \"0s\"", want: agent.Revocations{Unknown: trust.Accept}},
		{text: "unknown = \"demand\"", want: agent.Revocations{Unknown: trust.Demand, Grace: day}},
		{text: "grace = \"744h\"", want: agent.Revocations{Grace: 31 * day}},
		{text: "[policy.revocation.domains]\n\"Clinic.Example\" = \"accept\"\n\"lab.example\" = \"await\"",
			want: agent.Revocations{Grace: day, Domains: map[addr.Domain]trust.Unknown{"clinic.example": trust.Accept, "lab.example": trust.Await}}},
		{text: "unknown = \"good\"", wrong: "carepost.toml:3: \"good\" is none of await, accept, demand"},
		{text: "unknown = \"Accept\"", wrong: "is none of await, accept, demand"},
		{text: "unknown = true", wrong: "carepost.toml:3"},
		{text: "grace = \"-1h\"", wrong: "is no time from 0s to 744h"},
		{text: "grace = \"745h\"", wrong: "is no time from 0s to 744h"},
		{text: "grace = \"1 day\"", wrong: "is no time from 0s to 744h"},
		{text: "accept = true", wrong: "not known"},
		{text: "[policy.revocation.domains]\n\"desk@clinic.example\" = \"accept\"", wrong: "is no domain such as clinic.example"},
		{text: "[policy.revocation.domains]\n\"clinic.example\" = \"good\"", wrong: "is none of await, accept, demand"},
		{text: "[policy.revocation.domains]\n\"clinic.example\" = \"accept\"\n\"CLINIC.example\" = \"await\"", wrong: "stands here twice"},
	} {
		c, err := config.Parse("carepost.toml", "domain = \"north.example\"\n[policy.revocation]\n"+tc.text+"\n")
		var wrong *config.Error
		switch {
		case tc.wrong != "":
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%q: %v, want %q", tc.text, err, tc.wrong)
			}
		case err != nil:
			t.Errorf("%q: %v", tc.text, err)
		case !reflect.DeepEqual(c.Revocation, tc.want):
			t.Errorf("%q: %+v", tc.text, c.Revocation)
		}
	}
	r := agent.Revocations{Unknown: trust.Demand, Grace: day, Domains: map[addr.Domain]trust.Unknown{"clinic.example": trust.Accept}}
	if got := r.With("clinic.example"); got != (trust.Revocation{Unknown: trust.Accept, Grace: day}) {
		t.Errorf("a domain named: %+v", got)
	}
	if got := r.With("a.clinic.example"); got != (trust.Revocation{Unknown: trust.Demand, Grace: day}) {
		t.Errorf("one below it: %+v", got)
	}
}
