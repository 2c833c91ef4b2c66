package keyring

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"
)

// PKCS #12 (RFC 7292) is taken apart here, for who sends such a file may write a thousand million rounds into it, also within what is
// encrypted: each derivation is counted before it is made. PBES2 is decrypted here; the former ways, with RC2 and triple DES, and the MAC are
// left to go-pkcs12, which is handed pieces of our own behind whose first private key it derives nothing for another.

// maxBags is how many contents a file may have, and how many SafeBags of keys and certificates.
const maxBags = 128

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidX509Bag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
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

// safe is what a PKCS #12 file holds.
type safe struct {
	authenticated []byte   // AuthenticatedSafe, as the MAC covers it
	mac           []byte   // MacData, or nil
	keys          [][]byte // SafeBags with a private key
	certificates  [][]byte // DER
	encrypted     []sealed
	opened        [][]byte // what was decrypted
}

// sealed is the content of EncryptedData.
type sealed struct {
	algorithm, octets []byte
}

// pkcs12 reads a PFX.
func (r *reading) pkcs12(data []byte) error {
	s, err := r.open(data)
	if err != nil {
		return err
	}
	defer s.clear()
	if err := r.fitPassword(); err != nil {
		return err
	}
	if err := s.verify(r.password); err != nil {
		return err
	}
	for _, e := range s.encrypted {
		if err := r.unseal(s, e); err != nil {
			return err
		}
	}
	for _, bag := range s.keys {
		if err := r.keyBag(bag, s.mac == nil); err != nil {
			return err
		}
	}
	for _, c := range s.certificates {
		if err := r.certificates(c); err != nil {
			return err
		}
	}
	if len(r.out.Keys)+len(r.out.Certificates) == 0 {
		return errShape()
	}
	return r.enough()
}

func (s *safe) clear() {
	for _, plain := range s.opened {
		clear(plain)
	}
}

// verify checks the MAC as the file has it: the password is the right one. A file without one shows that when it is decrypted.
func (s *safe) verify(password string) error {
	if s.mac == nil {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addContent(b, s.authenticated)
		b.AddBytes(s.mac)
	})
	var err error
	if s.one() { // so that nothing but the MAC is derived: the former decodes two contents, the latter one
		//lint:ignore SA1019 for its number of contents
		_, err = pkcs12.ToPEM(b.BytesOrPanic(), password)
	} else {
		_, err = pkcs12.DecodeTrustStore(b.BytesOrPanic(), password)
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return ErrPassword
	}
	return nil // the contents are read by ourselves
}

// one says whether there is just one content.
func (s *safe) one() bool {
	whole, err := definite(s.authenticated)
	in := cryptobyte.String(whole)
	var list, first cryptobyte.String
	return err == nil && in.ReadASN1(&list, der.SEQUENCE) && list.ReadASN1(&first, der.SEQUENCE) && list.Empty()
}

// unseal decrypts a content, and takes what is in it.
func (r *reading) unseal(s *safe, e sealed) error {
	if isPBES2(e.algorithm) {
		plain, err := openPBES2(e.algorithm, e.octets, r.password)
		if err != nil && s.mac == nil {
			return ErrPassword
		} else if err != nil {
			return errShape()
		}
		s.opened = append(s.opened, plain)
		whole, err := definite(plain)
		if err != nil {
			return errShape()
		}
		s.opened = append(s.opened, whole)
		return r.bags(s, whole)
	}
	// Certificates alone: behind a private key of no use, none within is derived for.
	_, idle, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(idle)
	if err != nil {
		return err
	}
	_, first, others, err := pkcs12.DecodeChain(pfx(r.password, dataContent(safeBag(oidKeyBag, key)), encryptedContent(e.algorithm, e.octets)), r.password)
	if err != nil && s.mac == nil {
		return ErrPassword
	} else if err != nil {
		return errShape() // not err: it may repeat something
	}
	for _, c := range append([]*x509.Certificate{first}, others...) {
		s.certificates = append(s.certificates, c.Raw)
	}
	return nil
}

// keyBag takes the private key of a SafeBag. Without a MAC, what does not open may be for want of the password.
func (r *reading) keyBag(bag []byte, unsure bool) error {
	in := cryptobyte.String(bag)
	var fields, value cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1ObjectIdentifier(&id) || !fields.ReadASN1(&value, der.Tag(0).Constructed().ContextSpecific()) {
		return errShape()
	}
	if id.Equal(oidShroudedBag) {
		err := r.shrouded(value)
		if errors.Is(err, ErrPassword) && !unsure {
			return errShape()
		}
		return err
	}
	if !r.key(value) {
		return errKeyKind()
	}
	return nil
}

func errKeyKind() error { return unreadable("a private key is of a kind that is not used here") }

// shrouded decrypts an EncryptedPrivateKeyInfo, whose rounds have been counted, and takes the key. ErrPassword: or it is damaged, which of them
// cannot be told.
func (r *reading) shrouded(data []byte) error {
	in := cryptobyte.String(data)
	var info, algorithm, octets cryptobyte.String
	if !in.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1Element(&algorithm, der.SEQUENCE) || !info.ReadASN1(&octets, der.OCTET_STRING) {
		return unreadable("the encrypted private key is damaged")
	}
	if isPBES2(algorithm) {
		plain, err := openPBES2(algorithm, octets, r.password)
		if err != nil {
			return ErrPassword
		}
		defer clear(plain)
		if !r.key(plain) {
			return errKeyKind()
		}
		return nil
	}
	//lint:ignore SA1019 what it is used for here is one bag, whose key is parsed by the form that it is written in
	blocks, err := pkcs12.ToPEM(pfx(r.password, dataContent(safeBag(oidShroudedBag, data)), dataContent()), r.password)
	if err != nil {
		return ErrPassword
	}
	for _, b := range blocks {
		ok := r.key(b.Bytes)
		clear(b.Bytes)
		if !ok {
			return errKeyKind()
		}
	}
	return nil
}

// encryptedKey reads an EncryptedPrivateKeyInfo that stands alone.
func (r *reading) encryptedKey(data []byte) error {
	in := cryptobyte.String(data)
	var info, algorithm cryptobyte.String
	if !in.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1(&algorithm, der.SEQUENCE) {
		return unreadable("the encrypted private key is damaged")
	}
	if err := r.scheme(algorithm); err != nil {
		return err
	}
	if err := r.fitPassword(); err != nil {
		return err
	}
	if r.password == "" {
		return ErrPassword
	}
	if err := r.shrouded(data); err != nil {
		return err
	}
	return r.enough()
}
