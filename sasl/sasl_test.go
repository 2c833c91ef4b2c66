package sasl

import (
	"errors"
	"strings"
	"testing"
)

// ATT-44: the exchange of RFC 7677 §3, and servers that lie in it.
func TestSCRAM(t *testing.T) {
	const first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	const last = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	begin := func() *scram {
		s := &scram{Credentials: Credentials{"user", "pencil"}, nonce: "rOprNGfwEbeRWgbNEkqO"}
		if _, initial, err := s.Start(); err != nil || string(initial) != "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" {
			t.Fatalf("%q %v", initial, err)
		}
		return s
	}
	s := begin()
	got, err := s.Next([]byte(first))
	const want = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || string(got) != want {
		t.Fatalf("%q %v", got, err)
	}
	if err := s.Proven(); !errors.Is(err, ErrServer) {
		t.Errorf("a yes before the proof: %v", err)
	}
	if got, err := s.Next([]byte(last)); err != nil || len(got) != 0 || s.Proven() != nil {
		t.Errorf("%q %v %v", got, err, s.Proven())
	}
	if _, err := s.Next(nil); !errors.Is(err, ErrServer) {
		t.Errorf("a third challenge: %v", err)
	}
	for name, lie := range map[string]string{
		"another nonce":    strings.Replace(first, "r=rO", "r=xx", 1),
		"our nonce alone":  "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"few iterations":   strings.Replace(first, "4096", "1", 1),
		"many iterations":  strings.Replace(first, "4096", "2000000000", 1),
		"negative":         strings.Replace(first, "4096", "-4096", 1),
		"no salt":          strings.Replace(first, "W22ZaJ0SNY7soEsUEjb6gQ==", "", 1),
		"no base64":        strings.Replace(first, "W22Z", "!!!!", 1),
		"must be known":    "m=x," + first,
		"nothing":          "",
		"too long":         first + strings.Repeat(",x", maxChallenge),
		"an error instead": "e=other-error",
	} {
		if _, err := begin().Next([]byte(lie)); !errors.Is(err, ErrServer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, lie := range []string{"", "v=", "v=AAAA", "e=invalid-proof"} {
		s := begin()
		if _, err := s.Next([]byte(first)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next([]byte(lie)); !errors.Is(err, ErrServer) || s.Proven() == nil {
			t.Errorf("%q: %v", lie, err)
		}
	}
}

func TestChoose(t *testing.T) {
	c := Credentials{"u,=", "p"}
	for offered, want := range map[string]string{
		"plain LOGIN": "PLAIN \x00u,=\x00p", "login": "LOGIN ", "SCRAM-SHA-256 PLAIN": "SCRAM-SHA-256 n,,n=u=2C=3D,r=", "SCRAM-SHA-1 XOAUTH2": "", "": "",
	} {
		client, got := c.Choose(strings.Fields(offered)), ""
		if client != nil {
			name, initial, err := client.Start()
			if err != nil {
				t.Fatal(err)
			}
			got = name + " " + string(initial)
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", offered, got)
		}
	}
	l := c.Choose([]string{"LOGIN"})
	for _, want := range []string{"u,=", "p"} {
		if got, err := l.Next([]byte("Username:")); err != nil || string(got) != want {
			t.Errorf("%q %v", got, err)
		}
	}
	if _, err := l.Next(nil); !errors.Is(err, ErrServer) {
		t.Error(err)
	}
	if _, _, err := (Credentials{"u\x00", "p"}).Choose([]string{"PLAIN"}).Start(); err == nil {
		t.Error("a NUL was sent")
	}
}

// What servers say goes into reports and logs: neither user nor password, in whatever case they repeat them, nor addresses.
func TestHide(t *testing.T) {
	c := Credentials{User: "Praxis", Password: "s3cret (1)"}
	got := c.Hide("PRAXIS, or praxis@north.example, with S3CRET (1): no such user praxis\x00")
	if want := "<...>, or <...> with <...>: no such user <...>?"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
