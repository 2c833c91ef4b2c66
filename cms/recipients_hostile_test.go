package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oaep256 are the parameters of RSAES-OAEP with SHA-256.
func oaep256() []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addDigestAndMask(b, oidSHA256) })
	})
}

// traced opens msg with the keys and says what somebody outside could learn.
func traced(msg []byte, keys ...keyed) (got trace) {
	_ = patiently(func() error {
		got = trace{}
		var own []Recipient
		for _, k := range keys {
			own = append(own, Recipient{k.cert, observed(k.key, &got.private)})
		}
		src := &tally{r: bytes.NewReader(msg)}
		_, r, err := ReadEnveloped(src, own, ReadOptions{Draft: true})
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		got.err, got.read = err, src.n
		return err
	})
	return got
}

// Rows "Bleichenbacher on KTRI" and "MMA" (RFC 3218): bad padding of PKCS #1, a key of another length in good padding, RSAES-OAEP
// that is none, of another hash or with another length, a wrapped key that was changed, is of another length or for another, points
// that no two parties agree over: one private operation each, the message read to its end, and the one error; in both containers. ATT-04.
func TestBleichenbacher(t *testing.T) {
	text := content(100_000)
	bob := kinds()[RSAESPKCS1v15]
	changes := map[string]func(e *envelope) keyed{}
	rsa := func(info func(e *envelope) []byte) func(e *envelope) keyed {
		return func(e *envelope) keyed { e.infos[0] = info(e); return bob }
	}
	for n, name := range map[int]string{0: "nothing", 5: "40 bits", 15: "a key one octet short", 17: "a key one octet long", 32: "a key of AES-256"} {
		changes["PKCS #1 with "+name] = rsa(func(*envelope) []byte { return transportTo(t, people().bob, content(n)) })
		changes["RSAES-OAEP with "+name] = rsa(func(*envelope) []byte { return oaepTransport(t, crypto.SHA256, 0, oaep256(), content(n)) })
	}
	changes["PKCS #1 that is none"] = rsa(func(*envelope) []byte {
		return rawTransport(people().bob, nil, oidRSA, append([]byte{0}, content(255)...))
	})
	changes["RSAES-OAEP that is none"] = rsa(func(*envelope) []byte { return oaepRaw(oaep256(), append([]byte{0}, content(255)...)) })
	changes["PKCS #1 as RSAES-OAEP"] = rsa(func(e *envelope) []byte { return oaepRaw(oaep256(), encryptTo(t, people().bob, e.cek)) })
	changes["RSAES-OAEP as PKCS #1"] = rsa(func(e *envelope) []byte {
		info := oaepTransport(t, crypto.SHA256, 0, oaep256(), e.cek)
		return rawTransport(people().bob, nil, oidRSA, info[len(info)-256:])
	})
	changes["RSAES-OAEP of another hash"] = rsa(func(e *envelope) []byte { return oaepTransport(t, crypto.SHA1, 0, oaep256(), e.cek) })
	changes["another key by PKCS #1"] = rsa(func(*envelope) []byte { return transportTo(t, people().bob, content(16)) })
	changes["another key by RSAES-OAEP"] = rsa(func(*envelope) []byte { return oaepTransport(t, crypto.SHA256, 0, oaep256(), content(16)) })
	for _, how := range []Algorithm{ECDHP256, ECDHP384, ECDHX25519} {
		to := kinds()[how]
		agreed := func(info func(k *kari, e *envelope) []byte) func(e *envelope) keyed {
			return func(e *envelope) keyed { e.infos[0] = info(kariTo(to, how), e); return to }
		}
		for n, name := range map[int]string{0: "nothing", 8: "a semiblock", 16: "two semiblocks", 23: "an odd length", 24: "noise", 40: "longer noise", 4000: "long noise"} {
			changes[how.String()+" with "+name] = agreed(func(k *kari, e *envelope) []byte {
				k.encrypted = append([]byte{}, content(n)...)
				return k.bytes(t, nil)
			})
		}
		changes[how.String()+", another key"] = agreed(func(k *kari, e *envelope) []byte { return k.bytes(t, content(16)) })
		changes[how.String()+", a key of AES-192"] = agreed(func(k *kari, e *envelope) []byte { return k.bytes(t, content(24)) })
		changes[how.String()+", a key of AES-256"] = agreed(func(k *kari, e *envelope) []byte { return k.bytes(t, content(32)) })
		changes[how.String()+", other ukm"] = agreed(func(k *kari, e *envelope) []byte {
			k.ukm = []byte{1}
			info := k.bytes(t, e.cek)
			return bytes.Replace(info, []byte{4, 1, 1}, []byte{4, 1, 2}, 1)
		})
	}
	good := traced(sealed(t, text).bytes(), bob)
	if good.err != nil || good.private != 1 {
		t.Fatalf("unchanged: %+v", good)
	}
	for name, change := range changes {
		e, a := sealed(t, text), authSealed(t, text)
		to := change(e)
		a.cek, a.infos = e.cek, e.infos
		for container, msg := range map[string][]byte{"CBC": e.bytes(), "GCM": a.bytes()} {
			if got := traced(msg, to); got != (trace{ErrDecrypt, 1, len(msg)}) {
				t.Errorf("%s, %s: %+v, want one private operation and %d octets read", container, name, got, len(msg))
			}
		}
	}
}

