package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"testing"

	"carepost/cms/internal/keywrap"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// kari is a KeyAgreeRecipientInfo made by hand, with everything that can be wrong in one.
type kari struct {
	to         keyed
	curve      curve
	scheme     oid
	wrap       []byte // KeyWrapAlgorithm
	bits       int
	ukm        []byte
	originator []byte   // instead of originatorKey
	algorithm  oid      // of originatorKey
	params     []byte   // of it
	point      []byte   // instead of a good one
	before     [][]byte // RecipientEncryptedKeys for others
	rid        []byte
	encrypted  []byte // instead of a good one
	after      []byte // a field too many
}

// kariTo is one that opens.
func kariTo(k keyed, how Algorithm) *kari {
	c, _, err := curveOf(k.cert)
	if err != nil || c.how != how {
		panic(err)
	}
	return &kari{
		to: k, curve: c, scheme: oidStdDHSHA256, wrap: encode(func(b *cryptobyte.Builder) { addAlgorithm(b, oidAES128Wrap, nil) }),
		bits: 128, algorithm: c.algorithm, rid: encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, k.cert) }),
	}
}

// keyIdentifier is an rKeyId (RFC 5652 §6.2.2), with what may follow the identifier.
func keyIdentifier(id []byte, more ...byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(id)
			b.AddBytes(more)
		})
	})
}

func recipientEncryptedKey(rid, encrypted []byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(rid)
			b.AddASN1OctetString(encrypted)
		})
	})
}

// bytes carries cek.
func (k *kari) bytes(t testing.TB, cek []byte) []byte {
	t.Helper()
	key, err := k.curve.GenerateKey(rand.Reader)
	check(t, err)
	_, pub, err := curveOf(k.to.cert)
	check(t, err)
	if k.encrypted == nil {
		z, err := key.ECDH(pub)
		check(t, err)
		kek, err := k.curve.derivation(k.scheme).derive(z, k.ukm, k.wrap, k.bits)
		check(t, err)
		k.encrypted, err = keywrap.Wrap(kek, cek)
		check(t, err)
		defer func() { k.encrypted = nil }()
	}
	point := k.point
	if point == nil {
		point = key.PublicKey().Bytes()
	}
	if k.originator == nil {
		k.originator = encode(func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) {
				addAlgorithm(b, k.algorithm, func(b *cryptobyte.Builder) { b.AddBytes(k.params) })
				b.AddASN1BitString(point)
			})
		})
		defer func() { k.originator = nil }()
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			addRaw(b, tagContext0|constructed, [][]byte{k.originator})
			if k.ukm != nil {
				addRaw(b, tagContext1|constructed, [][]byte{encode(octetString(k.ukm))})
			}
			addAlgorithm(b, k.scheme, func(b *cryptobyte.Builder) { b.AddBytes(k.wrap) })
			addRaw(b, tagSequence, append(slices.Clone(k.before), recipientEncryptedKey(k.rid, k.encrypted)))
			b.AddBytes(k.after)
		})
	})
}

// message carries text.
func (k *kari) message(t testing.TB, text []byte) []byte {
	e := sealed(t, text)
	e.infos = [][]byte{k.bytes(t, e.cek)}
	return e.bytes()
}

// open opens the message of k with the key that it is for, and counts private operations.
func (k *kari) open(t testing.TB, text []byte) (ops int, err error) {
	_, got, err := unsealWith(k.message(t, text), ReadOptions{}, Recipient{k.to.cert, observed(k.to.key, &ops)})
	if err == nil && !bytes.Equal(got, text) {
		err = fmt.Errorf("%d octets of something else", len(got))
	}
	return ops, err
}

var wrapNull = func(id oid) []byte {
	return encode(func(b *cryptobyte.Builder) { addAlgorithm(b, id, func(b *cryptobyte.Builder) { b.AddASN1NULL() }) })
}

var wrapBare = func(id oid) []byte { return encode(func(b *cryptobyte.Builder) { addAlgorithm(b, id, nil) }) }

