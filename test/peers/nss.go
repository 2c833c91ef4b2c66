package peers

import (
	"errors"
	"os"
	"strings"

	"carepost/cms"
)

// NSS is cmsutil, the command line of the engine that Thunderbird has, with a database of its own.
type NSS struct {
	folder
	version string
}

func newNSS(w *World, dir string) (*NSS, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	n := &NSS{folder: f}
	if n.version, err = n.installed(); err != nil {
		return nil, err
	}
	if _, err := f.run(nil, "certutil", "-N", "-d", "sql:.", "--empty-password"); err != nil {
		return nil, err
	}
	if _, err := f.run(nil, "certutil", "-A", "-d", "sql:.", "-n", "ca", "-t", "C,C,C", "-i", w.CAFile); err != nil {
		return nil, err
	}
	o := &OpenSSL{folder: f, world: w}
	for _, p := range w.People {
		if err := n.add(p, o, isRSA(p) && strings.HasPrefix(p.Name, "crowd")); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// keeps says whether the database takes p's key: RSA, and NIST's curves.
func (n *NSS) keeps(p *Person) bool { return p.Name != "ed25519" && p.Name != "x25519" }

// add imports a person: the certificate alone, or the key as well.
func (n *NSS) add(p *Person, o *OpenSSL, alone bool) error {
	if !n.keeps(p) {
		return nil
	}
	if alone {
		_, err := n.run(nil, "certutil", "-A", "-d", "sql:.", "-n", p.Name, "-t", ",,", "-i", p.CertFile)
		return err
	}
	p12, err := o.PKCS12(p)
	if err != nil {
		return err
	}
	_, err = n.run(nil, "pk12util", "-d", "sql:.", "-i", p12, "-W", "x", "-K", "")
	return err
}

// installed asks the package manager: cmsutil tells no version.
func (n *NSS) installed() (string, error) {
	out, err := n.run(nil, "dpkg-query", "-W", "-f", "${Version}", "libnss3-tools")
	if err != nil {
		return "", err
	}
	v := string(out)
	if _, after, ok := strings.Cut(v, ":"); ok {
		v = after
	}
	v, _, _ = strings.Cut(v, "-")
	return v, nil
}

// Name implements Peer.
func (n *NSS) Name() string { return "NSS " + short(n.version) }

// cmsutil returns what it writes.
func (n *NSS) cmsutil(args ...string) ([]byte, error) {
	out := n.path("out")
	if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if _, err := n.run(nil, "cmsutil", append(args, "-d", "sql:.", "-p", "", "-o", out)...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// Sign implements Peer.
func (n *NSS) Sign(content []byte, s Signing) ([]byte, error) {
	if s.PSS || len(s.Signers) != 1 || !n.keeps(s.Signers[0]) {
		return nil, ErrNoWay
	}
	in, err := n.write("content", content)
	if err != nil {
		return nil, err
	}
	args := []string{"-S", "-G", "-P", "-N", s.Signers[0].Name, "-H", strings.ToUpper(dashless(s.Hash)), "-i", in}
	if !s.Opaque {
		args = append(args, "-T")
	}
	return n.cmsutil(args...)
}

// Verify implements Peer. Certificates are judged as email signers'.
func (n *NSS) Verify(message, content []byte) ([]byte, error) {
	in, err := n.write("m.der", message)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return n.cmsutil("-D", "-i", in)
	}
	c, err := n.write("content", content)
	if err != nil {
		return nil, err
	}
	_, err = n.cmsutil("-D", "-i", in, "-c", c)
	return content, err
}

// NSSCipher is what cmsutil encrypts with where it does not know what the recipient prefers. It cannot be told.
const NSSCipher = cms.AES128CBC

// Encrypt implements Peer.
func (n *NSS) Encrypt(content []byte, e Encryption) ([]byte, error) {
	if oaep(e.Key) != 0 || e.Cipher != NSSCipher {
		return nil, ErrNoWay
	}
	in, err := n.write("content", content)
	if err != nil {
		return nil, err
	}
	var to []string
	for _, p := range e.To {
		if !n.keeps(p) {
			return nil, ErrNoWay
		}
		to = append(to, p.Address)
	}
	return n.cmsutil("-E", "-r", strings.Join(to, ","), "-i", in)
}

// Decrypt implements Peer.
func (n *NSS) Decrypt(message []byte, _ *Person) ([]byte, error) {
	in, err := n.write("m.der", message)
	if err != nil {
		return nil, err
	}
	return n.cmsutil("-D", "-i", in)
}

// Compress implements Peer.
func (n *NSS) Compress([]byte) ([]byte, error) { return nil, ErrNoWay }

// Decompress implements Peer.
func (n *NSS) Decompress(message []byte) ([]byte, error) { return n.Decrypt(message, nil) }
