package admin

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// Order is a certificate that is wanted.
type Order struct {
	Owner Owner        // zero: the only domain
	Use   string       // UseBoth, UseSign, UseEncrypt; empty: both
	Kind  keyring.Spec // zero: that of the request which waits, RSA 2048 where there is none
	Token bool         // the key is made on the token
}

// ParseKind reads a kind of key: rsa2048, rsa3072, rsa4096, p256, p384.
func ParseKind(text string) (keyring.Spec, error) { return keyring.ParseSpec(text) }

// RequestCertificate is a certificate request (PKCS #10, PEM) for the authority that the owner's partners trust. The key is made and kept
// before, and stays the same until its certificate has been imported; the next request is for a new one. ErrNoDomain, ErrNoAccount,
// *Invalid.
func (s *Service) RequestCertificate(ctx context.Context, by audit.Actor, o Order) ([]byte, error) {
	if o.Use == "" {
		o.Use = UseBoth
	}
	if !slices.Contains([]string{UseBoth, UseSign, UseEncrypt}, o.Use) {
		return nil, invalid("a certificate is for both, to sign or to encrypt")
	}
	handle, owner, err := s.requestKey(ctx, by, o)
	if err != nil {
		return nil, knownOrInvalid("certificate request", err)
	}
	key, err := s.keys.Signer(ctx, handle)
	if err != nil {
		return nil, prefix("certificate request", err)
	}
	template, err := requestTemplate(owner, o.Use, key.Public())
	if err != nil {
		return nil, prefix("certificate request", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, prefix("certificate request", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// knownOrInvalid is known, with *Invalid as it is and errors of tokens as such.
func knownOrInvalid(what string, err error) error {
	if bad := (*Invalid)(nil); errors.As(err, &bad) {
		return bad
	}
	if errors.Is(err, keyring.ErrNoToken) || errors.Is(err, keyring.ErrTokenKey) {
		return invalid("%s", strings.ReplaceAll(err.Error(), "keyring: ", "")) // each room on the way has put its name before it
	}
	return known(what, err)
}

// requestKey finds the key that waits for such a certificate, or makes one.
func (s *Service) requestKey(ctx context.Context, by audit.Actor, o Order) (handle string, owner Owner, err error) {
	var there []store.KeyRequest
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		if owner, err = s.owner(tx, o.Owner); err != nil {
			return err
		}
		if there, err = tx.KeyRequests(owner); err != nil || len(there) > 0 {
			return err
		}
		there, err = formerRequest(tx, owner)
		return err
	})
	if err != nil {
		return "", owner, err
	}
	for _, r := range there {
		if r.Uses == o.Use && (o.Kind == 0 || r.Kind == s.kindOf(o)) && (o.Token == strings.HasSuffix(r.Kind, onToken)) {
			return r.Key, owner, nil
		}
	}
	if o.Kind == 0 {
		o.Kind = keyring.RSA2048
	}
	if len(there) >= mostWaiting {
		return "", owner, invalid("%d requests of this owner wait for their certificates: end those that are not wanted with carepost cert expire", len(there))
	}
	take, err := s.makeKey(ctx, o) // before the transaction, for it takes its time
	if err != nil {
		return "", owner, err
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		if handle, err = take(tx); err != nil {
			return err
		}
		r := store.KeyRequest{Owner: owner, Key: handle, Uses: o.Use, Kind: s.kindOf(o)}
		if err := tx.InsertKeyRequest(&r); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.request", Object: "certificate:" + r.ID,
			Detail: map[string]string{"use": r.Uses, "kind": r.Kind}})
	})
	return handle, owner, err
}

// mostWaiting is how many requests of one owner may wait.
const mostWaiting = 16

// onToken ends the kind of a key that lies on the token.
const onToken = " on the token"

func (s *Service) kindOf(o Order) string {
	kind := map[keyring.Spec]string{keyring.RSA2048: "RSA 2048", keyring.RSA3072: "RSA 3072", keyring.RSA4096: "RSA 4096",
		keyring.P256: "EC P-256", keyring.P384: "EC P-384"}[o.Kind]
	if o.Token {
		kind += onToken
	}
	return kind
}

// makeKey makes a key; the function it returns keeps it.
func (s *Service) makeKey(ctx context.Context, o Order) (func(*store.Tx) (string, error), error) {
	if o.Token {
		uri, err := s.keys.GenerateOnToken(ctx, o.Kind, "carepost "+strings.ToLower(rand.Text()[:8])) // a token shows labels to everybody
		if err != nil {
			return nil, err
		}
		return func(tx *store.Tx) (string, error) { return s.keys.TakeFromToken(ctx, tx, uri) }, nil
	}
	key, err := keyring.NewKey(o.Kind)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (string, error) { return s.keys.Import(ctx, tx, key) }, nil
}

// formerRequest is a request of the domain that was made before requests had a table.
func formerRequest(tx *store.Tx, owner Owner) ([]store.KeyRequest, error) {
	if owner.Domain == "" {
		return nil, nil
	}
	handle, _, err := tx.Setting(formerSetting(owner))
	if errors.Is(err, store.ErrNotFound) || err == nil && len(handle) == 0 {
		return nil, nil
	}
	return []store.KeyRequest{{Owner: owner, Key: string(handle), Uses: UseBoth, Kind: "RSA 2048"}}, err
}

func formerSetting(owner Owner) string { return "request:" + owner.Domain.String() }

var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidEmail       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4} // id-kp-emailProtection
)

// requestTemplate asks for the names by which Direct 4.1 binds, and for the key usage of RFC 8550 §4.4.2.
func requestTemplate(owner Owner, use string, public crypto.PublicKey) (*x509.CertificateRequest, error) {
	t := &x509.CertificateRequest{}
	switch a := owner.Address; {
	case a.IsZero():
		t.Subject = pkix.Name{CommonName: owner.Domain.String()}
		t.DNSNames = []string{owner.Domain.String()} // Direct 4.1.2
	default:
		t.Subject = pkix.Name{CommonName: a.String()}
		t.EmailAddresses = []string{a.String()} // Direct 4.1.1
	}
	usage := byte(0) // the first bits of KeyUsage (RFC 5280 §4.2.1.3), from the left
	if use != UseEncrypt {
		usage |= 0x80 // digitalSignature
	}
	if _, transport := public.(*rsa.PublicKey); use != UseSign && transport {
		usage |= 0x20 // keyEncipherment
	} else if use != UseSign {
		usage |= 0x08 // keyAgreement
	}
	bits := 8
	for usage>>(8-bits)&1 == 0 {
		bits--
	}
	value, err := asn1.Marshal(asn1.BitString{Bytes: []byte{usage}, BitLength: bits})
	if err != nil {
		return nil, err
	}
	extended, err := asn1.Marshal([]asn1.ObjectIdentifier{oidEmail})
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidKeyUsage, Critical: true, Value: value}, pkix.Extension{Id: oidExtKeyUsage, Value: extended})
	return t, nil
}
