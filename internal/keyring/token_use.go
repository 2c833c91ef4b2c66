//go:build pkcs11

package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// curveParams are CKA_EC_PARAMS (PKCS #11 2.40, §2.3.3): the OID of the curve in DER.
func curveParams(spec Spec) []byte {
	oid := asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	if spec == P384 {
		oid = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	}
	b, _ := asn1.Marshal(oid)
	return b
}

// generating is how a kind of key is made.
func generating(spec Spec) (mechanism uint, kind []*pkcs11.Attribute, err error) {
	bits := map[Spec]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096}[spec]
	switch {
	case bits > 0:
		return pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		}, nil
	case spec == P256, spec == P384:
		return pkcs11.CKM_EC_KEY_PAIR_GEN, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curveParams(spec))}, nil
	}
	return 0, nil, errors.New("no such kind of key")
}

// public reads the public half of a private key: of RSA off the key itself, of EC off the public key beside it.
func (t *p11) public(at where) (public crypto.PublicKey, err error) {
	return public, t.with(func(lib *pkcs11.Ctx, s *session) error {
		h, err := s.key(lib, at)
		if err != nil {
			return err
		}
		rsaKey, err := lib.GetAttributeValue(s.h, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_MODULUS, nil), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, nil)})
		if err == nil {
			e := new(big.Int).SetBytes(rsaKey[1].Value)
			n := new(big.Int).SetBytes(rsaKey[0].Value)
			if n.BitLen() < 2048 || n.BitLen() > 8192 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
				return fmt.Errorf("%w: its RSA key has not from 2048 to 8192 bits", ErrTokenKey)
			}
			public = &rsa.PublicKey{N: n, E: int(e.Int64())}
			return nil
		}
		named, err := lib.GetAttributeValue(s.h, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
		if err != nil {
			return err
		}
		list, err := s.find(lib, pkcs11.CKO_PUBLIC_KEY, named[0].Value, nil)
		if err != nil || len(list) != 1 {
			return errors.Join(err, fmt.Errorf("%w: beside the private key there is no public key of the same id", ErrTokenKey))
		}
		ec, err := lib.GetAttributeValue(s.h, list[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, nil), pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
		if err != nil {
			return err
		}
		public, err = point(ec[0].Value, ec[1].Value)
		return err
	})
}

// point reads CKA_EC_POINT: an OCTET STRING in DER, or bare as some tokens have it.
func point(params, value []byte) (crypto.PublicKey, error) {
	curve := elliptic.P256()
	switch string(params) {
	case string(curveParams(P256)):
	case string(curveParams(P384)):
		curve = elliptic.P384()
	default:
		return nil, fmt.Errorf("%w: its curve is neither P-256 nor P-384", ErrTokenKey)
	}
	in := cryptobyte.String(value)
	var inner cryptobyte.String
	if in.ReadASN1(&inner, der.OCTET_STRING) && in.Empty() {
		value = inner
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, value)
	if err != nil {
		return nil, fmt.Errorf("%w: its public key is no point of its curve", ErrTokenKey)
	}
	return key, nil
}

// prefixes of DigestInfo (RFC 8017 §9.2, note 1).
func prefixOf(h crypto.Hash) []byte {
	switch h {
	case crypto.SHA256:
		return []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	case crypto.SHA384:
		return []byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}
	case crypto.SHA512:
		return []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}
	}
	return nil
}

// masks are a hash and its MGF1, as PKCS #11 calls them.
func masks(h crypto.Hash) (hash, mask uint) {
	switch h {
	case crypto.SHA1:
		return pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1
	case crypto.SHA256:
		return pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256
	case crypto.SHA384:
		return pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384
	case crypto.SHA512:
		return pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512
	}
	return 0, 0
}

