package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/trust"
)

// signers reads --key and --cert, one after the other, and checks that they belong together and to the sender.
func (f *sealing) signers(from addr.Address, now time.Time) (out []cms.Signer, err error) {
	if len(f.keys) != len(f.certs) {
		return nil, usage(fmt.Errorf("%d --key and %d --cert: each key goes with one certificate", len(f.keys), len(f.certs)))
	}
	hash, known := map[string]crypto.Hash{"": 0, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}[strings.ReplaceAll(f.hash, "sha-", "sha")]
	if !known {
		return nil, usage(fmt.Errorf("--hash: %q is none of sha-256, sha-384, sha-512", f.hash))
	}
	rsas := 0
	for i := range f.keys {
		s, err := readSigner(f.keys[i], f.certs[i], from, now)
		if err != nil {
			return nil, err
		}
		switch s.Certificate.PublicKey.(type) {
		case ed25519.PublicKey: // takes SHA-512 alone (RFC 8419 §3.1)
		case *rsa.PublicKey:
			rsas++
			s.PSS, s.Hash = f.pss, hash
		default:
			s.Hash = hash
		}
		out = append(out, s)
	}
	if f.pss && rsas == 0 {
		return nil, usage(errors.New("--pss is for RSA keys, and --key names none"))
	}
	return out, nil
}

// readSigner reads a key and its certificate.
func readSigner(keyFile, certFile string, from addr.Address, now time.Time) (cms.Signer, error) {
	key, err := readKey(keyFile)
	if err != nil {
		return cms.Signer{}, err
	}
	certs, err := certFiles("cert", certFile)
	if err != nil {
		return cms.Signer{}, err
	}
	if !fits(key, certs[0]) {
		return cms.Signer{}, usage(fmt.Errorf("the key in --key %s does not belong to the first certificate in --cert %s", keyFile, certFile))
	}
	if binding, why := trust.Bind(certs[0], from); binding == trust.Unbound {
		return cms.Signer{}, refusedBy("Direct 4.1", "--cert does not belong to --from: %s", why)
	}
	if err := inDates("--cert: "+certFile, certs[0], now); err != nil {
		return cms.Signer{}, err
	}
	signer, _ := key.(crypto.Signer) // nil: X25519, which CanSign refuses
	s := cms.Signer{Key: signer, Certificate: certs[0], Chain: certs[1:], Time: now}
	if signer == nil || cms.CanSign(s) != nil {
		return cms.Signer{}, refusedBy("RFC 8550 §4.3", "the key is not accepted: --cert: %s: %s; what signs is RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519", certFile, keyText(certs[0]))
	}
	return s, nil
}

// recipients reads --rcpt-cert, each for one or more of to, and wants one for each of to: nobody else is to read the message,
// and nobody is to get what cannot be read.
func (f *sealing) recipients(to []addr.Address, now time.Time) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	served := make([]bool, len(to))
	for _, file := range f.rcptCerts {
		certs, err := certFiles("rcpt-cert", file)
		if err != nil {
			return nil, err
		}
		cert, bound, last := certs[0], false, "" // what follows the first is its chain
		for i, a := range to {
			binding, why := trust.Bind(cert, a)
			if binding != trust.Unbound {
				served[i], bound = true, true
			}
			last = why
		}
		if !bound {
			return nil, refusedBy("Direct 4.1", "--rcpt-cert: %s belongs to none of the recipients: %s", file, last)
		}
		if err := inDates("--rcpt-cert: "+file, cert, now); err != nil {
			return nil, err
		}
		if cms.CanEncrypt(cert) != nil {
			return nil, refusedBy("RFC 8550 §4.3", "the key is not accepted: --rcpt-cert: %s: %s; what is encrypted to is RSA of 2048 to 8192 bits, P-256, P-384 or X25519", file, keyText(cert))
		}
		found = append(found, cert)
	}
	for i, a := range to {
		if !served[i] {
			return nil, refusedBy("Direct 2.3", "no --rcpt-cert belongs to the recipient at %s (the %d. --to)", a.Domain, i+1)
		}
	}
	return found, nil
}

func inDates(what string, cert *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(cert.NotBefore):
		return refusedBy("Direct 4.0", "%s: the certificate is not valid before %s", what, cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return refusedBy("Direct 4.0", "%s: the certificate expired at %s", what, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
