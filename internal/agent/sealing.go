package agent

import (
	"cmp"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"

	"carepost/addr"
	"carepost/cms"
)

// What is made where nobody has announced anything better, in the order of preference; and what is preferred where everybody has.
var (
	hashes     = [...]cms.Algorithm{cms.SHA256, cms.SHA384, cms.SHA512}
	ciphers    = [...]cms.Algorithm{cms.AES256CBC, cms.AES128CBC, cms.AES192CBC}
	transports = [...]cms.Algorithm{cms.RSAESPKCS1v15, cms.RSAESOAEPSHA256, cms.RSAESOAEPSHA384, cms.RSAESOAEPSHA512}

	betterCiphers    = [...]cms.Algorithm{cms.AES256GCM, cms.AES128GCM}
	betterTransports = [...]cms.Algorithm{cms.RSAESOAEPSHA256}
)

// made is the first of them that a has made, 0 if there is none.
func made(a cms.Algorithms, of []cms.Algorithm) cms.Algorithm {
	i := slices.IndexFunc(of, func(x cms.Algorithm) bool { return a.Use(x) == cms.Send })
	if i < 0 {
		return 0
	}
	return of[i]
}

// CanSeal says whether anything can be signed and encrypted by a: nil, or what is missing.
func CanSeal(a cms.Algorithms) error {
	for _, need := range []struct {
		what string
		of   []cms.Algorithm
	}{
		{"digest", hashes[:]}, {"cipher", ciphers[:]},
		{"signature", []cms.Algorithm{cms.RSAPKCS1v15, cms.RSAPSS, cms.ECDSAP256, cms.ECDSAP384, cms.Ed25519}},
		{"key transport or agreement", slices.Concat(transports[:], []cms.Algorithm{cms.ECDHP256, cms.ECDHP384, cms.ECDHX25519})},
	} {
		if made(a, need.of) == 0 {
			return errors.New("agent: no " + need.what + " is left to send with")
		}
	}
	return nil
}

// Signer says how p signs with a key and certificate of its own, and what it announces (RFC 8551 §2.5.2): everything that it reads.
// cms.ErrAlgorithm where p makes no signatures of that kind.
func (p Party) Signer(s cms.Signer) (cms.Signer, error) {
	a := p.Algorithms()
	if _, edwards := s.Certificate.PublicKey.(ed25519.PublicKey); !edwards { // which has a digest of its own (RFC 8419 §3.1)
		s.Hash = map[cms.Algorithm]crypto.Hash{cms.SHA384: crypto.SHA384, cms.SHA512: crypto.SHA512}[made(a, hashes[:])]
	}
	if _, ok := s.Certificate.PublicKey.(*rsa.PublicKey); ok {
		s.PSS = made(a, []cms.Algorithm{cms.RSAPKCS1v15, cms.RSAPSS}) == cms.RSAPSS
	}
	s.Capabilities = []cms.Algorithm{}
	for _, x := range slices.Concat(betterCiphers[:], ciphers[:], betterTransports[:]) {
		if a.Use(x) >= cms.Accept {
			s.Capabilities = append(s.Capabilities, x)
		}
	}
	return s, a.CanSign(s)
}

// encrypts says whether p encrypts to certificates with a key of this kind.
func (p Party) encrypts(cert *x509.Certificate) bool {
	by := []cms.Algorithm{agreement(cert)}
	if by[0] == 0 {
		by = transports[:]
	}
	return cms.CanEncrypt(cert) == nil && made(p.Algorithms(), by) != 0
}

// agreement is how a key gets to a certificate that is no RSA one, 0 for RSA.
func agreement(cert *x509.Certificate) cms.Algorithm {
	switch k := cms.PublicKey(cert).(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return cms.ECDHP384
		}
		return cms.ECDHP256
	case *ecdh.PublicKey:
		return cms.ECDHX25519
	}
	return 0
}

// Keys names how the key gets to the certificates of the group, each algorithm once.
func (g Group) Keys() (out []cms.Algorithm) {
	for _, cert := range g.Certificates {
		x := cmp.Or(agreement(cert), g.Encryption.Transport)
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// announced is what the holder of a recipient's certificate says that it reads: in a message that it signed, or else in the certificate
// itself (RFC 4262).
func (m Outgoing) announced(to addr.Address, cert *x509.Certificate) []cms.Algorithm {
	if m.Announced != nil {
		if said := m.Announced(to, cert); said != nil {
			return said
		}
	}
	return cms.CertificateCapabilities(cert)
}

// encryption chooses how a group is sealed: by what everybody reads, or by something better if it is among what p makes and every
// recipient has announced it for every certificate.
func (p Party) encryption(m Outgoing, recipients []*Judged) (e cms.Encryption) {
	a := p.Algorithms()
	var all, forRSA [][]cms.Algorithm // what each announces
	for _, r := range recipients {
		for _, f := range r.Found {
			said := m.announced(r.Address, f.Certificate)
			if all = append(all, said); agreement(f.Certificate) == 0 {
				forRSA = append(forRSA, said)
			}
		}
	}
	better := func(of []cms.Algorithm, by [][]cms.Algorithm) cms.Algorithm {
		for _, x := range of {
			lacks := func(said []cms.Algorithm) bool { return !slices.Contains(said, x) }
			if a.Use(x) == cms.Send && !slices.ContainsFunc(by, lacks) {
				return x
			}
		}
		return 0
	}
	if e.Cipher = better(betterCiphers[:], all); e.Cipher == 0 {
		e.Cipher = made(a, ciphers[:])
	}
	if e.Transport = better(betterTransports[:], forRSA); e.Transport == 0 {
		e.Transport = made(a, transports[:])
	}
	return e
}