// Row "duplicate rid": two RecipientInfos that name one certificate of ours, in whatever way and of whatever kind, are refused before
// any private operation. ATT-04.
func TestDuplicateRid(t *testing.T) {
	text := content(100)
	for _, how := range []Algorithm{ECDHP256, ECDHP384, ECDHX25519} {
		to := kinds()[how]
		e := sealed(t, text)
		id := keyIdentifier(to.cert.SubjectKeyId)
		info := func(change func(k *kari)) []byte {
			k := kariTo(to, how)
			change(k)
			return k.bytes(t, e.cek)
		}
		plain := info(func(*kari) {})
		named := info(func(k *kari) { k.rid = id })
		spoilt := info(func(k *kari) { k.encrypted = content(24) })
		twice := info(func(k *kari) { k.before = [][]byte{recipientEncryptedKey(k.rid, content(24))} })
		both := info(func(k *kari) { k.before = [][]byte{recipientEncryptedKey(id, content(24))} })
		transported := rawTransport(person{to.cert, nil}, nil, oidRSA, content(256))
		for name, infos := range map[string][][]byte{
			"twice":                       {plain, plain},
			"by serial number and by key": {plain, named},
			"spoilt, then good":           {spoilt, plain},
			"twice in one":                {twice},
			"in one, both ways":           {both},
			"by key transport too":        {plain, transported},
			"by key transport before":     {transported, plain},
			"among many":                  append(slices.Repeat([][]byte{{0xa2, 0}}, 500), plain, named),
		} {
			e.infos = infos
			if got := traced(e.bytes(), to); !errors.Is(got.err, ErrSyntax) || got.private != 0 {
				t.Errorf("%v, %s: %+v", how, name, got)
			}
		}
		e.infos = [][]byte{plain}
		if got := traced(e.bytes(), to); got.err != nil || got.private != 1 {
			t.Errorf("%v, once: %+v", how, got)
		}
	}
}

// Row "never fall through": the first of our keys that is named is used, once. What it does not open, no other is tried on; what it
// may not open, neither. ATT-04.
func TestNoFallThrough(t *testing.T) {
	text := content(100)
	all := []Algorithm{RSAESPKCS1v15, ECDHP256, ECDHP384, ECDHX25519}
	info := func(how Algorithm, e *envelope, spoilt bool) []byte {
		if how == RSAESPKCS1v15 {
			if spoilt {
				return rawTransport(people().bob, nil, oidRSA, content(256))
			}
			return transportTo(t, people().bob, e.cek)
		}
		k := kariTo(kinds()[how], how)
		if spoilt {
			k.encrypted = content(24)
		}
		return k.bytes(t, e.cek)
	}
	for _, first := range all {
		for _, second := range all {
			if first == second {
				continue
			}
			a, b := kinds()[first], kinds()[second]
			e := sealed(t, text)
			e.infos = [][]byte{info(second, e, false), info(first, e, true)}
			if got := traced(e.bytes(), a, b); got.err != ErrDecrypt || got.private != 1 {
				t.Errorf("%v spoilt, %v good: %+v", first, second, got)
			}
			if got := traced(e.bytes(), b, a); got.err != nil || got.private != 1 {
				t.Errorf("%v good, %v spoilt: %+v", second, first, got)
			}
			algs, err := V12.Algorithms().With(first, Refuse)
			check(t, err)
			e.infos[1] = info(first, e, false)
			ops := 0
			_, _, err = unsealWith(e.bytes(), ReadOptions{Algorithms: algs}, Recipient{a.cert, observed(a.key, &ops)}, Recipient{b.cert, observed(b.key, &ops)})
			if !errors.Is(err, ErrAlgorithm) || ops != 0 {
				t.Errorf("%v refused, %v good: %v after %d private operations", first, second, err, ops)
			}
		}
	}
}

