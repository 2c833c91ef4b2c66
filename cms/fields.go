package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// boundary names the room once: sentinels have its name already.
func boundary(err error) error {
	for _, known := range [...]error{ErrSyntax, ErrLimit, ErrContentType, ErrEmbedded, ErrDetached, ErrCertificates, ErrAlgorithm, ErrNoKey, ErrDecrypt, ErrUnavailable} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("cms: reading: %w", err)
}

// readContentInfo enters ContentInfo, its [0] and the SEQUENCE in it (RFC 5652 §3), and says which of the types it has.
func (p *parser) readContentInfo(want ...oid) (oid, error) {
	if err := p.open(tagSequence, "ContentInfo"); err != nil {
		return "", err
	}
	id, err := p.readType(want...)
	if err != nil {
		return "", err
	}
	if err := p.open(tagContext0|constructed, "[0] content"); err != nil {
		return "", err
	}
	return id, p.open(tagSequence, "the content's SEQUENCE")
}

// endContentInfo closes what readContentInfo has entered, and wants the end of the stream.
func (p *parser) endContentInfo() error {
	for _, what := range [...]string{"the last field", "the content", "ContentInfo"} {
		if err := p.close(what); err != nil {
			return err
		}
	}
	return p.finish()
}

// readType reads a content type, which must be one of those given.
func (p *parser) readType(want ...oid) (oid, error) {
	id, err := p.readOID()
	if err == nil && !slices.Contains(want, id) {
		err = ErrContentType
	}
	return id, err
}

func (p *parser) readOID() (oid, error) {
	e, err := p.want("object identifier")
	if err != nil {
		return "", err
	}
	if e.tag != tagOID {
		return "", syntax("something else than an object identifier")
	}
	if e.length > maxOIDBytes {
		return "", limit("octets of an object identifier")
	}
	b, err := p.content(e)
	if err != nil {
		return "", err
	}
	return parseOID(b)
}

// readVersion reads a CMSVersion (RFC 5652 §10.2.5). Which one it is says nothing that the fields do not say themselves.
func (p *parser) readVersion() error {
	e, err := p.want("version")
	if err != nil {
		return err
	}
	if e.tag != tagInteger || e.length != 1 {
		return syntax("version")
	}
	b, err := p.content(e)
	if err == nil && b[0] > maxVersion {
		err = syntax("unknown version")
	}
	return err
}

// readAlgorithm reads an AlgorithmIdentifier of which e is the header.
func (p *parser) readAlgorithm(e element) (algorithmIdentifier, error) {
	if e.tag != tagSequence {
		return algorithmIdentifier{}, syntax("something else than an algorithm identifier")
	}
	b, err := p.content(e)
	if err != nil {
		return algorithmIdentifier{}, err
	}
	return parseAlgorithm(b)
}

// identifier is a SignerIdentifier or a RecipientIdentifier (RFC 5652 §5.3, §6.2.1): issuer and serial, or keyID.
type identifier struct {
	issuer []byte // whole DER encoding
	serial []byte // content octets
	keyID  []byte
}

// readIdentifier reads an identifier of which e is the header.
func (p *parser) readIdentifier(e element) (id identifier, err error) {
	switch e.tag {
	case tagContext0, tagContext0 | constructed:
		id.keyID, err = p.octets(e)
		if err == nil && len(id.keyID) == 0 {
			err = syntax("empty subjectKeyIdentifier")
		}
		return id, err
	case tagSequence:
		if err = p.enter(e); err != nil {
			return id, err
		}
	default:
		return id, syntax("unknown kind of identifier")
	}
	if e, err = p.want("issuer"); err != nil {
		return id, err
	}
	if e.tag != tagSequence {
		return id, syntax("issuer")
	}
	if id.issuer, err = p.raw(e); err != nil {
		return id, err
	}
	if e, err = p.want("serial number"); err != nil {
		return id, err
	}
	if e.tag != tagInteger {
		return id, syntax("serial number")
	}
	if e.length > maxSerialBytes+1 { // one more for the sign
		return id, limit("octets of a serial number")
	}
	if id.serial, err = p.content(e); err != nil {
		return id, err
	}
	if !plausible(tagInteger, id.serial) {
		return id, syntax("serial number")
	}
	if len(id.serial) > maxSerialBytes && id.serial[0] != 0 {
		return id, limit("octets of a serial number")
	}
	return id, p.close("serial number")
}

// identifierOf returns everything by which cert can be named.
func identifierOf(cert *x509.Certificate) identifier {
	return identifier{issuer: cert.RawIssuer, serial: serialOctets(cert), keyID: cert.SubjectKeyId}
}

// names says whether id names the certificate with these identifiers. Names are compared byte by byte.
func (id identifier) names(cert identifier) bool {
	if id.keyID != nil {
		return bytes.Equal(id.keyID, cert.keyID)
	}
	return bytes.Equal(id.issuer, cert.issuer) && bytes.Equal(id.serial, cert.serial)
}

// number is the serial number, nil where a key identifier stands.
func (id identifier) number() *big.Int {
	if id.serial == nil {
		return nil
	}
	n := new(big.Int).SetBytes(id.serial)
	if id.serial[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(id.serial))))
	}
	return n
}

// serialOctets returns the content octets of cert's serial number, nil if it has none.
func serialOctets(cert *x509.Certificate) []byte {
	if cert.SerialNumber == nil {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1BigInt(cert.SerialNumber)
	der, err := b.Bytes()
	if err != nil || len(der) < 3 || der[1] >= 0x80 {
		return nil
	}
	return der[2:]
}
