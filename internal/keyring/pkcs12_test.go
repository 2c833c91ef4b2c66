package keyring

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
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
		"ca.pem": {Type: "CERTIFICATE", Bytes: root.Certificate.Raw}, "password": nil, "word": nil} {
		text := []byte(word) // NSS takes a line end for a part of it
		if name == "password" {
			text = append(text, '\n')
		}
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

// What other programs write is read: OpenSSL in its present and its former ways, Java, NSS in indefinite lengths.
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
	peer(t, dir, export+"pbes2-des.p12 -keypbe des-ede3-cbc -certpbe des-ede3-cbc")
	peer(t, dir, "openssl pkcs8 -topk8 -v2 des3 -in key.pem -passout file:password -out des8.pem && cat des8.pem leaf.pem ca.pem >encrypted-des.pem")
	peer(t, dir, "mkdir nss && certutil -N -d sql:nss --empty-password && pk12util -i named.p12 -d sql:nss -w word")
	peer(t, dir, "pk12util -o nss.p12 -n 'a name' -d sql:nss -w word")
	peer(t, dir, "pk12util -o nss-des.p12 -n 'a name' -d sql:nss -w word -c 'PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC' -C 'PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC'")
	names := []string{"pbes2-des.p12", "encrypted-des.pem", "nss.p12", "nss-des.p12"}
	for _, name := range append(names, "modern.p12", "legacy.p12", "des.p12", "open.p12", "named.p12", "java.p12", "encrypted.pem", "plain.pem") {
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

// Files that would be derived from without end are refused before anything is derived: at once, wherever the number stands, also in a key
// that only shows once something is decrypted. ATT-22.
func TestRounds(t *testing.T) {
	_, key, leaf, ca := pair(t)
	for name, encoder := range map[string]*pkcs12.Encoder{"2023": pkcs12.Modern2023, "2026": pkcs12.Modern2026, "DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		good, err := encoder.WithIterations(5).Encode(key, leaf, []*x509.Certificate{ca}, word)
		if err != nil {
			t.Fatal(err)
		}
		s, err := new(reading).open(bytes.Clone(good))
		if err != nil {
			t.Fatal(err)
		}
		certificates := encryptedContent(s.encrypted[0].algorithm, s.encrypted[0].octets)
		if b, err := ReadBundle([][]byte{pfx(word, dataContent(s.keys...), certificates)}, word); err != nil || len(b.Keys) != 1 || len(b.Certificates) != 2 {
			t.Fatalf("%s: %+v, %v", name, b, err) // else what follows shows nothing
		}
		for _, rounds := range []int64{10_000_000, 1 << 31, 1 << 62} {
			refusedAtOnce(t, name+", MAC", patched(t, good, rounds))
			refusedAtOnce(t, name+", key", pfx(word, dataContent(patched(t, s.keys[0], rounds)), certificates))
			refusedAtOnce(t, name+", certificates", pfx(word, dataContent(s.keys...), patched(t, certificates, rounds)))
			refusedAtOnce(t, name+", hidden key", pfx(word, hidden(t, patched(t, s.keys[0], rounds))))
			refusedAtOnce(t, name+", one more hidden key", pfx(word, dataContent(s.keys...), hidden(t, s.keys[0], patched(t, s.keys[0], rounds))))
		}
		for n := range len(good) {
			if _, err := ReadBundle([][]byte{bytes.Clone(good[:n])}, word); err == nil {
				t.Fatalf("%s: cut after %d octets, it is read", name, n)
			}
		}
	}
	shrouded := patched(t, shroudedKey(t, key), maxRounds/4)
	var many [][]byte
	for range maxKeys {
		many = append(many, hidden(t, shrouded)) // each of them is allowed, and all are not
	}
	refusedAtOnce(t, "all together", pfx(word, many...))
	many = nil
	for range maxKeys + 1 {
		many = append(many, shroudedKey(t, key))
	}
	refused(t, "keys", pfx(word, hidden(t, many...)), "private keys")
}

// shroudedKey is a SafeBag with an encrypted private key, of 5 rounds.
func shroudedKey(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	_, _, leaf, _ := pair(t)
	file, err := pkcs12.Modern2023.WithIterations(5).Encode(key, leaf, nil, word)
	if err != nil {
		t.Fatal(err)
	}
	s, err := new(reading).open(file)
	if err != nil {
		t.Fatal(err)
	}
	return s.keys[0]
}

// hidden is an encrypted content with these SafeBags, by PBES2 with 5 rounds.
func hidden(t *testing.T, bags ...[]byte) []byte {
	t.Helper()
	salt, iv := make([]byte, 8), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha512.New, word, salt, 5, 16)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := sequence(bags...)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	var b cryptobyte.Builder
	seq := func(b *cryptobyte.Builder, f func(b *cryptobyte.Builder)) { b.AddASN1(der.SEQUENCE, f) }
	seq(&b, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidPBES2)
		seq(b, func(b *cryptobyte.Builder) {
			seq(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidPBKDF2)
				seq(b, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(salt)
					b.AddASN1Int64(5)
					seq(b, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11})
					})
				})
			})
			seq(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2})
				b.AddASN1OctetString(iv)
			})
		})
	})
	return encryptedContent(b.BytesOrPanic(), plain)
}

