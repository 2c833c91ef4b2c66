package keyring

import "testing"

// RFC 7512: what is written is read back; what is not known, or belongs elsewhere, is refused.
func TestURI(t *testing.T) {
	for in, out := range map[string]string{
		"pkcs11:":             "pkcs11:",
		"pkcs11:token=clinic": "pkcs11:token=clinic",
		"pkcs11:object=a%20b;token=x;type=private":  "pkcs11:token=x;object=a%20b;type=private",
		"pkcs11:id=%01%ffz;serial=7;slot-id=3":      "pkcs11:serial=7;slot-id=3;id=%01%FF%7A;type=private",
		"pkcs11:model=m;manufacturer=a%3Bb;token=é": "pkcs11:token=%C3%A9;model=m;manufacturer=a%3Bb",
	} {
		w, err := parseURI(in)
		if err != nil || w.String() != out {
			t.Errorf("%s: %s, %v", in, w, err)
		}
		if again, err := parseURI(w.String()); err != nil || again.String() != out {
			t.Errorf("%s: %s, %v", w, again, err)
		}
	}
	for _, bad := range []string{"", "token=x", "pkcs11:token", "pkcs11:token=%zz", "pkcs11:token=a;token=b", "pkcs11:x=y", "pkcs11:slot-id=-1",
		"pkcs11:type=cert", "pkcs11:token=a?pin-value=1234", "pkcs11:object=" + string(make([]byte, maxURI)), "pkcs11:token=a;"} {
		if w, err := parseURI(bad); err == nil {
			t.Errorf("%.40q is read as %s", bad, w)
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("pkcs11:token=clinic;id=%01")
	f.Fuzz(func(t *testing.T, text string) {
		if w, err := parseURI(text); err == nil {
			if again, err := parseURI(w.String()); err != nil && len(w.String()) <= maxURI || err == nil && again.String() != w.String() {
				t.Errorf("%q: %q, %v", w, again, err)
			}
		}
	})
}
