package keyring

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"
)

// PKCS #12 (RFC 7292) is decoded by go-pkcs12. What it would cost is read here before it sees anything: who sends such a file may write a
// thousand million rounds into it. Counts also stand within what is encrypted; so a file is handed on in pieces of our own, each with one
// private key that stands in the open, behind which go-pkcs12 derives nothing for another.

// How much may be derived from a password: rounds of all derivations of an import together (OpenSSL writes 2048, Java 10000, the greatest
// recommended number is about 600000), and octets of a salt or of what is derived.
const (
	maxRounds   = 2_000_000
	maxSalt     = 1 << 10
	maxDerived  = 64
	maxBags     = 128
	maxPassword = 1 << 10
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPBES2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidPBE           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1} // RFC 7292 appendix C: pbeWithSHAAnd…
)

func errShape() error {
	return unreadable("the PKCS #12 file has a form that is not read here: write it anew with openssl pkcs12 -in FILE -nodes | openssl pkcs12 -export")
}

// isPKCS12 says whether this is a PFX (RFC 7292 §4): a sequence that begins with version 3 and the content type data.
func isPKCS12(data []byte) bool {
	if len(data) > 2 && data[1] == 0x80 { // BER of indefinite length, as some programs write it
		return len(data) > 5 && data[2] == 2 && data[3] == 1 && data[4] == 3
	}
	s := cryptobyte.String(data)
	var pfx, content cryptobyte.String
	var version int
	var id asn1.ObjectIdentifier
	return s.ReadASN1(&pfx, der.SEQUENCE) && pfx.ReadASN1Integer(&version) && version == 3 &&
		pfx.ReadASN1(&content, der.SEQUENCE) && content.ReadASN1ObjectIdentifier(&id)
}

// isEncryptedKey says whether this is an EncryptedPrivateKeyInfo (RFC 5958 §3).
func isEncryptedKey(data []byte) bool {
	s := cryptobyte.String(data)
	var info, algorithm, key cryptobyte.String
	var id asn1.ObjectIdentifier
	return s.ReadASN1(&info, der.SEQUENCE) && info.ReadASN1(&algorithm, der.SEQUENCE) && algorithm.ReadASN1ObjectIdentifier(&id) &&
		(id.Equal(oidPBES2) || under(id, oidPBE)) && info.ReadASN1(&key, der.OCTET_STRING) && info.Empty()
}

// under says whether id lies right below arc.
func under(id, arc asn1.ObjectIdentifier) bool {
	return len(id) == len(arc)+1 && id[:len(arc)].Equal(arc)
}

// safe is a PKCS #12 file as far as it can be read without a password.
type safe struct {
	authenticated []byte   // DER of AuthenticatedSafe
	keys          [][]byte // SafeBags with a private key
	others        [][]byte // SafeBags besides
	encrypted     [][]byte // ContentInfos
}

// pkcs12 reads a PFX.
func (r *reading) pkcs12(data []byte) error {
	s, err := r.open(data)
	if err != nil {
		return err
	}
	if err := r.fitPassword(); err != nil {
		return err
	}
	// The MAC, as the file has it. No trust store of Java is expected; the error that counts is that of the password.
	if _, err := pkcs12.DecodeTrustStore(data, r.password); errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return ErrPassword
	}
	if len(s.keys) == 0 {
		return r.trustStore(s, data)
	}
	for _, bag := range s.keys {
		key, leaf, above, err := pkcs12.DecodeChain(s.piece(bag, r.password), r.password)
		if err != nil {
			return errShape() // not err: it may repeat something
		}
		if !r.keep(key) {
			return unreadable("a private key is of a kind that is not used here")
		}
		if err := r.add(append([]*x509.Certificate{leaf}, above...)); err != nil {
			return err
		}
	}
	return nil
}

// trustStore tells what is missing in a file without a private key in the open.
func (r *reading) trustStore(s *safe, data []byte) error {
	if list, err := pkcs12.DecodeTrustStore(data, r.password); err == nil {
		return r.add(list)
	}
	return unreadable("the PKCS #12 file shows no private key: export it again, with its key; certificates alone are taken as PEM or PKCS #7")
}

func (r *reading) fitPassword() error {
	if len(r.password) > maxPassword {
		return unreadable("the password has more than %d octets", maxPassword)
	}
	return nil
}