// RFC 5753 §7, RFC 8418 §2: every scheme with every key wrap and curve that it is for, with and without ukm; no other.
func TestSchemes(t *testing.T) {
	text := content(50)
	nist := []oid{oidStdDHSHA1, oidCofactorDHSHA1, oidCofactorDHSHA256, oidCofactorDHSHA384, oidCofactorDHSHA512}
	both := []oid{oidStdDHSHA256, oidStdDHSHA384, oidStdDHSHA512}
	edwards := []oid{oidStdDHHKDFSHA256, oidStdDHHKDFSHA384, oidStdDHHKDFSHA512}
	mqv := []oid{"\x2b\x81\x04\x01\x0f\x01", stdDH + "\x00", x963SHA1 + "\x10", oidECPublicKey, oidRSA}
	for _, how := range []Algorithm{ECDHP256, ECDHP384, ECDHX25519} {
		for _, scheme := range slices.Concat(nist, both, edwards, mqv) {
			good := slices.Contains(both, scheme) || slices.Contains(edwards, scheme) == (how == ECDHX25519) && !slices.Contains(mqv, scheme) &&
				slices.Contains(nist, scheme) != (how == ECDHX25519)
			k := kariTo(kinds()[how], how)
			k.scheme = scheme
			if !good {
				k.encrypted = content(24)
				if ops, err := k.open(t, text); !errors.Is(err, ErrAlgorithm) || ops != 0 {
					t.Errorf("%v, scheme %x: %v after %d private operations", how, scheme, err, ops)
				}
				continue
			}
			for _, ukm := range [][]byte{nil, {}, []byte("user keying material"), content(500)} {
				for bits, id := range map[int]oid{128: oidAES128Wrap, 192: oidAES192Wrap, 256: oidAES256Wrap} {
					for _, wrap := range [][]byte{wrapBare(id), wrapNull(id)} {
						k.ukm, k.bits, k.wrap = ukm, bits, wrap
						if ops, err := k.open(t, text); err != nil || ops != 1 {
							t.Errorf("%v, scheme %x, AES-%d, %d octets of ukm: %v after %d private operations", how, scheme, bits, len(ukm), err, ops)
						}
					}
				}
			}
		}
	}
}

// Row "NULL/absent parameters", for key wraps: what is no AES key wrap is refused before anything is computed.
func TestKeyWraps(t *testing.T) {
	tripleDES := oid(pkcs9 + "\x10\x03\x06")
	for name, wrap := range map[string][]byte{
		"absent":               nil,
		"NULL":                 {5, 0},
		"no SEQUENCE":          encode(typeOf(oidAES128Wrap)),
		"empty":                {0x30, 0},
		"3DES":                 wrapNull(tripleDES),
		"AES-128 with padding": wrapBare(nistAlgs + "\x01\x08"),
		"AES-128-CBC":          wrapBare(oidAES128CBC),
		"parameters":           encode(func(b *cryptobyte.Builder) { addAlgorithm(b, oidAES128Wrap, octetString([]byte{1})) }),
	} {
		k := kariTo(kinds()[ECDHP256], ECDHP256)
		k.wrap, k.encrypted = wrap, content(24)
		if ops, err := k.open(t, nil); !errors.Is(err, ErrAlgorithm) || ops != 0 {
			t.Errorf("%s: %v after %d private operations", name, err, ops)
		}
	}
}

