package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"carepost/certificate"
	"carepost/cms"
)

// maxFile bounds what the flags name: keys, certificates, revocation lists, in bytes.
const maxFile = 64 << 20

// readFile reads a file that a flag names. Its errors name the flag and the file, and are wrong usage.
func readFile(flag, path string) ([]byte, error) {
	data, err := readBounded(path)
	if err == nil {
		return data, nil
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return nil, usage(fmt.Errorf("--%s: %s: %w", flag, path, err))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d MB", maxFile>>20)
	}
	return data, err
}

// privateKey is what all keys of the standard library have.
type privateKey interface{ Public() crypto.PublicKey }

// readKey reads the first private key of a file: PKCS #8, PKCS #1 or SEC 1, in PEM or DER. The errors never repeat what is in it.
func readKey(path string) (privateKey, error) {
	data, err := readFile("key", path)
	if err != nil {
		return nil, err
	}
	wrong := func(text string) error { return usage(fmt.Errorf("--key: %s: %s", path, text)) }
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, wrong("the private key is encrypted; decrypt it first: openssl pkey -in FILE -out FILE")
		case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", block.Type == "EC PRIVATE KEY":
			if key := parseKey(block.Bytes); key != nil {
				return key, nil
			}
			return nil, wrong("a private key that cannot be read")
		}
	}
	if key := parseKey(data); key != nil {
		return key, nil
	}
	return nil, wrong("no private key in PEM or DER (out of a .p12 or .pfx: openssl pkcs12 -nodes -in FILE -out FILE)")
}

// parseKey tries the three forms that private keys come in; nil is none of them.
func parseKey(der []byte) privateKey {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	private, ok := key.(privateKey)
	if err != nil || !ok {
		return nil
	}
	return private
}

// fits says whether key is the private key of cert.
func fits(key privateKey, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cms.PublicKey(cert))
}

// certFiles reads certificates, PEM or DER, several to a file.
func certFiles(flag string, paths ...string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, path := range paths {
		data, err := readFile(flag, path)
		if err != nil {
			return nil, err
		}
		certs, err := certificate.ParseAll(data)
		if err != nil || len(certs) == 0 {
			return nil, usage(fmt.Errorf("--%s: %s: no certificate in PEM or DER", flag, path))
		}
		out = append(out, certs...)
	}
	return out, nil
}

// crlFiles reads revocation lists, PEM or DER, several to a PEM file.
func crlFiles(paths []string) ([]*x509.RevocationList, error) {
	var out []*x509.RevocationList
	for _, path := range paths {
		data, err := readFile("crl", path)
		if err != nil {
			return nil, err
		}
		lists := blocks(data, "X509 CRL")
		if lists == nil {
			lists = [][]byte{data}
		}
		for _, der := range lists {
			l, err := x509.ParseRevocationList(der)
			if err != nil {
				return nil, usage(fmt.Errorf("--crl: %s: no certificate revocation list in PEM or DER", path))
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// blocks returns what stands in the PEM blocks of one type.
func blocks(data []byte, kind string) (out [][]byte) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		if block.Type == kind {
			out = append(out, block.Bytes)
		}
	}
}
