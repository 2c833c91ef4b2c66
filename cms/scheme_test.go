package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// salted signs by RSASSA-PSS with a salt of its own length, whatever it is told.
type salted struct {
	crypto.Signer
	salt int
}

func (s salted) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(r, digest, &rsa.PSSOptions{SaltLength: s.salt, Hash: o.HashFunc()})
}

// pss is a forgery by RSASSA-PSS with these parameters and that salt, and without cmsAlgorithmProtection.
func pss(salt int, params ...[]byte) *forgery {
	f := honest(sum(someText))
	f.who.key = salted{f.who.key, salt}
	f.drop(oidProtection)
	f.algorithm = func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPSS, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(params, nil)) })
	}
	return f
}

// sequence, parameter and integer write what the tests need of parameters.
func sequence(fields ...[]byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(fields, nil)) })
	})
}

func parameter(n asn1.Tag, content []byte) []byte {
	return encode(func(b *cryptobyte.Builder) { addField(b, n, func(b *cryptobyte.Builder) { b.AddBytes(content) }) })
}

func integer(n int64) []byte {
	return encode(func(b *cryptobyte.Builder) { b.AddASN1Int64(n) })
}

func algorithmOf(id oid, params ...[]byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		addAlgorithm(b, id, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(params, nil)) })
	})
}

// ATT-26, and CVE-2026-28389: RFC 4055 §3.1, RFC 4056 §3, defaults and absence being cases of their own.
func TestPSSParameters(t *testing.T) {
	null := []byte{5, 0}
	hash, mask := parameter(0, algorithmOf(oidSHA256, null)), parameter(1, algorithmOf(oidMGF1, algorithmOf(oidSHA256, null)))
	salt, one := parameter(2, integer(32)), parameter(3, integer(1))
	sha512 := algorithmOf(oidSHA512)
	tests := map[string]struct {
		salt   int
		params []byte // nil is absent
		want   error
	}{
		"as we write them":            {32, sequence(hash, mask, salt), nil},
		"absent instead of NULL":      {32, sequence(parameter(0, algorithmOf(oidSHA256)), parameter(1, algorithmOf(oidMGF1, algorithmOf(oidSHA256))), salt), nil},
		"trailer written":             {32, sequence(hash, mask, salt, one), nil},
		"salt of the default length":  {20, sequence(hash, mask), nil},
		"that, written":               {20, sequence(hash, mask, parameter(2, integer(20))), nil},
		"salt of one octet":           {1, sequence(hash, mask, parameter(2, integer(1))), nil},
		"the longest salt":            {222, sequence(hash, mask, parameter(2, integer(222))), nil},
		"one octet more":              {222, sequence(hash, mask, parameter(2, integer(223))), ErrAlgorithm},
		"another length than made":    {32, sequence(hash, mask, parameter(2, integer(33))), ErrSignature},
		"a shorter one":               {222, sequence(hash, mask, salt), ErrSignature},
		"the default, not made":       {32, sequence(hash, mask), ErrSignature},
		"no salt, as declared":        {0, sequence(hash, mask, parameter(2, integer(0))), ErrAlgorithm},
		"negative salt":               {32, sequence(hash, mask, parameter(2, integer(-1))), ErrAlgorithm},
		"salt of many octets":         {32, sequence(hash, mask, parameter(2, integer(1<<40))), ErrAlgorithm},
		"a salt with more digits":     {32, sequence(hash, mask, parameter(2, append([]byte{2, 9, 1}, make([]byte, 8)...))), ErrAlgorithm},
		"salt no integer":             {32, sequence(hash, mask, parameter(2, null)), ErrAlgorithm},
		"two integers":                {32, sequence(hash, mask, parameter(2, append(integer(32), integer(32)...))), ErrAlgorithm},
		"parameters absent":           {20, nil, ErrAlgorithm},
		"parameters NULL":             {20, null, ErrAlgorithm},
		"all defaults, so SHA-1":      {20, sequence(), ErrAlgorithm},
		"SHA-1 for the mask":          {32, sequence(hash, salt), ErrAlgorithm},
		"SHA-1 for the digest":        {32, sequence(mask, salt), ErrAlgorithm},
		"SHA-512 for the mask":        {32, sequence(hash, parameter(1, algorithmOf(oidMGF1, sha512)), salt), ErrAlgorithm},
		"SHA-512 for both":            {32, sequence(parameter(0, sha512), parameter(1, algorithmOf(oidMGF1, sha512)), salt), ErrAlgorithm},
		"another mask":                {32, sequence(hash, parameter(1, algorithmOf(oidPSS, algorithmOf(oidSHA256))), salt), ErrAlgorithm},
		"mask without digest":         {32, sequence(hash, parameter(1, algorithmOf(oidMGF1)), salt), ErrAlgorithm},
		"mask with MD5":               {32, sequence(hash, parameter(1, algorithmOf(oidMGF1, algorithmOf(pkcs1+"\x04"))), salt), ErrAlgorithm},
		"digest with parameters":      {32, sequence(parameter(0, algorithmOf(oidSHA256, integer(1))), mask, salt), ErrAlgorithm},
		"another trailer":             {32, sequence(hash, mask, salt, parameter(3, integer(2))), ErrAlgorithm},
		"a field of its own":          {32, sequence(hash, mask, salt, one, parameter(4, null)), ErrAlgorithm},
		"out of order":                {32, sequence(mask, hash, salt), ErrAlgorithm},
		"twice":                       {32, sequence(hash, hash, mask, salt), ErrAlgorithm},
		"no explicit tags (RFC 3560)": {32, sequence(algorithmOf(oidSHA256), algorithmOf(oidMGF1, algorithmOf(oidSHA256)), integer(32)), ErrAlgorithm},
	}
	for name, tt := range tests {
		if err := verify(pss(tt.salt, tt.params).bytes(t), sum(someText)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	// Padding of the one kind is no signature of the other.
	f := pss(32, sequence(hash, mask, salt))
	f.who.key = people().alice.key
	if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, ErrSignature) {
		t.Errorf("PKCS #1 v1.5 as PSS: %v", err)
	}
	f = pss(32, sequence(hash, mask, salt))
	f.algorithm = rsaNull
	if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, ErrSignature) {
		t.Errorf("PSS as PKCS #1 v1.5: %v", err)
	}
}

