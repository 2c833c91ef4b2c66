package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carepost/cms"
	"carepost/internal/config"
	"carepost/trust"
)

// The file that init writes is read back as it was meant, and its commented defaults are keys that are known.
func TestTextOfANewInstallation(t *testing.T) {
	dir := t.TempDir()
	local := netip.MustParseAddr("127.0.0.1")
	ports, err := config.Free(local, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := config.Setup{Domain: "north.example", Address: local, Pilot: true, Ports: ports}
	c, err := config.Create(filepath.Join(dir, "north"), s)
	if err != nil {
		t.Fatal(err)
	}
	if c.Domain != "north.example" || c.Hostname != "mx.north.example" || !c.Pilot || c.Policy != trust.V12 || c.Listen.MX == "" || c.Listen.HTTP == "" {
		t.Errorf("read back: %+v", c)
	}
	if _, err := config.Create(filepath.Join(dir, "north"), s); !errors.Is(err, config.ErrThere) {
		t.Errorf("a second init: %v", err)
	}
	var all []string
	for line := range strings.Lines(s.Text()) {
		if bare := strings.TrimPrefix(line, "# "); bare != line && (strings.Contains(bare, " = ") || strings.HasPrefix(bare, "[[")) && !strings.Contains(bare, "postgres_env") {
			line = bare
		}
		all = append(all, line)
	}
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "postgres"), []byte("host=db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err = config.Parse(filepath.Join(dir, config.Name), strings.Join(all, ""))
	if err != nil {
		t.Fatalf("with its comments taken away: %v", err)
	}
	if dsn, err := c.Postgres.Read(); err != nil || dsn != "host=db" {
		t.Errorf("secret: %q, %v", dsn, err)
	}
	if len(c.Rules) != 1 || len(c.Webhooks) != 1 {
		t.Errorf("%d rules, %d webhooks", len(c.Rules), len(c.Webhooks))
	}
	if c.Queue.Lifetime != 96*time.Hour || c.Servers[0] != "192.0.2.53:53" || c.TLS.Key != filepath.Join(dir, "keys", "server.key") {
		t.Errorf("with its comments taken away: %+v", c)
	}
}

// Whatever is wrong is told with the line it stands in.
func TestWrongFilesNameTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"unknown key":          {"domain = \"a.example\"\n\n[listen]\nmx = \":25\"\nsubmision = \":587\"\n", 5, `"listen.submision" is not known`},
		"unknown table":        {"domain = \"a.example\"\n[lisen]\nmx = \":25\"\n", 2, `"lisen`},
		"syntax":               {"domain = \"a.example\"\nhostname = mx\n", 2, ""},
		"wrong type":           {"domain = \"a.example\"\npilot = \"yes\"\n", 2, "pilot"},
		"no domain":            {"pilot = true\n", 0, `"domain" is missing`},
		"bad domain":           {"\n\ndomain = \"north\u00a0example\"\n", 3, "no domain"},
		"bad port":             {"domain = \"a.example\"\n[listen]\nmx = \"localhost:99999\"\n", 3, "not host:port"},
		"port without host":    {"domain = \"a.example\"\n[listen]\nmx = \"25\"\n", 3, "not host:port"},
		"bad time":             {"domain = \"a.example\"\n[queue]\nlifetime = \"4 days\"\n", 3, "no time"},
		"negative time":        {"domain = \"a.example\"\n[queue]\npatience = \"-1h\"\n", 3, "no time"},
		"unknown profile":      {"domain = \"a.example\"\n[policy]\nprofile = \"v9\"\n", 3, "none of lenient, v1.2, v1.3"},
		"unknown use":          {"domain = \"a.example\"\n[policy.algorithms]\nSHA-1 = \"allow\"\n", 3, "none of refuse, accept, send"},
		"unknown algorithm":    {"domain = \"a.example\"\n[policy.algorithms]\nAES-128-GCM = \"refuse\"\n3DES = \"accept\"\n", 4, `"3DES" is no algorithm`},
		"not to be sent":       {"domain = \"a.example\"\n[policy.algorithms]\n\n\"SHA-1\" = \"send\"\n", 4, `"accept" is the most`},
		"not to be refused":    {"domain = \"a.example\"\n[policy]\nprofile = \"lenient\"\nalgorithms = { AES-256-CBC = \"refuse\" }\n", 4, `"accept" is the least`},
		"SHA-1 of v1.3":        {"domain = \"a.example\"\n[policy]\nprofile = \"v1.3\"\n[policy.algorithms]\nSHA-1 = \"accept\"\n", 5, `"refuse" is the most`},
		"algorithm twice":      {"domain = \"a.example\"\n[policy.algorithms]\nZLIB = \"accept\"\nzlib = \"refuse\"\n", 4, "twice"},
		"nothing to send with": {"domain = \"a.example\"\n[policy.algorithms]\nAES-256-CBC = \"accept\"\nAES-128-CBC = \"accept\"\nAES-192-CBC = \"accept\"\n", 2, "no cipher is left"},
		"half of TLS":          {"domain = \"a.example\"\n[tls]\ncertificate = \"x.pem\"\n", 3, "go together"},
		"one port twice":       {"domain = \"a.example\"\n[listen]\nmx = \":2525\"\nsubmission = \":2525\"\n", 4, "taken by mx"},
		"twice the same key":   {"domain = \"a.example\"\ndomain = \"b.example\"\n", 2, ""},
		"late delay":           {"domain = \"a.example\"\n[queue]\nlifetime = \"2h\"\ndelay_notice = \"3h\"\n", 4, "after the end"},
		"authority, no HTTP":   {"domain = \"a.example\"\npilot = true\n[listen]\nhttp = \"\"\n", 4, "revocation list"},
		"HTTP nowhere":         {"domain = \"a.example\"\npilot = true\n[listen]\nhttp = \":2080\"\n", 4, "where do others reach it"},
		"no address":           {"domain = \"a.example\"\naddress = \"0.0.0.0\"\n", 2, "others could reach"},
		"address of a zone":    {"domain = \"a.example\"\naddress = \"fe80::1%eth0\"\n", 2, "others could reach"},
		"control byte":         {"domain = \"a.example\"\n# \x01\n", 2, ""},
		"not UTF-8":            {"domain = \"a.example\"\nhostname = \"\xff.example\"\n", 2, ""},
		"bad name server":      {"domain = \"a.example\"\n[dns]\nservers = [\"\"]\n", 3, "no name server"},
		"both ways of secret":  {"domain = \"a.example\"\n[store]\npostgres_file = \"x\"\npostgres_env = \"Y\"\n", 4, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse("/x/carepost.toml", c.text)
			var e *config.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			if e.Line != c.line || !strings.Contains(e.Reason, c.says) {
				t.Errorf("line %d, %q; want line %d, %q", e.Line, e.Reason, c.line, c.says)
			}
		})
	}
}

