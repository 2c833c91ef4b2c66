// Package peers runs the independent programs that judge what package cms makes and that make what it must read: OpenSSL, GnuPG's
// gpgsm, NSS's cmsutil (Thunderbird's engine) and Bouncy Castle (on which the Direct reference implementation in Java is built), as
// Debian packs them. It serves tests and benchmarks alone; no room of the product imports it.
//
// A Lab has a world of people with keys and certificates and one of each peer, which knows them all. What a peer is asked it answers by
// octets or by an error, which is its refusal. Capability says beforehand which it will be. What is not installed is an error of Open: a
// missing peer fails a test.
package peers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"carepost/cms"
)

// drivers are the sources of small programs on the libraries of peers that have no command line for it.
//
//go:embed drivers
var drivers embed.FS

// Signing says how a peer signs.
type Signing struct {
	Signers []*Person
	PSS     bool          // RSA keys sign by RSASSA-PSS, the salt as long as the hash
	Hash    cms.Algorithm // SHA1 … SHA512
	Opaque  bool          // the content inside
}

// Encryption says how a peer encrypts.
type Encryption struct {
	To     []*Person
	Cipher cms.Algorithm // AES128CBC … AES256GCM
	Key    cms.Algorithm // RSAESPKCS1v15 … RSAESOAEPSHA512; what the curve of the certificate says is not read
	KDF    cms.Algorithm // of key agreement: SHA1 … SHA512, as in ANSI X9.63
	HKDF   bool          // instead, with X25519

	Attributes bool // Bouncy Castle only: AuthEnvelopedData has authenticated attributes
}

// Peer is one of the independent programs. What it makes and reads is DER or BER, never MIME.
type Peer interface {
	Name() string                                         // with its version, the first two numbers
	Sign(content []byte, s Signing) ([]byte, error)       // a SignedData
	Verify(message, content []byte) ([]byte, error)       // returns the content; a nil content is inside
	Encrypt(content []byte, e Encryption) ([]byte, error) // an EnvelopedData, or AuthEnvelopedData
	Decrypt(message []byte, by *Person) ([]byte, error)
	Compress(content []byte) ([]byte, error) // a CompressedData
	Decompress(message []byte) ([]byte, error)
}

// ErrNoWay means that a peer has no option to ask for that.
var ErrNoWay = errors.New("peers: cannot be asked for")

// Lab is the world and the peers in it.
type Lab struct {
	World        *World
	OpenSSL      *OpenSSL
	Gpgsm        *Gpgsm
	NSS          *NSS
	BouncyCastle *BouncyCastle
	dir          string
}

// Open makes a world and starts the peers. Close ends them.
func Open() (l *Lab, err error) {
	l = &Lab{}
	defer func() {
		if err != nil {
			_ = l.Close()
			l, err = nil, fmt.Errorf("peers: %w", err)
		}
	}()
	if l.dir, err = os.MkdirTemp("", "cp"); err != nil { // short: sockets below it have room for 100 characters
		return l, err
	}
	if l.World, err = NewWorld(filepath.Join(l.dir, "w")); err != nil {
		return l, err
	}
	if l.OpenSSL, err = newOpenSSL(l.World, filepath.Join(l.dir, "o")); err != nil {
		return l, err
	}
	if l.Gpgsm, err = newGpgsm(l.World, filepath.Join(l.dir, "g")); err != nil {
		return l, err
	}
	if l.NSS, err = newNSS(l.World, filepath.Join(l.dir, "n")); err != nil {
		return l, err
	}
	l.BouncyCastle, err = newBouncyCastle(l.World, filepath.Join(l.dir, "b"))
	return l, err
}

// All are the peers in the order of the table.
func (l *Lab) All() []Peer { return []Peer{l.OpenSSL, l.Gpgsm, l.NSS, l.BouncyCastle} }

// Close ends what runs and removes what was written.
func (l *Lab) Close() error {
	var errs []error
	if l.BouncyCastle != nil {
		errs = append(errs, l.BouncyCastle.close())
	}
	if l.Gpgsm != nil {
		errs = append(errs, l.Gpgsm.close())
	}
	return errors.Join(append(errs, remove(l.dir))...)
}

// remove removes a folder. What gpg-agent still writes while it goes is a reason to try again.
func remove(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// folder is where a peer works.
type folder string

func newFolder(dir string) (folder, error) { return folder(dir), os.Mkdir(dir, 0o700) }

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// write puts a file into the folder and returns its path.
func (f folder) write(name string, b []byte) (string, error) {
	return f.path(name), os.WriteFile(f.path(name), b, 0o600)
}

// run runs a program in the folder. Its error tells what the program said.
func (f folder) run(stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = string(f)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &log)
	}
	return out.Bytes(), nil
}

// named puts octets into files of the folder and returns their paths.
func (f folder) named(files ...any) (paths []string, err error) {
	for i := 0; i < len(files); i += 2 {
		p, err := f.write(files[i].(string), files[i+1].([]byte))
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// Driver writes the source of that name into dir and returns its path.
func Driver(dir, name string) (string, error) {
	b, err := drivers.ReadFile("drivers/" + name)
	if err != nil {
		return "", err
	}
	return folder(dir).write(name, b)
}

// version is the word of a program's answer that has digits and a dot in it.
func version(answer []byte) string {
	for _, w := range strings.Fields(string(answer)) {
		if w[0] >= '0' && w[0] <= '9' && strings.Contains(w, ".") {
			return w
		}
	}
	return "of unknown version"
}

// short leaves out what corrects faults alone: 3.0 of 3.0.22.
func short(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}
