package peers

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"carepost/cms"
)

// OpenSSL is the command line of OpenSSL.
type OpenSSL struct {
	folder
	world   *World
	version string
}

func newOpenSSL(w *World, dir string) (*OpenSSL, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	out, err := f.run(nil, "openssl", "version")
	return &OpenSSL{folder: f, world: w, version: version(out)}, err
}

// Name implements Peer.
func (o *OpenSSL) Name() string { return "OpenSSL " + short(o.version) }

// File writes a file that Cms can be told of, and returns its path.
func (o *OpenSSL) File(name string, b []byte) (string, error) { return o.write("own-"+name, b) }

// Cms runs `openssl cms` on DER.
func (o *OpenSSL) Cms(args ...string) ([]byte, error) {
	return o.run(nil, "openssl", append([]string{"cms", "-binary"}, args...)...)
}

// Sign implements Peer.
func (o *OpenSSL) Sign(content []byte, s Signing) ([]byte, error) {
	in, err := o.write("content", content)
	if err != nil {
		return nil, err
	}
	args := []string{"-sign", "-outform", "DER", "-in", in, "-md", dashless(s.Hash)}
	if s.Opaque {
		args = append(args, "-nodetach")
	}
	for _, p := range s.Signers {
		args = append(args, "-signer", p.CertFile, "-inkey", p.KeyFile)
		if _, ok := p.Key.(*rsa.PrivateKey); ok && s.PSS {
			args = append(args, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
		}
	}
	return o.Cms(args...)
}

// Verify implements Peer.
func (o *OpenSSL) Verify(message, content []byte) ([]byte, error) {
	in, err := o.write("m.der", message)
	if err != nil {
		return nil, err
	}
	args := []string{"-verify", "-inform", "DER", "-in", in, "-CAfile", o.world.CAFile}
	if content != nil {
		c, err := o.write("content", content)
		if err != nil {
			return nil, err
		}
		args = append(args, "-content", c)
	}
	return o.Cms(args...)
}

// Encrypt implements Peer.
func (o *OpenSSL) Encrypt(content []byte, e Encryption) ([]byte, error) {
	in, err := o.write("content", content)
	if err != nil {
		return nil, err
	}
	args := []string{"-encrypt", "-outform", "DER", "-stream", "-in", in, "-" + strings.ToLower(e.Cipher.String())}
	for _, p := range e.To {
		args = append(args, "-recip", p.CertFile)
		if _, ok := p.Key.(*rsa.PrivateKey); !ok {
			args = append(args, "-keyopt", "ecdh_kdf_md:"+dashless(e.KDF))
			continue
		}
		if md := oaep(e.Key); md != 0 {
			args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+dashless(md), "-keyopt", "rsa_mgf1_md:"+dashless(md))
		}
	}
	return o.Cms(args...)
}

// Decrypt implements Peer.
func (o *OpenSSL) Decrypt(message []byte, by *Person) ([]byte, error) {
	in, err := o.write("m.der", message)
	if err != nil {
		return nil, err
	}
	return o.Cms("-decrypt", "-inform", "DER", "-in", in, "-recip", by.CertFile, "-inkey", by.KeyFile)
}

// Compress implements Peer.
func (o *OpenSSL) Compress(content []byte) ([]byte, error) {
	in, err := o.write("content", content)
	if err != nil {
		return nil, err
	}
	return o.Cms("-compress", "-outform", "DER", "-in", in)
}

// Decompress implements Peer.
func (o *OpenSSL) Decompress(message []byte) ([]byte, error) {
	in, err := o.write("m.der", message)
	if err != nil {
		return nil, err
	}
	return o.Cms("-uncompress", "-inform", "DER", "-in", in)
}

// dashless is the name of a hash as programs spell it: sha256.
func dashless(h cms.Algorithm) string {
	return strings.ToLower(strings.ReplaceAll(h.String(), "-", ""))
}

// oaep is the hash of an OAEP, 0 for anything else.
func oaep(key cms.Algorithm) cms.Algorithm {
	return map[cms.Algorithm]cms.Algorithm{cms.RSAESOAEPSHA1: cms.SHA1, cms.RSAESOAEPSHA256: cms.SHA256,
		cms.RSAESOAEPSHA384: cms.SHA384, cms.RSAESOAEPSHA512: cms.SHA512}[key]
}

// PKCS12 writes p's key and certificate and the CA's as old programs read them, with the password "x".
func (o *OpenSSL) PKCS12(p *Person) (string, error) {
	out := o.path(p.Name + ".p12")
	_, err := o.run(nil, "openssl", "pkcs12", "-export", "-legacy", "-in", p.CertFile, "-inkey", p.KeyFile, "-certfile", o.world.CAFile,
		"-name", p.Name, "-passout", "pass:x", "-out", out)
	if err != nil {
		return "", fmt.Errorf("PKCS #12 of %s: %w", p.Name, err)
	}
	return out, nil
}
