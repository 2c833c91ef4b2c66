package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/internal/config"
)

// What is demanded of certificates is read from the file itself or another, and what is wrong is told with its place.
func TestFilters(t *testing.T) {
	for name, tc := range map[string]struct {
		policy, want string
		line         int
	}{
		"here":          {`encrypt = "(X509.TBS.EXTENSION.KeyUsage & 32) > 0"`, "", 0},
		"in a file":     {`sign_file = "sign.policy"`, "", 0},
		"twice":         {`sign = "1 = 1"` + "\n" + `sign_file = "sign.policy"`, "one of both", 3},
		"wrong here":    {`trust = "X509.TBS.EXTENSION.KeyUsage & 32"`, "column 1 of the expression: the whole is a number", 3},
		"wrong there":   {`trust_file = "wrong.policy"`, "column 3: there is no field", 2},
		"missing there": {`trust_file = "none.policy"`, "none.policy", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{
				"carepost.toml": "domain = \"north.example\"\n[policy.certificates]\n" + tc.policy + "\n",
				"sign.policy":   "(X509.TBS.EXTENSION.KeyUsage & 128) > 0\n",
				"wrong.policy":  "(1 = 1) &&\n  X509.TBS.Version = 3\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Load(filepath.Join(dir, "carepost.toml"))
			if tc.want == "" {
				if err != nil || c.Filters.Sign == nil && c.Filters.Encrypt == nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %s", err, tc.want)
			}
			if bad := (*config.Error)(nil); errors.As(err, &bad) && tc.line > 0 && bad.Line != tc.line {
				t.Errorf("line %d, want %d: %v", bad.Line, tc.line, err)
			}
		})
	}
}