func (t *p11) sign(at where, public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	var mechanism *pkcs11.Mechanism
	input := digest
	pss, isPSS := opts.(*rsa.PSSOptions)
	hash, mask := masks(opts.HashFunc())
	prefix := prefixOf(opts.HashFunc())
	if prefix == nil {
		return nil, fmt.Errorf("%w: it signs with SHA-256, SHA-384 and SHA-512", ErrKind)
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)
		if isPSS {
			salt := pss.SaltLength
			switch salt {
			case rsa.PSSSaltLengthEqualsHash:
				salt = len(digest)
			case rsa.PSSSaltLengthAuto:
				salt = (k.N.BitLen()+6)/8 - 2 - len(digest)
			}
			mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(hash, mask, uint(salt)))
		} else {
			input = append(prefix, digest...)
		}
	case *ecdsa.PublicKey:
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)
		input = digest[:min(len(digest), (k.Curve.Params().BitSize+7)/8)] // FIPS 186-5 §6.4.1
	default:
		return nil, fmt.Errorf("%w: it signs nothing", ErrKind)
	}
	err = t.with(func(lib *pkcs11.Ctx, s *session) error {
		h, err := s.key(lib, at)
		if err != nil {
			return err
		}
		if err := lib.SignInit(s.h, []*pkcs11.Mechanism{mechanism}, h); err != nil {
			return err
		}
		sig, err = lib.Sign(s.h, input)
		return err
	})
	if _, ok := public.(*ecdsa.PublicKey); ok && err == nil {
		return joined(sig)
	}
	return sig, err
}

// joined makes ECDSA-Sig-Value of r and s, which are as long as one another.
func joined(sig []byte) ([]byte, error) {
	half := len(sig) / 2
	if half == 0 || len(sig)%2 != 0 {
		return nil, errors.New("a signature of odd length")
	}
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])}) // both are public
}

// decrypt does as crypto/rsa does. Where the token lets it, it does the bare RSA operation, and the padding is taken off here, in constant
// time: what a token says of a bad padding, and when, is its own affair. Otherwise whatever it says of the padding becomes the random key.
func (t *p11) decrypt(at where, public *rsa.PublicKey, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if len(sealed) != public.Size() {
		return nil, rsa.ErrDecryption
	}
	switch o := opts.(type) {
	//lint:ignore SA1019 what Direct partners send; a random key instead of an error
	case *rsa.PKCS1v15DecryptOptions:
		if o.SessionKeyLen <= 0 || o.SessionKeyLen > public.Size()-11 {
			return nil, fmt.Errorf("%w: it opens session keys of a known length", ErrKind)
		}
		return t.sessionKey(at, sealed, o.SessionKeyLen)
	case *rsa.OAEPOptions:
		mgf := o.MGFHash
		if mgf == 0 {
			mgf = o.Hash
		}
		if newHash(o.Hash) == nil || newHash(mgf) == nil || len(o.Label) > 0 {
			return nil, fmt.Errorf("%w: it does not know that form of OAEP", ErrKind)
		}
		return t.oaep(at, sealed, o.Hash, mgf)
	}
	return nil, fmt.Errorf("%w: it opens session keys and OAEP", ErrKind)
}

func (t *p11) raw(at where, sealed []byte) (out []byte, err error) {
	out, err = t.private(at, pkcs11.NewMechanism(pkcs11.CKM_RSA_X_509, nil), sealed)
	if err == nil && len(out) < len(sealed) { // some leave zeros out
		out = append(make([]byte, len(sealed)-len(out)), out...)
	}
	return out, err
}

// cannot says that a token has no such mechanism, or not for this key.
func cannot(err error) bool {
	return is(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, pkcs11.CKR_KEY_TYPE_INCONSISTENT,
		pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_FUNCTION_NOT_SUPPORTED)
}

// private is one use of the private key.
func (t *p11) private(at where, m *pkcs11.Mechanism, sealed []byte) (out []byte, err error) {
	return out, t.with(func(lib *pkcs11.Ctx, s *session) error {
		h, err := s.key(lib, at)
		if err != nil {
			return err
		}
		if err := lib.DecryptInit(s.h, []*pkcs11.Mechanism{m}, h); err != nil {
			return err
		}
		if out, err = lib.Decrypt(s.h, sealed); err != nil {
			return &judged{err}
		}
		return nil
	})
}