// open reads what stands in the open, and counts the rounds.
func (r *reading) open(data []byte) (*safe, error) {
	in := cryptobyte.String(data)
	var pfx cryptobyte.String
	var version int
	if !in.ReadASN1(&pfx, der.SEQUENCE) || !in.Empty() || !pfx.ReadASN1Integer(&version) {
		return nil, errShape()
	}
	id, content, ok := contentInfo(&pfx)
	var inner cryptobyte.String
	if !ok || !id.Equal(oidData) || !content.ReadASN1(&inner, der.OCTET_STRING) {
		return nil, unreadable("the PKCS #12 file is protected by a signature instead of a password: write it anew with a password")
	}
	s := &safe{authenticated: inner}
	if !pfx.Empty() {
		if err := r.mac(pfx); err != nil {
			return nil, err
		}
	}
	var list cryptobyte.String
	if !inner.ReadASN1(&list, der.SEQUENCE) || !inner.Empty() {
		return nil, errShape()
	}
	for bags := 0; !list.Empty(); bags++ {
		whole := list
		id, content, ok := contentInfo(&list)
		if !ok || bags == maxBags {
			return nil, errShape()
		}
		var err error
		switch {
		case id.Equal(oidData):
			err = r.bags(s, content)
		case id.Equal(oidEncryptedData):
			s.encrypted = append(s.encrypted, whole[:len(whole)-len(list)])
			err = r.encryptedData(content)
		default:
			err = errShape()
		}
		if err != nil {
			return nil, err
		}
	}
	if len(s.encrypted) > 1 {
		return nil, errShape()
	}
	if len(s.keys) > maxKeys {
		return nil, unreadable("more than %d private keys in one PKCS #12 file: export them one after the other", maxKeys)
	}
	r.rounds *= max(len(s.keys), 1) // what is encrypted is opened for each key
	return s, r.affordable()
}

// contentInfo reads the next ContentInfo (RFC 5652 §3): its type, and what is within the explicit tag.
func contentInfo(s *cryptobyte.String) (id asn1.ObjectIdentifier, content cryptobyte.String, ok bool) {
	var info cryptobyte.String
	ok = s.ReadASN1(&info, der.SEQUENCE) && info.ReadASN1ObjectIdentifier(&id) &&
		info.ReadASN1(&content, der.Tag(0).Constructed().ContextSpecific()) && info.Empty()
	return id, content, ok
}

// mac counts the rounds of MacData (RFC 7292 §4): its own, or those of PBMAC1 (RFC 9579).
func (r *reading) mac(s cryptobyte.String) error {
	var data, digest, algorithm, params, salt cryptobyte.String
	var id asn1.ObjectIdentifier
	rounds := 1
	if !s.ReadASN1(&data, der.SEQUENCE) || !s.Empty() || !data.ReadASN1(&digest, der.SEQUENCE) || !digest.ReadASN1(&algorithm, der.SEQUENCE) ||
		!data.ReadASN1(&salt, der.OCTET_STRING) || !data.Empty() && (!data.ReadASN1Integer(&rounds) || !data.Empty()) {
		return errShape()
	}
	whole := algorithm
	if !algorithm.ReadASN1ObjectIdentifier(&id) {
		return errShape()
	}
	if id.Equal(oidPBMAC1) {
		if !algorithm.ReadASN1(&params, der.SEQUENCE) {
			return errShape()
		}
		return r.scheme(whole)
	}
	return r.derive(rounds, salt)
}

// encryptedData counts the rounds of EncryptedData (RFC 5652 §8).
func (r *reading) encryptedData(s cryptobyte.String) error {
	var data, info, algorithm cryptobyte.String
	var version int
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&data, der.SEQUENCE) || !data.ReadASN1Integer(&version) || !data.ReadASN1(&info, der.SEQUENCE) ||
		!info.ReadASN1ObjectIdentifier(&id) || !info.ReadASN1(&algorithm, der.SEQUENCE) {
		return errShape()
	}
	return r.scheme(algorithm)
}

// bags sorts the SafeBags of a content of type data (RFC 7292 §4.2), and counts the rounds of encrypted keys.
func (r *reading) bags(s *safe, content cryptobyte.String) error {
	var octets, list cryptobyte.String
	if !content.ReadASN1(&octets, der.OCTET_STRING) || !octets.ReadASN1(&list, der.SEQUENCE) || !octets.Empty() {
		return errShape()
	}
	for !list.Empty() {
		whole := list
		var bag, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1(&bag, der.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&id) ||
			!bag.ReadASN1(&value, der.Tag(0).Constructed().ContextSpecific()) || len(s.keys)+len(s.others) == maxBags {
			return errShape()
		}
		one := whole[:len(whole)-len(list)]
		switch {
		case id.Equal(oidShroudedBag):
			var info, algorithm cryptobyte.String
			if !value.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1(&algorithm, der.SEQUENCE) {
				return errShape()
			}
			if err := r.scheme(algorithm); err != nil {
				return err
			}
			s.keys = append(s.keys, one)
		case id.Equal(oidKeyBag):
			s.keys = append(s.keys, one)
		default:
			s.others = append(s.others, one)
		}
	}
	return nil
}

