package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"carepost/internal/config"
)

func TestWebhooks(t *testing.T) {
	const head = "domain = \"north.example\"\n[[webhook]]\n"
	c, err := config.Parse("/x/carepost.toml", head+`url = "https://hooks.example/a"
secret_file = "keys/hook"
events = ["recipient.fail"]
[[webhook]]
url = "http://127.0.0.1:8080/b"
secret_file = "keys/hook"
[[webhook]]
url = "http://inside.example/c"
address = "10.1.2.3"
secret_file = "/etc/hook"
`)
	if err != nil || len(c.Webhooks) != 3 || c.Webhooks[0].Secret.File != "/x/keys/hook" || c.Webhooks[0].Place.IsValid() ||
		c.Webhooks[1].Place != netip.MustParseAddrPort("127.0.0.1:8080") || c.Webhooks[2].Place != netip.MustParseAddrPort("10.1.2.3:80") {
		t.Errorf("%+v, %v", c, err)
	}
	const secret = "\nsecret_file = \"k\"\n"
	for _, text := range []string{
		`url = "https://h.example/"`, `url = "http://h.example/"` + secret, `url = "ftp://h.example/"` + secret, `url = "https://h.example:8443/"` + secret, `url = "https://a:b@h.example/"` + secret,
		`url = "/x"` + secret, secret, `url = "https://h.example/"` + secret + `events = ["all"]`,
		`url = "https://h.example/"` + secret + "[[webhook]]\nurl = \"https://h.example/\"" + secret,
	} {
		if _, err := config.Parse("/x/carepost.toml", head+text); err == nil || !strings.HasPrefix(err.Error(), "/x/carepost.toml:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