// ATT-18: the parameters are protected as well (RFC 6211).
func TestProtectedParameters(t *testing.T) {
	params := func(salt int64) []byte {
		return sequence(parameter(0, algorithmOf(oidSHA256)), parameter(1, algorithmOf(oidMGF1, algorithmOf(oidSHA256))), parameter(2, integer(salt)))
	}
	protection := func(of ...[]byte) []byte {
		return attribute(oidProtection, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidSHA256, nil)
				b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) {
					b.AddBytes(bytes.Join(of, nil))
				})
			})
		})
	}
	pssID := encode(func(b *cryptobyte.Builder) { addOID(b, oidPSS) })
	rsaID := encode(func(b *cryptobyte.Builder) { addOID(b, oidRSA) })
	for name, tt := range map[string]struct {
		attr []byte
		want error
	}{
		"the same":         {protection(pssID, params(32)), nil},
		"another salt":     {protection(pssID, params(20)), ErrAttributes},
		"no parameters":    {protection(pssID), ErrAttributes},
		"another padding":  {protection(rsaID, []byte{5, 0}), ErrAttributes},
		"nothing":          {protection(), ErrAttributes},
		"parameters twice": {protection(pssID, params(32), params(32)), ErrAttributes},
	} {
		f := pss(32, params(32))
		f.add(tt.attr)
		if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// ATT-26, and CVE-2026-28390: parameters that are absent, NULL or something are told apart for each signature algorithm.
func TestSignatureParameters(t *testing.T) {
	c := people()
	for _, tt := range []struct {
		who    person
		id     oid
		digest oid
		params []byte
		want   error
	}{
		{c.alice, oidRSA, oidSHA256, []byte{5, 0}, nil},
		{c.alice, oidRSA, oidSHA256, nil, nil},
		{c.alice, oidRSASHA256, oidSHA256, nil, nil},
		{c.alice, oidRSASHA256, oidSHA256, []byte{5, 0}, nil},
		{c.alice, oidRSASHA256, oidSHA256, sequence(), ErrAlgorithm},
		{c.alice, oidRSASHA384, oidSHA256, nil, ErrAlgorithm},
		{c.alice, oidECDSASHA256, oidSHA256, nil, ErrAlgorithm},
		{c.alice, oidEd25519, oidSHA256, nil, ErrAlgorithm},
		{c.p256, oidECDSASHA256, oidSHA256, nil, nil},
		{c.p384, oidECDSASHA256, oidSHA256, nil, nil},
		{c.p256, oidECDSASHA256, oidSHA256, []byte{5, 0}, nil}, // RFC 5754 §3.3: absent; gpgsm 2.2 writes NULL
		{c.p256, oidECDSASHA256, oidSHA256, sequence(), ErrAlgorithm},
		{edith(), oidEd25519, oidSHA512, []byte{5, 0}, ErrAlgorithm},
		{c.p256, oidECDSASHA384, oidSHA256, nil, ErrAlgorithm},
		{c.p256, oidRSA, oidSHA256, nil, ErrAlgorithm},
		{c.p256, ansiX962 + "\x02\x01", oidSHA256, nil, ErrAlgorithm}, // the key's own identifier
		{edith(), oidEd25519, oidSHA256, nil, ErrAlgorithm},           // RFC 8419 §3.1: SHA-512
		{edith(), oidRSA, oidSHA256, nil, ErrAlgorithm},
	} {
		f := honest(sum(someText))
		f.who, f.certs, f.digest, f.announced = tt.who, [][]byte{tt.who.cert.Raw}, tt.digest, []oid{tt.digest}
		f.drop(oidProtection)
		f.algorithm = func(b *cryptobyte.Builder) { b.AddBytes(algorithmOf(tt.id, tt.params)) }
		if tt.who.cert == edith().cert {
			f.who.key = plain{f.who.key}
		}
		if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, tt.want) {
			t.Errorf("%s, %x %x: %v, want %v", tt.who.cert.Subject.CommonName, tt.id, tt.params, err, tt.want)
		}
	}
}