// Keys within what is encrypted are read, in the open there and encrypted once more, from several contents, with a MAC and without.
func TestHiddenKeys(t *testing.T) {
	_, key, leaf, ca := pair(t)
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	bag := func(c *x509.Certificate) []byte {
		var b cryptobyte.Builder
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidX509Bag)
			b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.Raw) })
		})
		return safeBag(oidCertBag, b.BytesOrPanic())
	}
	for name, contents := range map[string][][]byte{
		"in the open there":   {hidden(t, safeBag(oidKeyBag, plain), bag(leaf), bag(ca))},
		"encrypted once more": {hidden(t, shroudedKey(t, key), bag(leaf), bag(ca))},
		"several contents":    {hidden(t, bag(ca)), hidden(t, safeBag(oidKeyBag, plain)), dataContent(bag(leaf))},
	} {
		file := pfx(word, contents...)
		for _, file := range [][]byte{file, withoutMAC(t, file)} {
			b, err := ReadBundle([][]byte{bytes.Clone(file)}, word)
			if err != nil || len(b.Keys) != 1 || !same(b.Keys[0].Public(), key.Public()) || len(b.Certificates) != 2 {
				t.Errorf("%s: %d keys, %d certificates, %v", name, len(b.Keys), len(b.Certificates), err)
			}
			if _, err := ReadBundle([][]byte{bytes.Clone(file)}, "wrong"); !errors.Is(err, ErrPassword) {
				t.Errorf("%s with a wrong password: %v", name, err)
			}
		}
	}
}

// withoutMAC is the same file with none.
func withoutMAC(t *testing.T, file []byte) []byte {
	t.Helper()
	in := cryptobyte.String(file)
	var fields, version, content cryptobyte.String
	if !in.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1Element(&version, der.INTEGER) || !fields.ReadASN1Element(&content, der.SEQUENCE) {
		t.Fatal("no PFX")
	}
	return sequence(version, content)
}

// A last octet that looks like a line end belongs to the certificate, and line ends behind it do not.
func TestLineEnds(t *testing.T) {
	ca := certtest.NewCA(t, "Root")
	for ends := 0; ends < 2; {
		c := ca.Issue(t, "h.example", certtest.Key(certtest.ECDSA(t))).Certificate
		last := c.Raw[len(c.Raw)-1]
		if last == '\n' || last == '\r' {
			ends = 2
		}
		for _, behind := range []string{"", "\n", "\r\n", "\n\n"} {
			if b, err := ReadBundle([][]byte{append(bytes.Clone(c.Raw), behind...)}, ""); err != nil || len(b.Certificates) != 1 {
				t.Fatalf("a certificate that ends with %x, and %q behind it: %v", last, behind, err)
			}
		}
	}
	if _, err := definite(append(bytes.Repeat([]byte{0x30, 0x80}, maxBER+1), make([]byte, 2*maxBER+2)...)); err == nil {
		t.Error("too deep, and read")
	}
}

// patched has another number of rounds than 5.
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

// replaceRounds rewrites the first INTEGER 5 that it meets, and the lengths around it.
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
		case tag == der.INTEGER && bytes.Equal(inner, []byte{5}):
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

func refusedAtOnce(t *testing.T, what string, data []byte) {
	t.Helper()
	start := time.Now()
	refused(t, what, data, "rounds")
	if d := time.Since(start); d > 5*time.Second { // ten million rounds take longer
		t.Errorf("%s: refused after %v", what, d)
	}
}

func refused(t *testing.T, what string, data []byte, says string) {
	t.Helper()
	_, err := ReadBundle([][]byte{data}, word)
	if no := (*Unreadable)(nil); !errors.As(err, &no) || !strings.Contains(no.Reason, says) || strings.Contains(no.Reason, word) {
		t.Errorf("%s: %v", what, err)
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
