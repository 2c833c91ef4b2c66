package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// readKey reads the first private key of a PEM file: PKCS #8, PKCS #1 or SEC 1. The errors never repeat what is in it.
func readKey(path string) (crypto.Signer, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%s: no private key in PEM", path)
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, encryptedKey(path)
		default: // certificates, EC PARAMETERS
			continue
		}
		if block.Headers["DEK-Info"] != "" {
			return nil, encryptedKey(path)
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s: a private key that cannot be read", path)
		}
		return signer, nil
	}
}

func encryptedKey(path string) error {
	return errors.New(path + ": the private key is encrypted; decrypt it first, for example with openssl pkey")
}

// fits says whether key is the private key of cert.
func fits(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}
