package cms

import "crypto/x509"

// keyLen is the length of a content cipher's key in octets, 0 for anything else.
func (x Algorithm) keyLen() int {
	switch x {
	case AES128CBC, AES128GCM:
		return 16
	case AES192CBC, AES192GCM:
		return 24
	case AES256CBC, AES256GCM:
		return 32
	}
	return 0
}

// Authenticated says that x is a content cipher of AuthEnvelopedData, and not of EnvelopedData.
func (x Algorithm) Authenticated() bool { return x >= AES128GCM && x <= AES256GCM }

// cipherOID names a content cipher.
func cipherOID(x Algorithm) oid {
	switch x {
	case AES128CBC:
		return oidAES128CBC
	case AES192CBC:
		return oidAES192CBC
	case AES256CBC:
		return oidAES256CBC
	case AES128GCM:
		return oidAES128GCM
	case AES192GCM:
		return oidAES192GCM
	case AES256GCM:
		return oidAES256GCM
	}
	return ""
}

// cipherOf is the reverse of cipherOID.
func cipherOf(o oid) Algorithm {
	for _, x := range [...]Algorithm{AES128CBC, AES192CBC, AES256CBC, AES128GCM, AES192GCM, AES256GCM} {
		if cipherOID(x) == o {
			return x
		}
	}
	return 0
}

// Recipient is one of our own certificates with its private key, by handle. Key is
//
//   - for RSA a crypto.Decrypter, which must do what crypto/rsa does with rsa.PKCS1v15DecryptOptions (bad padding gives a random key,
//     not an error) and with rsa.OAEPOptions;
//   - for P-256 and P-384 an ecdh.KeyExchanger or an *ecdsa.PrivateKey, for X25519 an ecdh.KeyExchanger.
//
// A key that is not that of the certificate is an error, without any use of it. A crypto.Decapsulator may join them (RFC 9629).
type Recipient struct {
	Certificate *x509.Certificate
	Key         any
}

// Enveloped says what the outside of an EnvelopedData or AuthEnvelopedData says (RFC 5652 §6.1, RFC 5083 §2.1).
type Enveloped struct {
	Cipher        Algorithm
	Key           Algorithm           // how the content key came: RSAES… or ECDH…
	Authenticated bool                // AuthEnvelopedData
	Recipients    int                 // RecipientInfos of whatever kind, those of key agreement once for each recipient
	Own           *x509.Certificate   // the certificate whose key is used
	Others        []*x509.Certificate // with ReadOptions.All: further ones of keys that the same content key came for
}
