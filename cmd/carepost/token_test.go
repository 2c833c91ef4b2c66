//go:build pkcs11

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// [keys.token] as an operator writes it, and the commands that use it, with SoftHSM. The PIN stands in a file, and nowhere in what is printed.
func TestTokenScripts(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	plain, _ := filepath.Glob("/usr/lib*/softhsm/libsofthsm2.so")
	if found = append(found, plain...); len(found) == 0 {
		t.Fatal("no SoftHSM: scripts/peers installs it")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/token",
		Setup: func(env *testscript.Env) error {
			conf := filepath.Join(env.WorkDir, "softhsm2.conf")
			env.Setenv("SOFTHSM2_CONF", conf)
			env.Setenv("MODULE", found[0])
			env.Setenv("HOME", env.WorkDir)
			if err := os.WriteFile(conf, []byte("directories.tokendir = "+env.WorkDir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
				return err
			}
			cmd := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "clinic", "--pin", "738261", "--so-pin", "5678")
			cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
			return cmd.Run()
		},
	})
}
