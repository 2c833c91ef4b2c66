package keyring

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"carepost/trust/certtest"
)

const word = "correct horse battery"

// pair is a key of two certificates above one another, in files.
func pair(t *testing.T) (dir string, key crypto.Signer, leaf, ca *x509.Certificate) {
	t.Helper()
	dir = t.TempDir()
	root := certtest.NewCA(t, "Root")
	p := root.Issue(t, "h.example")
	bytes, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: bytes}, "leaf.pem": {Type: "CERTIFICATE", Bytes: p.Certificate.Raw},
		"ca.pem": {Type: "CERTIFICATE", Bytes: root.Certificate.Raw}, "password": nil} {
		text := []byte(word + "\n")
		if b != nil {
			text = pem.EncodeToMemory(b)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, p.Key, p.Certificate, root.Certificate
}

// peer runs a program in dir.
func peer(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// What other programs write is read: OpenSSL in its present and its former ways, Java.
func TestPeers(t *testing.T) {
	dir, key, leaf, ca := pair(t)
	export := "openssl pkcs12 -export -inkey key.pem -in leaf.pem -certfile ca.pem -passout file:password -out "
	peer(t, dir, export+"modern.p12")
	peer(t, dir, export+"legacy.p12 -legacy")
	peer(t, dir, export+"des.p12 -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1")
	peer(t, dir, export+"open.p12 -keypbe NONE -certpbe NONE")
	peer(t, dir, export+"named.p12 -name 'a name' -iter 100000")
	peer(t, dir, "keytool -importkeystore -srckeystore modern.p12 -destkeystore java.p12 -deststoretype PKCS12 -srcstorepass:file password -deststorepass:file password")
	peer(t, dir, "openssl pkcs8 -topk8 -in key.pem -passout file:password -out key8.pem && cat key8.pem leaf.pem ca.pem >encrypted.pem")
	peer(t, dir, "cat key.pem leaf.pem ca.pem >plain.pem")
	for _, name := range []string{"modern.p12", "legacy.p12", "des.p12", "open.p12", "named.p12", "java.p12", "encrypted.pem", "plain.pem"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		copied := bytes.Clone(data)
		b, err := ReadBundle([][]byte{copied}, word)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(b.Keys) != 1 || !same(b.Keys[0].Public(), key.Public()) || !containsCertificate(b.Certificates, leaf) || !containsCertificate(b.Certificates, ca) {
			t.Errorf("%s: %d keys, %d certificates", name, len(b.Keys), len(b.Certificates))
		}
		if !bytes.Equal(copied, make([]byte, len(copied))) {
			t.Errorf("%s: the file is not cleared", name)
		}
		if name == "plain.pem" {
			continue
		}
		for _, other := range []string{"wrong", ""} {
			if _, err := ReadBundle([][]byte{bytes.Clone(data)}, other); !errors.Is(err, ErrPassword) {
				t.Errorf("%s with the password %q: %v", name, other, err)
			}
		}
	}
}

// Files that would be derived from without end are refused before anything is derived: at once, wherever the number stands. ATT-22.
func TestRounds(t *testing.T) {
	_, key, leaf, ca := pair(t)
	good, err := pkcs12.Modern2023.WithIterations(3).Encode(key, leaf, []*x509.Certificate{ca}, word)
	if err != nil {
		t.Fatal(err)
	}
	for name, encoder := range map[string]*pkcs12.Encoder{"2023": pkcs12.Modern2023, "2026": pkcs12.Modern2026, "DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		data, err := encoder.WithIterations(maxRounds/2).Encode(key, leaf, nil, word)
		if err != nil {
			t.Fatal(err)
		}
		refusedAtOnce(t, name, data, "rounds")
		break // the others cost as much to write
	}
	s, err := new(reading).open(bytes.Clone(good))
	if err != nil {
		t.Fatal(err)
	}
	// A key that only shows once the certificates are decrypted, of a thousand million rounds: the one in the open is taken, and the other is
	// never derived.
	for _, rounds := range []int64{10_000_000, 1 << 31, 1 << 62} {
		bag := patched(t, s.keys[0], rounds)
		refusedAtOnce(t, "key", (&safe{others: s.others, encrypted: s.encrypted}).piece(bag, word), "")
		refusedAtOnce(t, "certificates", (&safe{encrypted: [][]byte{patched(t, s.encrypted[0], rounds)}}).piece(s.keys[0], word), "")
	}
	// Keys without end.
	many := &safe{}
	for range maxKeys {
		many.others = append(many.others, s.keys[0])
	}
	refusedAtOnce(t, "keys", many.piece(s.keys[0], word), "private keys")
	for n := range len(good) {
		if _, err := ReadBundle([][]byte{bytes.Clone(good[:n])}, word); err == nil {
			t.Fatalf("cut after %d octets, it is read", n)
		}
	}
}

// patched has another number of rounds than 3.
func patched(t *testing.T, data []byte, rounds int64) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1Int64(rounds)
	number := b.BytesOrPanic()
	out := replaceRounds(data, number)
	if bytes.Equal(out, data) {
		t.Fatal("nothing was changed")
	}
	return out
}

// replaceRounds rewrites the first INTEGER 3 that it meets, and the lengths around it.
func replaceRounds(data, number []byte) []byte {
	in := cryptobyte.String(data)
	var out cryptobyte.Builder
	done := false
	for !in.Empty() {
		var whole, inner cryptobyte.String
		var tag der.Tag
		if !in.ReadAnyASN1Element(&whole, &tag) {
			return data
		}
		copied := whole
		copied.ReadAnyASN1(&inner, &tag)
		switch {
		case done:
			out.AddBytes(whole)
		case tag == der.INTEGER && bytes.Equal(inner, []byte{3}):
			out.AddBytes(number)
			done = true
		case tag&0x20 != 0:
			changed := replaceRounds(inner, number)
			done = !bytes.Equal(changed, inner)
			out.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(changed) })
		default:
			out.AddBytes(whole)
		}
	}
	return out.BytesOrPanic()
}

func refusedAtOnce(t *testing.T, what string, data []byte, says string) {
	t.Helper()
	start := time.Now()
	_, err := ReadBundle([][]byte{data}, word)
	if no := (*Unreadable)(nil); !errors.As(err, &no) || !strings.Contains(no.Reason, says) || strings.Contains(no.Reason, word) {
		t.Errorf("%s: %v", what, err)
	}
	if d := time.Since(start); d > 5*time.Second { // a million rounds take a second
		t.Errorf("%s: refused after %v", what, d)
	}
}

func FuzzReadBundle(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), "")
	f.Add([]byte{0x30, 0x80, 2, 1, 3}, "x")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		b, err := ReadBundle([][]byte{data}, password)
		if err != nil && (b.Keys != nil || b.Certificates != nil) {
			t.Error("something is read, and an error")
		}
	})
}
