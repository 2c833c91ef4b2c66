package peers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"strings"
)

// Gpgsm is GnuPG's program for S/MIME, with a home of its own.
type Gpgsm struct {
	folder
	world   *World
	version string
}

func newGpgsm(w *World, dir string) (*Gpgsm, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	g := &Gpgsm{folder: f, world: w}
	out, err := f.run(nil, "gpgsm", "--version")
	if err != nil {
		return nil, err
	}
	g.version = version(out)
	_, err = f.named(
		"trustlist.txt", fmt.Appendf(nil, "%X S relax\n", sha1.Sum(w.CA.Raw)),
		"gpgsm.conf", []byte("disable-crl-checks\nbatch\nno-tty\n"),
		"gpg-agent.conf", []byte("allow-loopback-pinentry\n"))
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(f.path("private-keys-v1.d"), 0o700); err != nil {
		return nil, err
	}
	files := []string{"--import", w.CAFile}
	for _, p := range w.People {
		files = append(files, p.CertFile)
	}
	if _, err := g.gpgsm(files...); err != nil {
		return g, err
	}
	return g, g.addKeys()
}

// addKeys lays private keys where gpg-agent keeps them. Its reader of PKCS #12 misreads one file in a hundred, and crashes over EC keys.
func (g *Gpgsm) addKeys() error {
	out, err := g.gpgsm("--with-colons", "--with-keygrip", "--list-keys")
	if err != nil {
		return err
	}
	grips, name := make(map[string]string), ""
	for line := range strings.Lines(string(out)) {
		switch fields := strings.Split(line, ":"); fields[0] {
		case "grp":
			name = fields[9]
		case "uid":
			if cn, _, ok := strings.Cut(strings.TrimPrefix(strings.ReplaceAll(fields[9], "/", ","), "CN="), ","); ok {
				grips[cn] = name
			}
		}
	}
	for _, p := range g.world.People {
		key := sexp(p.Key)
		if key == nil {
			continue
		}
		if grips[p.Name] == "" {
			return fmt.Errorf("gpgsm shows no key of %s in\n%s", p.Name, out)
		}
		if _, err := g.write("private-keys-v1.d/"+grips[p.Name]+".key", key); err != nil {
			return err
		}
	}
	return nil
}

// sexp is a private key as gpg-agent keeps it when it has no passphrase, a canonical S-expression; nil for kinds that gpgsm does not know.
func sexp(key any) []byte {
	var b bytes.Buffer
	atom := func(name string, value []byte) { fmt.Fprintf(&b, "(%d:%s%d:%s)", len(name), name, len(value), value) }
	number := func(name string, n *big.Int) {
		value := n.Bytes()
		if value[0] >= 0x80 {
			value = append([]byte{0}, value...)
		}
		atom(name, value)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		p, q := k.Primes[0], k.Primes[1] // libgcrypt wants the smaller first, and the inverse of p modulo q
		if p.Cmp(q) > 0 {
			p, q = q, p
		}
		b.WriteString("(11:private-key(3:rsa")
		number("n", k.N)
		number("e", big.NewInt(int64(k.E)))
		number("d", k.D)
		number("p", p)
		number("q", q)
		number("u", new(big.Int).ModInverse(p, q))
	case *ecdsa.PrivateKey:
		private, err1 := k.Bytes()
		public, err2 := k.PublicKey.Bytes()
		if errors.Join(err1, err2) != nil {
			return nil
		}
		b.WriteString("(11:private-key(3:ecc")
		atom("curve", []byte("NIST "+k.Curve.Params().Name))
		atom("q", public)
		number("d", new(big.Int).SetBytes(private))
	default:
		return nil
	}
	b.WriteString("))")
	return b.Bytes()
}

func (g *Gpgsm) close() error {
	// By its own home, so that nobody else's agent is meant.
	return exec.Command("gpgconf", "--homedir", string(g.folder), "--kill", "all").Run()
}

// Name implements Peer.
func (g *Gpgsm) Name() string { return "gpgsm " + short(g.version) }

func (g *Gpgsm) gpgsm(args ...string) ([]byte, error) {
	return g.run(nil, "gpgsm", append([]string{"--homedir", string(g.folder), "--yes"}, args...)...)
}

// Sign implements Peer.
func (g *Gpgsm) Sign(content []byte, s Signing) ([]byte, error) {
	if s.PSS {
		return nil, ErrNoWay
	}
	in, err := g.write("content", content)
	if err != nil {
		return nil, err
	}
	args := []string{"--digest-algo", dashless(s.Hash)}
	for _, p := range s.Signers {
		args = append(args, "--local-user", "<"+p.Address+">")
	}
	if s.Opaque {
		return g.gpgsm(append(args, "--sign", in)...)
	}
	return g.gpgsm(append(args, "--detach-sign", in)...)
}

// Verify implements Peer.
func (g *Gpgsm) Verify(message, content []byte) ([]byte, error) {
	in, err := g.named("m.der", message)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return g.gpgsm("--output", "-", "--verify", in[0])
	}
	c, err := g.write("content", content)
	if err != nil {
		return nil, err
	}
	_, err = g.gpgsm("--verify", in[0], c)
	return content, err
}

// Encrypt implements Peer.
func (g *Gpgsm) Encrypt(content []byte, e Encryption) ([]byte, error) {
	if oaep(e.Key) != 0 {
		return nil, ErrNoWay
	}
	in, err := g.write("content", content)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(strings.ReplaceAll(e.Cipher.String(), "AES-", "AES"), "-CBC")
	args := []string{"--cipher-algo", name, "--encrypt"}
	for _, p := range e.To {
		args = append(args, "--recipient", "<"+p.Address+">")
	}
	return g.gpgsm(append(args, in)...)
}

// Decrypt implements Peer.
func (g *Gpgsm) Decrypt(message []byte, _ *Person) ([]byte, error) {
	in, err := g.write("m.der", message)
	if err != nil {
		return nil, err
	}
	return g.gpgsm("--decrypt", in)
}

// Compress implements Peer.
func (g *Gpgsm) Compress([]byte) ([]byte, error) { return nil, ErrNoWay }

// Decompress implements Peer.
func (g *Gpgsm) Decompress(message []byte) ([]byte, error) { return g.Decrypt(message, nil) }