// plain signs without a hash, whatever it is told.
type plain struct{ crypto.Signer }

func (p plain) Sign(r io.Reader, m []byte, _ crypto.SignerOpts) ([]byte, error) {
	return p.Signer.Sign(r, m, crypto.Hash(0))
}

// DIR-18: ECDSA is judged by the curve of each certificate; what configuration refuses stays refused whatever else is in the bag.
func TestCurveOfTheCertificate(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.p256.signer(), c.p384.signer())
	check(t, err)
	for _, refused := range []Algorithm{ECDSAP256, ECDSAP384} {
		a, err := Lenient.Algorithms().With(refused, Refuse)
		check(t, err)
		s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{Algorithms: a})
		check(t, err)
		for i, info := range s.Signers {
			err := s.Verify(i, s.Candidates(i)[0], sum(someText))
			mine, _ := keyFor(s.Candidates(i)[0].PublicKey, false)
			if mine == refused && (!errors.Is(err, ErrAlgorithm) || info.Algorithm != 0) || mine != refused && (err != nil || info.Algorithm != mine) {
				t.Errorf("%v with %v refused: %v, %v", mine, refused, info.Algorithm, err)
			}
		}
		b, err := a.With(ECDSAP256, Refuse)
		check(t, err)
		if b, err = b.With(ECDSAP384, Refuse); err != nil {
			t.Fatal(err)
		}
		if _, err := judged(p7s, 0, b, sums(someText)); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("both refused: %v", err)
		}
	}
}

