package cms

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	"carepost/cms/internal/keywrap"
)

// Row "RSA/EC parameter DoS": points beside the curve, of other curves, of any length, parameters of any kind: refused before the
// private operation. ATT-21.
func TestECParameterTricks(t *testing.T) {
	on := func(c ecdh.Curve) []byte { return agreeing("another", c).key.(*ecdh.PrivateKey).PublicKey().Bytes() }
	p256, p384, x := on(ecdh.P256()), on(ecdh.P384()), on(ecdh.X25519())
	beside := slices.Clone(p256)
	beside[64] ^= 1
	px, py := new(big.Int).SetBytes(p256[1:33]), new(big.Int).SetBytes(p256[33:])
	compressed := elliptic.MarshalCompressed(elliptic.P256(), px, py)
	hybrid := append([]byte{6 + p256[64]&1}, p256[1:]...)
	over := append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...)
	explicit := append([]byte{0x30, 0x81, 0x80, 2, 1, 1}, make([]byte, 0x7d)...)
	for i := 6; i < len(explicit); i++ {
		explicit[i] = []byte{5, 0}[i%2]
	}
	explicit = explicit[:3+0x80]
	explicit[2] = byte(len(explicit) - 3)
	named := func(id oid) []byte { return encode(typeOf(id)) }
	for name, tt := range map[string]struct {
		how    Algorithm
		change func(k *kari)
		want   error
	}{
		"as it is":                    {ECDHP256, func(k *kari) { k.point = p256 }, ErrDecrypt}, // its private key is not the one used
		"named curve":                 {ECDHP256, func(k *kari) { k.params = named(oidP256) }, nil},
		"NULL":                        {ECDHP256, func(k *kari) { k.params = []byte{5, 0} }, nil},
		"named curve of P-384":        {ECDHP384, func(k *kari) { k.params = named(oidP384) }, nil},
		"another named curve":         {ECDHP256, func(k *kari) { k.params = named(oidP384) }, ErrAlgorithm},
		"an unknown named curve":      {ECDHP256, func(k *kari) { k.params = named(ansiX962 + "\x03\x01\x01") }, ErrAlgorithm},
		"specified curve":             {ECDHP256, func(k *kari) { k.params = []byte("\x30\x03\x02\x01\x01") }, ErrAlgorithm},
		"specified curve, no DER":     {ECDHP256, func(k *kari) { k.params = explicit }, ErrSyntax},
		"beside the curve":            {ECDHP256, func(k *kari) { k.point = beside }, ErrAlgorithm},
		"coordinates over the field":  {ECDHP256, func(k *kari) { k.point = over }, ErrAlgorithm},
		"coordinates zero":            {ECDHP256, func(k *kari) { k.point = append([]byte{4}, make([]byte, 64)...) }, ErrAlgorithm},
		"at infinity":                 {ECDHP256, func(k *kari) { k.point = []byte{0} }, ErrAlgorithm},
		"compressed":                  {ECDHP256, func(k *kari) { k.point = compressed }, ErrAlgorithm},
		"hybrid":                      {ECDHP256, func(k *kari) { k.point = hybrid }, ErrAlgorithm},
		"of another curve":            {ECDHP256, func(k *kari) { k.point = p384 }, ErrAlgorithm},
		"of X25519":                   {ECDHP256, func(k *kari) { k.point = x }, ErrAlgorithm},
		"of P-256 for P-384":          {ECDHP384, func(k *kari) { k.point = p256 }, ErrAlgorithm},
		"empty":                       {ECDHP256, func(k *kari) { k.point = []byte{} }, ErrAlgorithm},
		"one octet more":              {ECDHP256, func(k *kari) { k.point = append(slices.Clone(p256), 0) }, ErrAlgorithm},
		"half a megabyte":             {ECDHP256, func(k *kari) { k.point = append([]byte{4}, make([]byte, 1<<19)...) }, ErrAlgorithm},
		"over the limit":              {ECDHP256, func(k *kari) { k.point = append([]byte{4}, make([]byte, 1<<20)...) }, ErrLimit},
		"another algorithm":           {ECDHP256, func(k *kari) { k.algorithm = oidX25519 }, ErrAlgorithm},
		"ecDH":                        {ECDHP256, func(k *kari) { k.algorithm = "\x2b\x81\x04\x01\x0c" }, ErrAlgorithm},
		"X25519 of 31 octets":         {ECDHX25519, func(k *kari) { k.point = x[1:] }, ErrAlgorithm},
		"X25519 of 33 octets":         {ECDHX25519, func(k *kari) { k.point = append(slices.Clone(x), 0) }, ErrAlgorithm},
		"X25519 with a named curve":   {ECDHX25519, func(k *kari) { k.params = named(oidP256) }, ErrAlgorithm},
		"X25519 with no curve's name": {ECDHX25519, func(k *kari) { k.params = named("\x2a") }, ErrAlgorithm},
		"X25519 as Ed25519":           {ECDHX25519, func(k *kari) { k.algorithm = oidEd25519 }, ErrAlgorithm},
		"X25519 as X448":              {ECDHX25519, func(k *kari) { k.algorithm = "\x2b\x65\x6f" }, ErrAlgorithm},
		"X25519 on P-256":             {ECDHX25519, func(k *kari) { k.algorithm = oidECPublicKey; k.point = p256 }, ErrAlgorithm},
		"a field too many":            {ECDHP256, func(k *kari) { k.after = []byte{5, 0} }, ErrSyntax},
	} {
		k := kariTo(kinds()[tt.how], tt.how)
		tt.change(k)
		ops := 0
		err := patiently(func() (err error) {
			ops = 0
			_, _, err = unsealWith(k.message(t, content(20)), ReadOptions{}, Recipient{k.to.cert, observed(k.to.key, &ops)})
			return err
		})
		if !errors.Is(err, tt.want) || (ops == 1) != (tt.want == nil || tt.want == ErrDecrypt) {
			t.Errorf("%s: %v after %d private operations, want %v", name, err, ops, tt.want)
		}
	}
}

