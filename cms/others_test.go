package cms

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"testing"
)

// Who else could have read a message: only who got the same content key. That a RecipientInfo names somebody proves nothing, for nothing
// authenticates it: to one that was captured somebody might add others. ATT-04, ATT-13.
func TestOthers(t *testing.T) {
	c := people()
	plain := []byte("the content of a message")
	cek := content(16)
	all := []Recipient{c.bob.recipient(), c.alice.recipient(), c.carol.recipient()}
	modulus := c.alice.cert.PublicKey.(*rsa.PublicKey).N
	garbage := make([]byte, modulus.BitLen()/8)
	rand.Read(garbage[1:])
	for name, tc := range map[string]struct {
		infos [][]byte // beside bob's
		want  []person
	}{
		"nobody":        {nil, nil},
		"all":           {[][]byte{transportTo(t, c.carol, cek), transportTo(t, c.alice, cek)}, []person{c.alice, c.carol}},
		"one":           {[][]byte{transportTo(t, c.carol, cek)}, []person{c.carol}},
		"another key":   {[][]byte{transportTo(t, c.alice, bytes.Repeat([]byte{7}, 16)), transportTo(t, c.carol, cek)}, []person{c.carol}},
		"a longer key":  {[][]byte{transportTo(t, c.alice, content(32))}, nil},
		"the key of 15": {[][]byte{transportTo(t, c.alice, cek[:15])}, nil},
		"no key at all": {[][]byte{rawTransport(c.alice, nil, oidRSA, garbage), rawTransport(c.carol, nil, oidRSA, modulus.Bytes())}, nil},
		"too short":     {[][]byte{rawTransport(c.alice, nil, oidRSA, nil)}, nil},
		"no algorithm":  {[][]byte{rawTransport(c.alice, nil, oidData, garbage), transportTo(t, c.carol, cek)}, []person{c.carol}},
	} {
		e := sealed(t, plain)
		e.cek, e.infos = cek, append([][]byte{transportTo(t, c.bob, cek)}, tc.infos...)
		msg := e.bytes()
		for _, every := range []bool{false, true} {
			env, got, err := unsealWith(msg, ReadOptions{All: every}, all...)
			if err != nil || !bytes.Equal(got, plain) || env.Own != c.bob.cert {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := tc.want
			if !every {
				want = nil
			}
			if len(env.Others) != len(want) || slices.ContainsFunc(want, func(p person) bool { return !slices.Contains(env.Others, p.cert) }) {
				t.Errorf("%s, all %v: %d others, want %d", name, every, len(env.Others), len(want))
			}
		}
	}
	// Where the first key opens nothing nobody else is asked for it, and there is one answer.
	e := sealed(t, plain)
	e.cek, e.infos = cek, [][]byte{rawTransport(c.bob, nil, oidRSA, garbage), transportTo(t, c.alice, cek)}
	if env, got, err := unsealWith(e.bytes(), ReadOptions{All: true}, all...); bytes.Equal(got, plain) || env != nil && len(env.Others) > 0 || err != nil && !errors.Is(err, ErrDecrypt) {
		t.Errorf("a bad first one: %q, %v", got, err)
	}
}

// Of every kind of key.
func TestOthersOfAllKinds(t *testing.T) {
	c := people()
	curve := agreeing("on a curve", ecdh.P256())
	text := content(100)
	msg := sealWith(t, text, Encryption{}, c.bob.cert, curve.cert, c.alice.cert)
	for _, keys := range [][]Recipient{{c.bob.recipient(), curve.recipient(), c.alice.recipient()}, {curve.recipient(), c.alice.recipient(), c.carol.recipient(), c.bob.recipient()}} {
		env, got, err := unsealWith(msg, ReadOptions{All: true}, keys...)
		if err != nil || !bytes.Equal(got, text) || len(env.Others) != 2 || slices.Contains(env.Others, c.carol.cert) || slices.Contains(env.Others, env.Own) {
			t.Errorf("%+v, %v", env, err)
		}
	}
}
