package config_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"carepost/internal/config"
)

func TestDiscovery(t *testing.T) {
	for _, tc := range []struct {
		text  string
		want  config.Discovery
		wrong string
	}{
		{text: ""},
		{text: "ldap = true"},
		{text: "remember = true", want: config.Discovery{Remember: true}},
		{text: "ldap = false\ndeadline = \"45s\"\nstale = \"0s\"", want: config.Discovery{NoLDAP: true, Deadline: 45 * time.Second, Stale: -1}},
		{text: "stale = \"12h\"\nallow = [\"10.0.0.5:389\"]", want: config.Discovery{Stale: 12 * time.Hour, Allow: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:389")}}},
		{text: "deadline = \"1ms\"", wrong: "carepost.toml:3: it is to lie between 1s and 5m0s"},
		{text: "deadline = \"1h\"", wrong: "it is to lie between"},
		{text: "stale = \"-1h\"", wrong: "is no time"},
		{text: "allow = [\"localhost:389\"]", wrong: "is no IP address and port"},
		{text: "allow = [\"10.0.0.5:0\"]", wrong: "is no IP address and port"},
		{text: "order = \"ldap\"", wrong: "not known"},
	} {
		c, err := config.Parse("carepost.toml", "domain = \"north.example\"\n[discovery]\n"+tc.text+"\n")
		var wrong *config.Error
		switch {
		case tc.wrong != "":
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%q: %v, want %q", tc.text, err, tc.wrong)
			}
		case err != nil || !reflect.DeepEqual(c.Discovery, tc.want):
			t.Errorf("%q: %+v, %v", tc.text, c, err)
		}
	}
}
