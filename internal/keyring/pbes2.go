package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

var errSealed = errors.New("not to be decrypted so")

// pseudorandom functions of PBKDF2 (RFC 8018 appendix B.1): HMAC with these.
func pseudorandom(id asn1.ObjectIdentifier) func() hash.Hash {
	switch id.String() {
	case "1.2.840.113549.2.7":
		return sha1.New
	case "1.2.840.113549.2.8":
		return sha256.New224
	case "1.2.840.113549.2.9":
		return sha256.New
	case "1.2.840.113549.2.10":
		return sha512.New384
	case "1.2.840.113549.2.11":
		return sha512.New
	}
	return nil
}

// block ciphers of PBES2 (RFC 8018 appendix B.2), all in CBC: the octets of their keys, and how they are made.
func blockCipher(id asn1.ObjectIdentifier) (size int, create func([]byte) (cipher.Block, error)) {
	switch id.String() {
	case "2.16.840.1.101.3.4.1.2":
		return 16, aes.NewCipher
	case "2.16.840.1.101.3.4.1.22":
		return 24, aes.NewCipher
	case "2.16.840.1.101.3.4.1.42":
		return 32, aes.NewCipher
	case "1.2.840.113549.3.7":
		return 24, des.NewTripleDESCipher
	}
	return 0, nil
}

// isPBES2 says whether an AlgorithmIdentifier is of RFC 8018 §6.2.
func isPBES2(algorithm cryptobyte.String) bool {
	var in cryptobyte.String
	var id asn1.ObjectIdentifier
	return algorithm.ReadASN1(&in, der.SEQUENCE) && in.ReadASN1ObjectIdentifier(&id) && id.Equal(oidPBES2)
}

// openPBES2 decrypts what was encrypted with a password (RFC 8018 §6.2.2). Who calls has bounded the rounds: see scheme. The caller clears what
// it gets. There is one error: what it was shows nothing.
func openPBES2(algorithm cryptobyte.String, sealed []byte, password string) ([]byte, error) {
	var in, params, kdf, scheme, derivation, salt, iv cryptobyte.String
	var id, prf, encryption asn1.ObjectIdentifier
	rounds, length := 0, 0
	if !algorithm.ReadASN1(&in, der.SEQUENCE) || !in.ReadASN1ObjectIdentifier(&id) || !in.ReadASN1(&params, der.SEQUENCE) ||
		!params.ReadASN1(&kdf, der.SEQUENCE) || !kdf.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidPBKDF2) || !kdf.ReadASN1(&derivation, der.SEQUENCE) ||
		!derivation.ReadASN1(&salt, der.OCTET_STRING) || !derivation.ReadASN1Integer(&rounds) ||
		derivation.PeekASN1Tag(der.INTEGER) && !derivation.ReadASN1Integer(&length) ||
		!params.ReadASN1(&scheme, der.SEQUENCE) || !scheme.ReadASN1ObjectIdentifier(&encryption) || !scheme.ReadASN1(&iv, der.OCTET_STRING) {
		return nil, errSealed
	}
	newHash := sha1.New // the default
	if !derivation.Empty() {
		var function cryptobyte.String
		if !derivation.ReadASN1(&function, der.SEQUENCE) || !function.ReadASN1ObjectIdentifier(&prf) {
			return nil, errSealed
		}
		newHash = pseudorandom(prf)
	}
	size, create := blockCipher(encryption)
	if newHash == nil || create == nil || length != 0 && length != size {
		return nil, errSealed
	}
	key, err := pbkdf2.Key(newHash, password, salt, rounds, size)
	if err != nil {
		return nil, errSealed
	}
	defer clear(key)
	block, err := create(key)
	if err != nil || len(iv) != block.BlockSize() || len(sealed) == 0 || len(sealed)%block.BlockSize() != 0 {
		return nil, errSealed
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > block.BlockSize() || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		clear(plain)
		return nil, errSealed
	}
	return plain[:len(plain)-pad], nil
}
