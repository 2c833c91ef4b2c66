package peers

import "carepost/cms"

// Feature is a row of the matrix: one thing that package cms reads, and what goes with it. Made says that it is also written.
type Feature struct {
	Kind      Kind
	Signature cms.Algorithm // of signing
	Hash      cms.Algorithm // of signing, or the KDF's of key agreement
	Key       cms.Algorithm // of encrypting: key transport or agreement
	Cipher    cms.Algorithm // of encrypting
	Made      bool
}

// Kind is what a feature is about.
type Kind uint8

// The kinds, in the order of the table.
const (
	Signs    Kind = iota
	Keys          // how the content key gets to the recipient
	Contents      // how the content is encrypted
	Compresses
)

var kinds = [...]string{"signature", "content key", "content", "compression"}

// String names k for the table.
func (k Kind) String() string { return kinds[k] }

// String names f for the table.
func (f Feature) String() string {
	switch f.Kind {
	case Signs:
		return f.Signature.String() + ", " + f.Hash.String()
	case Keys:
		if f.Hash != 0 {
			return f.Key.String() + ", KDF " + f.Hash.String()
		}
		return f.Key.String()
	case Contents:
		return f.Cipher.String()
	}
	return f.Cipher.String()
}

// Uses are the algorithms that f tries.
func (f Feature) Uses() (all []cms.Algorithm) {
	for _, x := range []cms.Algorithm{f.Signature, f.Hash, f.Key, f.Cipher} {
		if x != 0 {
			all = append(all, x)
		}
	}
	if f.Kind == Keys && f.Hash == cms.SHA1 {
		all = append(all, cms.ECDHSHA1KDF)
	}
	return all
}

// Features are the rows of the matrix.
func Features() (rows []Feature) {
	hashes := []cms.Algorithm{cms.SHA1, cms.SHA256, cms.SHA384, cms.SHA512}
	for _, s := range []cms.Algorithm{cms.RSAPKCS1v15, cms.RSAPSS, cms.ECDSAP256, cms.ECDSAP384} {
		for _, h := range hashes {
			rows = append(rows, Feature{Kind: Signs, Signature: s, Hash: h, Made: h != cms.SHA1})
		}
	}
	rows = append(rows, Feature{Kind: Signs, Signature: cms.Ed25519, Hash: cms.SHA512, Made: true}) // RFC 8419 §3: no other hash
	for k := cms.RSAESPKCS1v15; k <= cms.RSAESOAEPSHA512; k++ {
		rows = append(rows, Feature{Kind: Keys, Key: k, Cipher: cms.AES256CBC, Made: k != cms.RSAESOAEPSHA1})
	}
	for _, k := range []cms.Algorithm{cms.ECDHP256, cms.ECDHP384, cms.ECDHX25519} {
		for _, h := range hashes {
			rows = append(rows, Feature{Kind: Keys, Key: k, Hash: h, Cipher: cms.AES256CBC, Made: h == KDF(k)})
		}
	}
	for c := cms.AES128CBC; c <= cms.AES256GCM; c++ {
		rows = append(rows, Feature{Kind: Contents, Key: cms.RSAESPKCS1v15, Cipher: c, Made: true})
	}
	return append(rows, Feature{Kind: Compresses, Cipher: cms.ZLIB, Made: true})
}

// KDF is the hash that package cms derives keys with when it encrypts to a certificate of that curve.
func KDF(curve cms.Algorithm) cms.Algorithm {
	return cms.SHA256
}

// Direction is who makes and who reads.
type Direction uint8

// The directions.
const (
	Reads Direction = iota // the peer reads ours
	Makes                  // the peer makes, we read
)

// signer is who signs in a world.
func (w *World) signer(s cms.Algorithm) *Person {
	switch s {
	case cms.ECDSAP256:
		return w.P256
	case cms.ECDSAP384:
		return w.P384
	case cms.Ed25519:
		return w.Ed25519
	}
	return w.RSA[0]
}

// recipient is who gets in a world.
func (w *World) recipient(k cms.Algorithm) *Person {
	switch k {
	case cms.ECDHP256:
		return w.P256
	case cms.ECDHP384:
		return w.P384
	case cms.ECDHX25519:
		return w.X25519
	}
	return w.RSA[1]
}

// Person is who signs or gets what f says.
func (w *World) Person(f Feature) *Person {
	if f.Kind == Signs {
		return w.signer(f.Signature)
	}
	return w.recipient(f.Key)
}
