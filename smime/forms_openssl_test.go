package smime

import (
	"strings"
	"testing"
)

// TestOpenSSLForms: what OpenSSL signs with the content inside, signs after it was encrypted, and wraps three times (DCM-21).
func TestOpenSSLForms(t *testing.T) {
	w := newWorld()
	dir := w.files(t, w.alice, w.bob, w.carol)
	wrapped := "Content-Type: message/rfc822\r\n\r\n" + letter
	openssl := func(in []byte, args ...string) []byte {
		t.Helper()
		return ran(t, dir, in, "openssl", append([]string{"cms"}, args...)...)
	}
	sign := func(in []byte, name string, args ...string) []byte {
		return openssl(in, append([]string{"-sign", "-signer", name + ".pem", "-inkey", name + ".key"}, args...)...)
	}
	encrypt := func(in []byte, args ...string) []byte {
		return openssl(in, append(append([]string{"-encrypt"}, args...), "bob.pem")...)
	}
	lf := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	for _, how := range []struct {
		name string
		args []string
	}{
		{"as most people do it", nil}, {"-binary", []string{"-binary"}}, {"-crlfeol", []string{"-crlfeol"}}, {"-stream", []string{"-stream", "-indef"}},
	} {
		in, a := []byte(wrapped), how.args
		aes := func(x string) []string { return append([]string{"-aes" + x}, a...) }
		gcm := func(x string) []string { return append([]string{"-aes-" + x + "-gcm"}, a...) }
		opaque := append([]string{"-nodetach"}, a...)
		both := append([]string{"-signer", "carol.pem", "-inkey", "carol.key"}, a...)
		for _, c := range []struct {
			name         string
			sealed       []byte
			form         Forms
			inner, outer int
		}{
			{"opaque", encrypt(sign(in, "alice", opaque...), aes("256")...), Opaque, 1, 0},
			{"opaque, two signers", encrypt(sign(in, "alice", append(both, "-nodetach")...), aes("128")...), Opaque, 2, 0},
			{"opaque, by key identifier", encrypt(sign(in, "alice", append(opaque, "-keyid")...), aes("128")...), Opaque, 1, 0},
			{"encrypted, then signed", sign(encrypt(in, aes("256")...), "alice", a...), EncryptedThenSigned, 1, 0},
			{"encrypted, then opaque", sign(encrypt(in, aes("128")...), "carol", opaque...), EncryptedThenSigned | Opaque, 1, 0},
			{"triple", sign(encrypt(sign(in, "alice", a...), aes("256")...), "carol", a...), TripleWrapped, 1, 1},
			{"triple, opaque", sign(encrypt(sign(in, "alice", opaque...), aes("256")...), "carol", opaque...), TripleWrapped | Opaque, 1, 1},
			{"AuthEnvelopedData", encrypt(sign(in, "alice", a...), gcm("128")...), 0, 1, 0},
			{"AuthEnvelopedData, then signed", sign(encrypt(in, gcm("256")...), "alice", a...), EncryptedThenSigned, 1, 0},
		} {
			for _, framing := range []string{"as made", "CRLF on the wire"} {
				sealed := c.sealed
				if framing != "as made" {
					if how.name == "-binary" && (c.outer > 0 || c.form.Has(EncryptedThenSigned)) {
						continue // it signs the LF that OpenSSL writes outside, as they stand: no mail in transit has them
					}
					sealed = []byte(strings.ReplaceAll(lf(string(sealed)), "\n", "\r\n"))
				}
				got, o, err := openAs(sealed, LenientForms)
				if err != nil {
					t.Errorf("%s, %s, %s: %v", how.name, c.name, framing, err)
					continue
				}
				if lf(got) != lf(letter) || o.Form != c.form || len(o.Good()) != c.inner || len(o.OuterSignatures) != c.outer {
					t.Errorf("%s, %s, %s: opened %+v\n%s", how.name, c.name, framing, o, got)
				}
				for _, s := range append(o.Signatures, o.OuterSignatures...) {
					if s.Err != nil {
						t.Errorf("%s, %s, %s: signature: %v", how.name, c.name, framing, s.Err)
					}
				}
			}
		}
	}
}