// RFC 5652 §6.2.2: every way to name us, and the others of one KeyAgreeRecipientInfo before us.
func TestKeyAgreeIdentifiers(t *testing.T) {
	for how, to := range kinds() {
		if how == RSAESPKCS1v15 {
			continue
		}
		id := to.cert.SubjectKeyId
		date := []byte("\x18\x0f20260504120000Z")
		other := []byte("\x30\x06\x06\x01\x2a\x04\x01\x01")
		stranger := recipientEncryptedKey(keyIdentifier(content(20)), content(24))
		for name, tt := range map[string]struct {
			rid    []byte
			before [][]byte
			want   error
		}{
			"key identifier":         {keyIdentifier(id), nil, nil},
			"with a date":            {keyIdentifier(id, date...), nil, nil},
			"with date and other":    {keyIdentifier(id, append(date, other...)...), nil, nil},
			"after others":           {keyIdentifier(id), slices.Repeat([][]byte{stranger}, 7), nil},
			"empty key identifier":   {keyIdentifier(nil), nil, ErrSyntax},
			"as in key transport":    {append([]byte{tagContext0, byte(len(id))}, id...), nil, ErrSyntax},
			"another key identifier": {keyIdentifier(id[1:]), nil, ErrNoKey},
			"of an unknown kind":     {append([]byte{tagContext1, byte(len(id))}, id...), nil, ErrSyntax},
		} {
			k := kariTo(to, how)
			k.rid, k.before = tt.rid, tt.before
			if ops, err := k.open(t, content(20)); !errors.Is(err, tt.want) || (ops == 1) != (err == nil) {
				t.Errorf("%v, %s: %v after %d private operations, want %v", how, name, err, ops, tt.want)
			}
		}
	}
}

// RFC 5652 §6.2.2: a static key of the originator is not looked for. The message may have another RecipientInfo for us.
func TestStaticOriginators(t *testing.T) {
	c := people()
	for name, originator := range map[string][]byte{
		"issuer and serial number": encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, c.p256.cert) }),
		"key identifier":           append([]byte{tagContext0, 4}, "1234"...),
		"something else":           {0xa2, 0x80, 0x30, 0x80, 0, 0, 0, 0},
	} {
		k := kariTo(kinds()[ECDHP256], ECDHP256)
		k.originator, k.encrypted = originator, content(24)
		if ops, err := k.open(t, nil); !errors.Is(err, ErrNoKey) || ops != 0 {
			t.Errorf("%s: %v after %d private operations", name, err, ops)
		}
		text := content(20)
		e := sealed(t, text)
		e.infos = [][]byte{k.bytes(t, e.cek), kariTo(k.to, ECDHP256).bytes(t, e.cek)}
		env, got, err := unsealWith(e.bytes(), ReadOptions{}, k.to.recipient())
		if err != nil || !bytes.Equal(got, text) || env.Recipients != 2 {
			t.Errorf("%s, then an ephemeral one: %v", name, err)
		}
	}
}