// scheme counts the rounds that an AlgorithmIdentifier wants: PBES2 and PBMAC1 by PBKDF2 (RFC 8018), or those of RFC 7292 appendix C.
func (r *reading) scheme(algorithm cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	var params, salt cryptobyte.String
	rounds := 0
	if !algorithm.ReadASN1ObjectIdentifier(&id) || !algorithm.ReadASN1(&params, der.SEQUENCE) {
		return errScheme()
	}
	switch {
	case under(id, oidPBE):
		if !params.ReadASN1(&salt, der.OCTET_STRING) || !params.ReadASN1Integer(&rounds) {
			return errScheme()
		}
		return r.derive(rounds, salt)
	case id.Equal(oidPBES2), id.Equal(oidPBMAC1):
	default:
		return errScheme()
	}
	var kdf, inner cryptobyte.String
	if !params.ReadASN1(&kdf, der.SEQUENCE) || !kdf.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidPBKDF2) || !kdf.ReadASN1(&inner, der.SEQUENCE) ||
		!inner.ReadASN1(&salt, der.OCTET_STRING) || !inner.ReadASN1Integer(&rounds) {
		return errScheme()
	}
	if length := 0; inner.PeekASN1Tag(der.INTEGER) && (!inner.ReadASN1Integer(&length) || length < 1 || length > maxDerived) {
		return errScheme()
	}
	return r.derive(rounds, salt)
}

func errScheme() error {
	return unreadable("it is encrypted in a way that is not read here: write it anew with openssl pkcs12 -in FILE -nodes | openssl pkcs12 -export")
}

// derive takes note of one derivation.
func (r *reading) derive(rounds int, salt []byte) error {
	if len(salt) > maxSalt || rounds < 1 {
		return errScheme()
	}
	if rounds > maxRounds {
		return errRounds()
	}
	r.rounds += rounds
	return r.affordable()
}

func (r *reading) affordable() error {
	if r.rounds > maxRounds {
		return errRounds()
	}
	return nil
}

func errRounds() error {
	return unreadable("its password is to be put through more than %d rounds of derivation, which only holds this machine up: write it anew with fewer (openssl pkcs12 -export -iter 100000)", maxRounds)
}

// encryptedKey reads an EncryptedPrivateKeyInfo, by way of a file of two contents that holds nothing else.
func (r *reading) encryptedKey(data []byte) error {
	in := cryptobyte.String(data)
	var info, algorithm cryptobyte.String
	if !in.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1(&algorithm, der.SEQUENCE) {
		return unreadable("the encrypted private key is damaged")
	}
	if err := errors.Join(r.scheme(algorithm), r.fitPassword()); err != nil {
		return err
	}
	if r.password == "" {
		return ErrPassword
	}
	s := &safe{encrypted: [][]byte{dataContent()}}
	//lint:ignore SA1019 what it is used for here is one bag, whose key is parsed by the form that it is written in
	blocks, err := pkcs12.ToPEM(s.piece(shroudedBag(data), r.password), r.password)
	if err != nil {
		return ErrPassword // or a damaged key: which of them it is cannot be told
	}
	for _, b := range blocks {
		ok := r.key(b.Bytes)
		clear(b.Bytes)
		if !ok {
			return unreadable("a private key is of a kind that is not used here")
		}
	}
	return r.enough()
}

// shroudedBag is a SafeBag with an EncryptedPrivateKeyInfo.
func shroudedBag(info []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidShroudedBag)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(info) })
	})
	return b.BytesOrPanic()
}

// dataContent is a ContentInfo of type data with these SafeBags.
func dataContent(bags ...[]byte) []byte {
	var inner, b cryptobyte.Builder
	inner.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, bag := range bags {
			b.AddBytes(bag)
		}
	})
	addContent(&b, inner.BytesOrPanic())
	return b.BytesOrPanic()
}

func addContent(b *cryptobyte.Builder, octets []byte) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(octets) })
	})
}

// piece is a PFX with this one private key first, then all the rest, under a MAC of our own that costs one round.
func (s *safe) piece(key []byte, password string) []byte {
	var list cryptobyte.Builder
	list.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(dataContent(append([][]byte{key}, s.others...)...))
		for _, c := range s.encrypted {
			b.AddBytes(c)
		}
	})
	content, salt := list.BytesOrPanic(), make([]byte, 8)
	rand.Read(salt)
	macKey, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		panic(err) // not of these sizes
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(content)
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addContent(b, content)
		addMAC(b, salt, mac.Sum(nil))
	})
	return b.BytesOrPanic()
}

// addMAC adds MacData with PBMAC1 (RFC 9579).
func addMAC(b *cryptobyte.Builder, salt, sum []byte) {
	seq := func(b *cryptobyte.Builder, f func(b *cryptobyte.Builder)) { b.AddASN1(der.SEQUENCE, f) }
	seq(b, func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) { // DigestInfo
			seq(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidPBMAC1)
				seq(b, func(b *cryptobyte.Builder) {
					seq(b, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidPBKDF2)
						seq(b, func(b *cryptobyte.Builder) {
							b.AddASN1OctetString(salt)
							b.AddASN1Int64(1)
							b.AddASN1Int64(sha256.Size)
							seq(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidHMACSHA256) })
						})
					})
					seq(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidHMACSHA256) })
				})
			})
			b.AddASN1OctetString(sum)
		})
		b.AddASN1OctetString(salt)
	})
}