// judged is what a token says of what it was to decrypt, as opposed to what keeps it from decrypting.
type judged struct{ err error }

func (e *judged) Error() string { return e.err.Error() }
func (e *judged) Unwrap() error { return e.err }

// unjudged says that a token has not judged what it was given: it may later. All that it says of the octets themselves is one and the same: no
// caller learns more, whatever code this token has for it (RFC 3218 §2.3.2).
func unjudged(err error) bool {
	return err != nil && (!errors.As(err, new(*judged)) || cannot(err) || lost(err))
}

// sessionKey is RSAES-PKCS1-v1_5 (RFC 8017 §7.2.2) with a random key of the length wanted in place of an error (RFC 3218 §2.3.2).
func (t *p11) sessionKey(at where, sealed []byte, n int) ([]byte, error) {
	key := make([]byte, n)
	rand.Read(key)
	em, err := t.raw(at, sealed)
	defer func() { clear(em) }()
	if err == nil {
		unpad(key, em)
		return key, nil
	}
	if !cannot(err) && unjudged(err) {
		return nil, fmt.Errorf("keyring: opening on the token: %w", err)
	}
	m, err := t.private(at, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), sealed)
	defer func() { clear(m) }()
	switch {
	case unjudged(err):
		return nil, fmt.Errorf("keyring: opening on the token: %w", err)
	case err == nil && len(m) == n:
		copy(key, m)
	}
	return key, nil
}

// oaep is RSAES-OAEP (RFC 8017 §7.1.2) without label.
func (t *p11) oaep(at where, sealed []byte, h, mgf crypto.Hash) ([]byte, error) {
	em, err := t.raw(at, sealed)
	defer func() { clear(em) }()
	if err == nil {
		return unmask(em, newHash(h)(), newHash(mgf)())
	}
	if !cannot(err) && unjudged(err) {
		return nil, fmt.Errorf("keyring: opening on the token: %w", err)
	}
	hash, _ := masks(h)
	_, mask := masks(mgf)
	m, err := t.private(at, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, pkcs11.NewOAEPParams(hash, mask, pkcs11.CKZ_DATA_SPECIFIED, nil)), sealed)
	switch {
	case err == nil:
		return m, nil
	case unjudged(err):
		return nil, fmt.Errorf("keyring: opening on the token: %w", err)
	}
	return nil, rsa.ErrDecryption
}

// agree derives a shared secret (PKCS #11 2.40 §2.3.7, without a key derivation).
func (t *p11) agree(at where, public *ecdsa.PublicKey, remote []byte) (secret []byte, err error) {
	size := (public.Curve.Params().BitSize + 7) / 8
	attr := pkcs11.NewAttribute
	want := []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET), attr(pkcs11.CKA_TOKEN, false),
		attr(pkcs11.CKA_SENSITIVE, false), attr(pkcs11.CKA_EXTRACTABLE, true), attr(pkcs11.CKA_VALUE_LEN, size),
	}
	err = t.with(func(lib *pkcs11.Ctx, s *session) error {
		h, err := s.key(lib, at)
		if err != nil {
			return err
		}
		derived, err := lib.DeriveKey(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, remote))}, h, want)
		if err != nil {
			return err
		}
		value, err := lib.GetAttributeValue(s.h, derived, []*pkcs11.Attribute{attr(pkcs11.CKA_VALUE, nil)})
		if err = errors.Join(err, lib.DestroyObject(s.h, derived)); err == nil {
			secret = value[0].Value
		}
		return err
	})
	if err == nil && len(secret) != size {
		return nil, errors.New("a secret of the wrong length")
	}
	return secret, err
}

// newHash is a hash of OAEP, nil for others.
func newHash(h crypto.Hash) hashMaker {
	switch h {
	case crypto.SHA1:
		return sha1.New
	case crypto.SHA256:
		return sha256.New
	case crypto.SHA384:
		return sha512.New384
	case crypto.SHA512:
		return sha512.New
	}
	return nil
}