// Row "NULL/absent parameters", for RSAES-OAEP: three defaults, each of them written out, and what is none of them.
func TestOAEPParameters(t *testing.T) {
	const (
		sha1n   = "\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"
		sha1b   = "\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a"
		sha256n = "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
		sha256b = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
		md5     = "\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00"
		mgf1    = "\x06\x09" + string(oidMGF1)
		source  = "\x06\x09" + string(oidPSpecified)
	)
	in := func(tag byte, parts ...string) string {
		s := ""
		for _, p := range parts {
			s += p
		}
		return string([]byte{tag, byte(len(s))}) + s
	}
	hash := func(h string) string { return in(0xa0, h) }
	mask := func(h string) string { return in(0xa1, in(0x30, mgf1, h)) }
	label := func(l string) string { return in(0xa2, in(0x30, source, in(4, l))) }
	for name, tt := range map[string]struct {
		params string
		hash   crypto.Hash // 0 is refused
		mask   crypto.Hash // 0 is the same
	}{
		"three defaults":                {in(0x30), crypto.SHA1, 0},
		"SHA-1 written out":             {in(0x30, hash(sha1n)), crypto.SHA1, 0},
		"MGF1 with SHA-1 written out":   {in(0x30, mask(sha1n)), crypto.SHA1, 0},
		"all written out":               {in(0x30, hash(sha1n), mask(sha1n), label("")), crypto.SHA1, 0},
		"all written out, without NULL": {in(0x30, hash(sha1b), mask(sha1b), label("")), crypto.SHA1, 0},
		"SHA-256":                       {in(0x30, hash(sha256n), mask(sha256n)), crypto.SHA256, 0},
		"SHA-256, without NULL":         {in(0x30, hash(sha256b), mask(sha256b)), crypto.SHA256, 0},
		"SHA-256, empty label":          {in(0x30, hash(sha256n), mask(sha256n), label("")), crypto.SHA256, 0},
		"absent":                        {"", 0, 0},
		"NULL":                          {"\x05\x00", 0, 0},
		"no SEQUENCE":                   {in(0x31), 0, 0},
		"SHA-256 with MGF1 by default":  {in(0x30, hash(sha256n)), crypto.SHA256, crypto.SHA1},
		"SHA-1 with MGF1 of SHA-256":    {in(0x30, mask(sha256n)), crypto.SHA1, crypto.SHA256},
		"SHA-256 with MGF1 of SHA-1":    {in(0x30, hash(sha256n), mask(sha1n)), crypto.SHA256, crypto.SHA1},
		"MD5":                           {in(0x30, hash(md5), mask(md5)), 0, 0},
		"a label":                       {in(0x30, hash(sha256n), mask(sha256n), label("x")), 0, 0},
		"a label, by default else":      {in(0x30, label("x")), 0, 0},
		"another source":                {in(0x30, in(0xa2, in(0x30, mgf1, in(4)))), 0, 0},
		"source of no octets":           {in(0x30, in(0xa2, in(0x30, source, "\x05\x00"))), 0, 0},
		"source without parameters":     {in(0x30, in(0xa2, in(0x30, source))), 0, 0},
		"another mask":                  {in(0x30, hash(sha256n), in(0xa1, sha256n)), 0, 0},
		"MGF1 without parameters":       {in(0x30, hash(sha256n), in(0xa1, in(0x30, mgf1))), 0, 0},
		"MGF1 with NULL":                {in(0x30, hash(sha256n), in(0xa1, in(0x30, mgf1, "\x05\x00"))), 0, 0},
		"out of order":                  {in(0x30, mask(sha256n), hash(sha256n)), 0, 0},
		"twice":                         {in(0x30, hash(sha256n), hash(sha256n), mask(sha256n)), 0, 0},
		"something after":               {in(0x30, hash(sha256n), mask(sha256n), "\xa3\x00"), 0, 0},
		"something in a field after":    {in(0x30, in(0xa0, sha256n, "\x05\x00"), mask(sha256n)), 0, 0},
		"parameters of the hash":        {in(0x30, in(0xa0, in(0x30, "\x06\x05\x2b\x0e\x03\x02\x1a\x04\x00")), mask(sha1n)), 0, 0},
	} {
		text := content(20)
		e := sealed(t, text)
		h, want := tt.hash, ErrAlgorithm
		if h != 0 {
			want = nil
		} else {
			h = crypto.SHA1
		}
		e.infos[0] = oaepTransport(t, h, tt.mask, []byte(tt.params), e.cek)
		n := 0
		_, got, err := unsealWith(e.bytes(), ReadOptions{}, Recipient{people().bob.cert, observed(people().bob.key, &n)})
		if !errors.Is(err, want) || want == nil && !bytes.Equal(got, text) || (n == 1) != (want == nil) {
			t.Errorf("%s: %v after %d private operations, want %v", name, err, n, want)
		}
	}
}

// oaepTransport is a KeyTransRecipientInfo to bob by RSAES-OAEP with any parameters.
func oaepTransport(t testing.TB, h, mask crypto.Hash, params, cek []byte) []byte {
	t.Helper()
	bob := people().bob
	b, err := rsa.EncryptOAEPWithOptions(rand.Reader, bob.cert.PublicKey.(*rsa.PublicKey), cek, &rsa.OAEPOptions{Hash: h, MGFHash: mask})
	check(t, err)
	return oaepRaw(params, b)
}

func oaepRaw(params, encrypted []byte) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			addIssuerAndSerial(b, people().bob.cert)
			addAlgorithm(b, oidOAEP, func(b *cryptobyte.Builder) { b.AddBytes(params) })
			b.AddASN1OctetString(encrypted)
		})
	})
}
