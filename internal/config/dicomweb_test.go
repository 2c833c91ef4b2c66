package config

import (
	"errors"
	"strings"
	"testing"
)

// What may be said of STOW-RS, and what cannot be.
func TestDICOMWeb(t *testing.T) {
	c, err := Parse("/etc/carepost/carepost.toml", outs+`
[dicom.web]
listen = "192.0.2.1:8443"
ca = "clients-ca.pem"
[[dicom.web.client]]
name = "ris"
token_file = "keys/ris"
account = "imaging@north.example"
`)
	if err != nil {
		t.Fatal(err)
	}
	w := c.DICOM.Web
	if w.Listen != "192.0.2.1:8443" || w.CA != "/etc/carepost/clients-ca.pem" || len(w.Clients) != 1 || w.Clients[0].Token.File != "/etc/carepost/keys/ris" || w.Clients[0].Account.String() != "imaging@north.example" {
		t.Errorf("%+v", w)
	}
	for want, text := range map[string]string{
		"listen is missing":    "plain = true",
		"go together":          "listen = \"192.0.2.1:8443\"\nkey = \"k\"",
		"plain is for 127":     "listen = \"192.0.2.1:8443\"\nplain = true",
		"plain is without TLS": "listen = \"127.0.0.1:8443\"\nplain = true\nca = \"c\"",
		"name is missing":      "listen = \"127.0.0.1:8443\"\n[[dicom.web.client]]\ntoken_file = \"t\"",
		"token_file is":        "listen = \"127.0.0.1:8443\"\n[[dicom.web.client]]\nname = \"a\"",
		"no domain of this":    "listen = \"127.0.0.1:8443\"\n[[dicom.web.client]]\nname = \"a\"\ntoken_file = \"t\"\naccount = \"a@west.example\"",
		"is no address":        "listen = \"127.0.0.1:8443\"\n[[dicom.web.client]]\nname = \"a\"\ntoken_file = \"t\"\naccount = \"a\"",
		"is taken by":          "listen = \"127.0.0.1:8443\"\n[listen]\nmx = \"127.0.0.1:8443\"",
	} {
		_, err := Parse("carepost.toml", outs+"[dicom.web]\n"+text)
		if wrong := (*Error)(nil); !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, want) || wrong.Line == 0 {
			t.Errorf("%q: %v", want, err)
		}
	}
}
