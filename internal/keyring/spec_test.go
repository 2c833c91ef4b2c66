package keyring

import (
	"crypto/ed25519"
	"testing"
)

func TestSpecs(t *testing.T) {
	for s, name := range specNames() {
		for _, text := range []string{name, "RSA-" + name[3:], name[:1] + "-" + name[1:]} {
			if got, err := ParseSpec(text); text == name && (err != nil || got != s) || err == nil && got != s {
				t.Errorf("%s: %v, %v", text, got, err)
			}
		}
	}
	for _, text := range []string{"", "rsa1024", "rsa", "p521", "ed25519"} {
		if s, err := ParseSpec(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
	for _, s := range []Spec{P256, P384} {
		key, err := NewKey(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := Kind(key.Public()); got != map[Spec]string{P256: "EC P-256", P384: "EC P-384"}[s] {
			t.Errorf("%v is a key of kind %s", s, got)
		}
	}
	if got := Kind(ed25519.PublicKey(nil)) + Kind(nil); got != "Ed25519another kind" {
		t.Error(got)
	}
}
