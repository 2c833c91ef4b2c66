package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"carepost/internal/config"
)

func TestSubmissionHosts(t *testing.T) {
	const head = "domain = \"north.example\"\n[submission]\nhosts = "
	c, err := config.Parse("/x/carepost.toml", head+`["192.0.2.10", "192.0.2.16/28", "2001:db8::1"]`)
	if err != nil || len(c.Hosts) != 3 || !c.Hosts[1].Contains(netip.MustParseAddr("192.0.2.31")) || c.Hosts[0].Contains(netip.MustParseAddr("192.0.2.11")) {
		t.Errorf("%v, %v", c, err)
	}
	for _, line := range []string{`["0.0.0.0/0"]`, `["10.0.0.0/8"]`, `["::/0"]`, `["192.0.2.1/28"]`, `["mail.north.example"]`, `["fe80::1%eth0"]`, `["::ffff:192.0.2.1"]`, `[""]`, `"192.0.2.1"`} {
		if _, err := config.Parse("/x/carepost.toml", head+line); err == nil || !strings.HasPrefix(err.Error(), "/x/carepost.toml:") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
