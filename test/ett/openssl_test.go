package ett

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/trust/certtest"
)

// identity is somebody with a key, in files that OpenSSL reads.
type identity struct{ cert, key string }

// keep writes a pair below dir.
func keep(t testing.TB, dir, name string, p certtest.Pair) identity {
	t.Helper()
	return identity{certtest.WriteCertificates(t, dir, name+".pem", p.Certificate), certtest.WriteKey(t, dir, name+".key", p.Key)}
}

// form says how a message is sealed.
type form struct {
	signers   []identity
	md        string // "" = sha256
	cipher    string // "" = aes-256-cbc
	oaep      string // its hash; "" = RSAES-PKCS1-v1_5
	unwrapped bool
	signed    func([]byte) []byte // has the last word on the signed entity
}

// openssl runs `openssl` and gives what it prints.
func openssl(in []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("openssl", args...)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("openssl %s: %w\n%s", strings.Join(args, " "), err, &log)
	}
	return out.Bytes(), nil
}

// crlf ends all lines by CR LF.
func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// seal signs an entity, then encrypts the result for a recipient: an entity again, which begins with its own header.
func seal(entity []byte, f form, recipient string) ([]byte, error) {
	args := []string{"cms", "-sign", "-md", or(f.md, "sha256")}
	for _, s := range f.signers {
		args = append(args, "-signer", s.cert, "-inkey", s.key)
	}
	signed, err := openssl(entity, args...)
	if err != nil {
		return nil, err
	}
	signed = crlf(signed)
	if f.signed != nil {
		signed = f.signed(signed)
	}
	args = []string{"cms", "-encrypt", "-binary", "-" + or(f.cipher, "aes-256-cbc"), "-recip", recipient}
	if f.oaep != "" {
		args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+f.oaep, "-keyopt", "rsa_mgf1_md:"+f.oaep)
	}
	sealed, err := openssl(signed, args...)
	return crlf(sealed), err
}

// opened is a message of the installation under test as OpenSSL sees it.
type opened struct {
	outer, signed, content []byte
	inner                  []byte // the message that was wrapped
	signer                 string // PEM
}

// open decrypts a message by the tool's key and verifies its signature under an anchor.
func open(dir string, message []byte, by identity, anchor string) (o opened, err error) {
	o.outer = message
	if o.signed, err = openssl(message, "cms", "-decrypt", "-recip", by.cert, "-inkey", by.key); err != nil {
		return o, err
	}
	signer, err := os.CreateTemp(dir, "signer-*.pem")
	if err != nil {
		return o, err
	}
	signer.Close()
	defer os.Remove(signer.Name())
	if o.content, err = openssl(o.signed, "cms", "-verify", "-CAfile", anchor, "-signer", signer.Name()); err != nil {
		return o, err
	}
	pem, err := os.ReadFile(signer.Name())
	o.signer = string(pem)
	head, inner, _ := bytes.Cut(o.content, []byte("\r\n\r\n"))
	if strings.Contains(strings.ToLower(string(head)), "message/rfc822") {
		o.inner = inner
	}
	return o, err
}

// printed are the structures of a message as `openssl cms -cmsout -print` shows them, and its signer's certificate as `openssl x509 -text` does.
func (o opened) printed(dir string) (enveloped, signed, certificate string, err error) {
	env, err := openssl(o.outer, "cms", "-cmsout", "-print", "-noout")
	if err != nil {
		return "", "", "", err
	}
	sig, err := openssl(o.signed, "cms", "-cmsout", "-print", "-noout")
	if err != nil {
		return "", "", "", err
	}
	path := filepath.Join(dir, "printed.pem")
	if err := os.WriteFile(path, []byte(o.signer), 0o600); err != nil {
		return "", "", "", err
	}
	text, err := openssl(nil, "x509", "-in", path, "-noout", "-text")
	if err != nil {
		return "", "", "", err
	}
	return string(env), string(sig), string(text), nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