// What a profile does with an algorithm can be changed, and is the profile's otherwise. DIR-18, DIR-19.
func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		text string
		of   cms.Algorithm
		want cms.Use
	}{
		{"", cms.SHA1, cms.Refuse},
		{"[policy]\nprofile = \"lenient\"\n", cms.SHA1, cms.Accept},
		{"[policy.algorithms]\nSHA-1 = \"accept\"\n", cms.SHA1, cms.Accept},
		{"[policy.algorithms]\nSHA-1 = \"accept\"\n", cms.ZLIB, cms.Refuse},
		{"[policy]\nprofile = \"lenient\"\nalgorithms = { SHA-1 = \"refuse\", aes-256-gcm = \"accept\" }\n", cms.SHA1, cms.Refuse},
		{"[policy]\nprofile = \"lenient\"\nalgorithms = { SHA-1 = \"refuse\", aes-256-gcm = \"accept\" }\n", cms.AES256GCM, cms.Accept},
		{"[policy]\nprofile = \"lenient\"\nalgorithms = { SHA-1 = \"refuse\", aes-256-gcm = \"accept\" }\n", cms.ZLIB, cms.Accept},
	} {
		conf, err := config.Parse("/x/carepost.toml", "domain = \"a.example\"\n"+c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if got := conf.Algorithms.Use(c.of); got != c.want {
			t.Errorf("%s: %s: %s", c.text, c.of, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Setup{Domain: "a.example", Address: netip.MustParseAddr("::1")}.Text())
	f.Add("domain = \"a.example\"\n[[listen]]\n")
	f.Add("a.b.c = 1\n[a.b]\nc = 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("/x/carepost.toml", text)
		var e *config.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && c.Domain == "" {
			t.Fatal("no domain")
		}
	})
}

// What opens the database is needed by who opens it, not by a command that speaks to a gateway; and no error shows it.
func TestSecret(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Parse(filepath.Join(dir, config.Name), "domain = \"a.example\"\n[store]\npostgres_file = \"dsn\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Postgres.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for text, says := range map[string]string{" \n": "empty", "pw=hush " + strings.Repeat("x", 1<<20): "too long"} {
		if err := os.WriteFile(c.Postgres.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Postgres.Read(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := (config.Secret{Env: "CAREPOST_NO_SUCH"}).Read(); err == nil || !strings.Contains(err.Error(), "CAREPOST_NO_SUCH") {
		t.Errorf("environment: %v", err)
	}
	for _, text := range []string{
		"domain = \"a.example\"\n[store]\npostgres = \"postgres://u:hush@db/x\"\n",
		"domain = \"a.example\"\n[store]\npostgres_file = postgres://u:hush@db/x\n",
		"domain = \"a.example\"\nstore = \"postgres://u:hush@db/x\"\n",
	} {
		if _, err := config.Parse("/x/carepost.toml", text); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("a password in the wrong place: %v", err)
		}
	}
}

// A crash while the file is written leaves none, so that init can be repeated.
func TestCreateIsWhole(t *testing.T) {
	dir := t.TempDir()
	s := config.Setup{Domain: "north.example", Address: netip.MustParseAddr("127.0.0.1")}
	if _, err := config.Create(dir, s); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != config.Name {
		t.Errorf("beside it: %v, %v", left, err)
	}
	info, err := os.Stat(filepath.Join(dir, config.Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A machine that has not the address is another matter than ports that are taken.
func TestFreeWithoutTheAddress(t *testing.T) {
	if _, err := config.Free(netip.MustParseAddr("192.0.2.10"), nil); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("%v", err)
	}
}