// Row "X25519 all-zero result rejected" (RFC 7748 §6.1): whoever sends a point of low order knows the key. So does not even
// he learn that he was right, also where the key is in a device that does not look. ATT-21.
func TestLowOrderPoints(t *testing.T) {
	to := kinds()[ECDHX25519]
	text := content(100)
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		if theirs, err := hex.DecodeString(point); err == nil {
			pub, err := ecdh.X25519().NewPublicKey(theirs)
			check(t, err)
			cert := enrol("low "+point, pub)
			if err := CanEncrypt(cert); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s can be encrypted to: %v", point, err)
			}
			if _, err := NewEnvelopedWriter(io.Discard, Encryption{}, cert); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s is encrypted to: %v", point, err)
			}
		}
		for _, scheme := range []oid{oidStdDHSHA256, oidStdDHHKDFSHA256} {
			k := kariTo(to, ECDHX25519)
			k.scheme = scheme
			k.point, _ = hex.DecodeString(point)
			e := sealed(t, text)
			zero := make([]byte, 32)
			k.encrypted = wrapped(t, k, zero, e.cek) // what the attacker can compute
			e.infos[0] = k.bytes(t, nil)
			msg := e.bytes()
			if got := traced(msg, to); got != (trace{ErrDecrypt, 1, len(msg)}) {
				t.Errorf("%s: %+v", point, got)
			}
			careless := keyed{to.cert, zeroes{to.key.(ecdh.KeyExchanger)}}
			if got := traced(msg, careless); got != (trace{ErrDecrypt, 1, len(msg)}) {
				t.Errorf("%s, careless device: %+v", point, got)
			}
		}
	}
	// A device that answers with something of another length has no secret to offer either.
	k := kariTo(kinds()[ECDHP384], ECDHP384)
	e := sealed(t, text)
	k.encrypted = wrapped(t, k, make([]byte, 32), e.cek)
	e.infos[0] = k.bytes(t, nil)
	if got := traced(e.bytes(), keyed{k.to.cert, zeroes{k.to.key.(ecdh.KeyExchanger)}}); got.err != ErrDecrypt {
		t.Errorf("short answer: %+v", got)
	}
}

// wrapped wraps cek for k under a given secret.
func wrapped(t testing.TB, k *kari, z, cek []byte) []byte {
	t.Helper()
	kek, err := k.curve.derivation(k.scheme).derive(z, k.ukm, k.wrap, k.bits)
	check(t, err)
	b, err := keywrap.Wrap(kek, cek)
	check(t, err)
	return b
}

// zeroes is a device that does not look at what it computes.
type zeroes struct{ ecdh.KeyExchanger }

func (zeroes) ECDH(*ecdh.PublicKey) ([]byte, error) { return make([]byte, 32), nil }
