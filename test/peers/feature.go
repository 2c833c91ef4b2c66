package peers

import "carepost/cms"

// Feature is a row of the matrix: one thing that package cms reads, with what goes along to try it.
type Feature struct {
	Kind      Kind
	Signature cms.Algorithm // of signing
	Hash      cms.Algorithm // of signing, or of the key derivation
	HKDF      bool          // how a key is derived with X25519; ANSI X9.63 otherwise
	Key       cms.Algorithm // of encrypting: key transport or agreement
	Cipher    cms.Algorithm // of encrypting and compressing
	Made      bool          // written, too
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

// String names f for the table.
func (f Feature) String() string {
	switch {
	case f.Kind == Signs:
		return f.Signature.String() + ", " + f.Hash.String()
	case f.Kind == Keys && f.HKDF:
		return f.Key.String() + ", HKDF, " + f.Hash.String()
	case f.Kind == Keys && f.Hash != 0:
		return f.Key.String() + ", X9.63, " + f.Hash.String()
	case f.Kind == Keys:
		return f.Key.String()
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

// Features are the rows of the matrix. Where a content cipher is not what a row is about it is the one that every peer knows.
func Features() (rows []Feature) {
	const anyCipher = cms.AES128CBC
	hashes := []cms.Algorithm{cms.SHA1, cms.SHA256, cms.SHA384, cms.SHA512}
	for _, s := range []cms.Algorithm{cms.RSAPKCS1v15, cms.RSAPSS, cms.ECDSAP256, cms.ECDSAP384} {
		for _, h := range hashes {
			rows = append(rows, Feature{Kind: Signs, Signature: s, Hash: h, Made: h != cms.SHA1})
		}
	}
	rows = append(rows, Feature{Kind: Signs, Signature: cms.Ed25519, Hash: cms.SHA512, Made: true}) // RFC 8419 §3.1: no other hash
	for k := cms.RSAESPKCS1v15; k <= cms.RSAESOAEPSHA512; k++ {
		rows = append(rows, Feature{Kind: Keys, Key: k, Cipher: anyCipher, Made: k != cms.RSAESOAEPSHA1})
	}
	for _, h := range hashes {
		rows = append(rows, Feature{Kind: Keys, Key: cms.ECDHP256, Hash: h, Cipher: anyCipher, Made: h == cms.SHA256})
	}
	for _, h := range hashes {
		rows = append(rows, Feature{Kind: Keys, Key: cms.ECDHP384, Hash: h, Cipher: anyCipher, Made: h == cms.SHA384})
	}
	for _, hkdf := range []bool{true, false} {
		for _, h := range hashes[1:] { // RFC 8418 §2: no SHA-1
			rows = append(rows, Feature{Kind: Keys, Key: cms.ECDHX25519, Hash: h, HKDF: hkdf, Cipher: anyCipher, Made: hkdf && h == cms.SHA256})
		}
	}
	for c := cms.AES128CBC; c <= cms.AES256GCM; c++ {
		rows = append(rows, Feature{Kind: Contents, Key: cms.RSAESPKCS1v15, Cipher: c, Made: true})
	}
	return append(rows, Feature{Kind: Compresses, Cipher: cms.ZLIB, Made: true})
}

// Person is who signs or gets what f says.
func (w *World) Person(f Feature) *Person {
	switch {
	case f.Signature == cms.ECDSAP256 || f.Key == cms.ECDHP256:
		return w.P256
	case f.Signature == cms.ECDSAP384 || f.Key == cms.ECDHP384:
		return w.P384
	case f.Signature == cms.Ed25519:
		return w.Ed25519
	case f.Key == cms.ECDHX25519:
		return w.X25519
	}
	return w.RSA[0]
}

// Direction is who makes and who reads.
type Direction uint8

// The directions.
const (
	Reads Direction = iota // the peer reads ours
	Makes                  // the peer makes, we read
)

// String says what the peer does.
func (d Direction) String() string { return [...]string{"reads", "makes"}[d] }
