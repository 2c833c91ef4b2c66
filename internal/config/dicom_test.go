package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"carepost/dicom/zipmail"
	"carepost/internal/config"
	"carepost/internal/intake"
)

const dicomHead = "domain = \"north.example\"\ndomains = [\"west.example\"]\n[dicom]\n"

func TestDICOM(t *testing.T) {
	c, err := config.Parse("/x/carepost.toml", dicomHead+`listen = "127.0.0.1:11112"
listen_tls = ":2762"
called = ["TO_*"]
calling = ["CT1", "MR?"]
hosts = ["10.1.0.0/16"]
quiet = "90s"
tell = "it@west.example"
[dicom.tls]
ca = "keys/devices.pem"
[[dicom.route]]
name = "knees"
called = ["TO_SOUTH"]
modality = ["MR", "CT"]
description = ["*knee*"]
from = "imaging@west.example"
to = ["lab@south.example", "desk@south.example"]
profile = "dental"
subject = "Knee"
[[dicom.route]]
hold = true
`)
	if err != nil {
		t.Fatal(err)
	}
	d := c.DICOM
	if d.Listen != "127.0.0.1:11112" || d.ListenTLS != ":2762" || d.AETitle != "CAREPOST" || len(d.Called) != 1 || len(d.Calling) != 2 || len(d.Hosts) != 1 ||
		d.Quiet != 90*time.Second || d.Tell.Domain != "west.example" || d.TLS.CA != "/x/keys/devices.pem" || len(d.Routes) != 2 {
		t.Errorf("%+v", d)
	}
	r := d.Routes[0]
	if r.Name != "knees" || len(r.Study) != 2 || len(r.To) != 2 || r.Profile != zipmail.Dental || r.Keep || !d.Routes[1].Keep || d.Routes[1].Name != "route 2" {
		t.Errorf("%+v", d.Routes)
	}
	for name := range r.Study {
		known := false
		for _, a := range intake.Attributes() {
			known = known || a == name
		}
		if !known {
			t.Errorf("no study has a %q", name)
		}
	}
}

// Every attribute that package intake knows has a key here.
func TestRouteAttributes(t *testing.T) {
	for _, name := range intake.Attributes() {
		c, err := config.Parse("/x/carepost.toml", dicomHead+"[[dicom.route]]\nhold = true\n"+name+" = [\"x\"]\n")
		if err != nil || len(c.DICOM.Routes[0].Study[name]) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDICOMRefused(t *testing.T) {
	const route = "[[dicom.route]]\n"
	const whole = "from = \"a@north.example\"\nto = [\"b@south.example\"]\n"
	for _, text := range []string{
		"listen = \":104\"", "listen_tls = \":2762\"", "listen = \"0.0.0.0:104\"", "listen = \"nowhere\"", "ae_title = \"A TITLE THAT IS TOO LONG\"", "ae_title = \"A\\\\B\"",
		"called = [\"\"]", "quiet = \"soon\"", "hosts = [\"0.0.0.0/0\"]", "color = \"red\"", "listen = \"127.0.0.1:104\"\nlisten_tls = \"127.0.0.1:104\"",
		"[dicom.tls]\nca = \"x\"", "tell = \"it@south.example\"", "tell = \"it\"", "listen_tls = \"127.0.0.1:2762\"\n[dicom.tls]\ncertificate = \"x\"",
		route, route + whole + "name = \"a@b\"", route + "from = \"a@north.example\"", route + "to = [\"b@south.example\"]", route + "hold = true\n" + whole, route + whole + "subject = \"a\\nb\"",
		route + "from = \"a@south.example\"\nto = [\"b@south.example\"]", route + whole + "profile = \"other\"", route + whole + "via = [\"fax\"]", route + whole + "patient = [\"x\"]",
		route + whole + "name = \"a\"\n" + route + whole + "name = \"a\"", route + "from = \"north.example\"\nto = [\"b@south.example\"]",
	} {
		if _, err := config.Parse("/x/carepost.toml", dicomHead+text); err == nil || !strings.HasPrefix(err.Error(), "/x/carepost.toml:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What operators are shown is understood.
func TestDICOMExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "## Studies that devices hand in")
	_, text, begins := strings.Cut(text, "```toml\n")
	text, _, ends := strings.Cut(text, "```")
	if !ok || !begins || !ends {
		t.Fatal("there is no example")
	}
	c, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\n"+text)
	if err != nil || len(c.DICOM.Routes) != 2 || c.DICOM.TLS.CA == "" {
		t.Errorf("%v", err)
	}
}