// ATT-12: what is wrong with one of them is said of that one, also where its attributes are no DER (RFC 5652 §5.3).
func TestFaultsAreKept(t *testing.T) {
	c := people()
	good := honest(sum(someText)).bytes(t)
	info := infoOf(t, good)
	indefinite := func(info []byte) []byte { // the form of [0]
		i := bytes.Index(info, []byte{tagContext0 | constructed, 0x81})
		end := i + 3 + int(info[i+2])
		return slices.Concat(info[:i], []byte{tagContext0 | constructed, 0x80}, info[i+3:end], []byte{0, 0}, info[end:])
	}
	for name, tt := range map[string]struct {
		change func(info []byte) []byte
		want   error
	}{
		"BER":               {indefinite, ErrAttributes},
		"unknown digest":    {func(i []byte) []byte { return bytes.Replace(i, []byte(oidSHA256), []byte(nistAlgs+"\x02\x09"), 1) }, ErrAlgorithm},
		"unknown signature": {func(i []byte) []byte { return replaceLast(i, []byte(oidRSA), []byte(pkcs1+"\x63")) }, ErrAlgorithm},
		"unknown attribute": {func(i []byte) []byte { return bytes.Replace(i, []byte(oidContentType), []byte(pkcs9+"\x63"), 1) }, ErrAttributes},
	} {
		msg := twoSigners(t, tt.change(bytes.Clone(info)), info, c.alice.cert.Raw)
		s, err := ReadSigned(bytes.NewReader(msg), ReadOptions{})
		check(t, err)
		if len(s.Signers) != 2 {
			t.Fatalf("%s: %d signers", name, len(s.Signers))
		}
		if err := s.Verify(0, c.alice.cert, sum(someText)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if err := s.Verify(1, c.alice.cert, sum(someText)); err != nil {
			t.Errorf("%s: the other one: %v", name, err)
		}
	}
}

func replaceLast(b, old, new []byte) []byte {
	i := bytes.LastIndex(b, old)
	return slices.Concat(b[:i], new, b[i+len(old):])
}

// infoOf returns the content of the only SignerInfo of a DER message.
func infoOf(t testing.TB, p7s []byte) []byte {
	t.Helper()
	s := cryptobyte.String(p7s)
	var ci, sd, set, info cryptobyte.String
	ok := s.ReadASN1(&ci, asn1.SEQUENCE) && ci.SkipASN1(asn1.OBJECT_IDENTIFIER) && ci.ReadASN1(&sd, asn1.Tag(tagContext0|constructed)) &&
		sd.ReadASN1(&sd, asn1.SEQUENCE) && sd.SkipASN1(asn1.INTEGER) && sd.SkipASN1(asn1.SET) && sd.SkipASN1(asn1.SEQUENCE) &&
		sd.SkipASN1(asn1.Tag(tagContext0|constructed)) && sd.ReadASN1(&set, asn1.SET) && set.ReadASN1(&info, asn1.SEQUENCE)
	if !ok {
		t.Fatal("no SignerInfo")
	}
	return info
}

// twoSigners is a message with two SignerInfos, whose contents are given and kept in that order.
func twoSigners(t testing.TB, first, second, cert []byte) []byte {
	t.Helper()
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidSigned)
			addRaw(b, tagContext0|constructed, [][]byte{sequence(integer(1),
				encode(func(b *cryptobyte.Builder) { addRaw(b, tagSet, [][]byte{algorithmOf(oidSHA256)}) }),
				sequence(encode(func(b *cryptobyte.Builder) { addOID(b, oidData) })),
				encode(func(b *cryptobyte.Builder) { addRaw(b, tagContext0|constructed, [][]byte{cert}) }),
				encode(func(b *cryptobyte.Builder) { addRaw(b, tagSet, [][]byte{sequence(first), sequence(second)}) }))})
		})
	})
}