// Row "thousands of recipients": RecipientEncryptedKeys count like RecipientInfos, alone or together, and cost next to nothing. ATT-20.
func TestThousandsOfRecipients(t *testing.T) {
	to := kinds()[ECDHP256]
	text := content(100)
	stranger := recipientEncryptedKey(keyIdentifier([]byte("somebody else")), content(24))
	static := kariTo(to, ECDHP256)
	static.originator, static.encrypted = append([]byte{tagContext0, 4}, "1234"...), content(24)
	for name, tt := range map[string]struct {
		others, karis, pwris, statics int
		lim                           Limits
		want                          error
	}{
		"1 of one":                {0, 1, 0, 0, Limits{Recipients: 1}, nil},
		"1000 of one":             {999, 1, 0, 0, Limits{}, nil},
		"1001 of one":             {1000, 1, 0, 0, Limits{}, ErrLimit},
		"10000 of one":            {9999, 1, 0, 0, Limits{}, ErrLimit},
		"500 and 500":             {499, 1, 500, 0, Limits{}, nil},
		"500 and 501":             {499, 1, 501, 0, Limits{}, ErrLimit},
		"999 static":              {0, 1, 0, 999, Limits{}, nil},
		"1000 static":             {0, 1, 0, 1000, Limits{}, ErrLimit},
		"10000 under their limit": {9999, 1, 0, 0, Limits{Recipients: 10_000}, nil},
	} {
		k := kariTo(to, ECDHP256)
		k.before = slices.Repeat([][]byte{stranger}, tt.others)
		e := sealed(t, text)
		e.infos = slices.Repeat([][]byte{{0xa3, 0}}, tt.pwris)
		e.infos = append(e.infos, slices.Repeat([][]byte{static.bytes(t, e.cek)}, tt.statics)...)
		e.infos = append(e.infos, k.bytes(t, e.cek))
		msg := e.bytes()
		var err error
		var env *Enveloped
		took, mem := cost(func() { env, _, err = unsealWith(msg, ReadOptions{Limits: tt.lim}, to.recipient()) })
		if !errors.Is(err, tt.want) || err == nil && env.Recipients != tt.others+tt.pwris+tt.statics+1 {
			t.Errorf("%s: %v, want %v; %+v", name, err, tt.want, env)
		}
		if took > time.Second || mem > 8<<20 {
			t.Errorf("%s: %v and %d octets", name, took, mem)
		}
	}
	// None at all.
	k := kariTo(to, ECDHP256)
	e := sealed(t, text)
	e.infos = [][]byte{emptied(t, k.bytes(t, e.cek))}
	if _, err := unseal(e.bytes(), to.recipient()); !errors.Is(err, ErrSyntax) {
		t.Errorf("no RecipientEncryptedKey: %v", err)
	}
}

// emptied is a KeyAgreeRecipientInfo without its recipients.
func emptied(t testing.TB, info []byte) []byte {
	root := apart(t, info)
	last := root.kids[len(root.kids)-1]
	last.kids = nil
	return root.bytes()
}

// FuzzAgreement opens messages with keys that stay the same from process to process.
func FuzzAgreement(f *testing.F) {
	fixed := func(name string, c ecdh.Curve, how Algorithm) (keyed, *kari) {
		secret := bytes.Repeat([]byte{7}, map[Algorithm]int{ECDHP256: 32, ECDHP384: 48, ECDHX25519: 32}[how])
		key, err := c.NewPrivateKey(secret)
		check(f, err)
		k := keyed{enrol(name, certified(key)), key}
		return k, kariTo(k, how)
	}
	var keys []Recipient
	for how, c := range map[Algorithm]ecdh.Curve{ECDHP256: ecdh.P256(), ECDHP384: ecdh.P384(), ECDHX25519: ecdh.X25519()} {
		to, k := fixed("fixed "+how.String(), c, how)
		keys = append(keys, to.recipient())
		e := sealed(f, someText)
		e.cek = []byte("sixteen octets..")
		k.ukm, k.params = []byte{1, 2, 3}, nil
		e.infos = [][]byte{k.bytes(f, e.cek), {0xa4, 0}}
		f.Add(e.bytes())
		k.rid, k.before = keyIdentifier(to.cert.SubjectKeyId), [][]byte{recipientEncryptedKey(keyIdentifier([]byte{1}), nil)}
		e.infos = [][]byte{k.bytes(f, e.cek)}
		f.Add(toBER(k.bytes(f, e.cek), 2))
		f.Add(e.bytes())
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		env, r, err := ReadEnveloped(bytes.NewReader(msg), keys, ReadOptions{})
		if err == nil {
			if env.Key < ECDHP256 || env.Key > ECDHX25519 || env.Own == nil || env.Recipients == 0 {
				t.Fatalf("%+v", env)
			}
			_, err = io.Copy(io.Discard, r)
		}
		if !known(err) {
			t.Fatal(err)
		}
	})
}
