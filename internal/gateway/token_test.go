//go:build pkcs11

package gateway_test

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"carepost/internal/admin"
	"carepost/internal/gateway"
	"carepost/internal/keyring"
)

// A gateway whose private keys lie on a token sends and opens.
func TestTokenGateway(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	plain, _ := filepath.Glob("/usr/lib*/softhsm/libsofthsm2.so")
	if found = append(found, plain...); len(found) == 0 {
		t.Fatal("no SoftHSM: scripts/peers installs it")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "clinic", "--pin", "1234", "--so-pin", "5678").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ca, a, b := certified(t, func(o *gateway.Options) {
		o.Token = keyring.TokenOptions{Module: found[0], URI: "pkcs11:token=clinic", PIN: func() (string, error) { return "1234", nil }}
	})
	answered(t, ca, b, admin.Order{Token: true}, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment)
	toAndFro(t, a, b)
}
