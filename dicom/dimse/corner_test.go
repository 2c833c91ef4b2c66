package dimse

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"carepost/dicom"
)

// answered has a Client store one instance at a peer that accepts, says what is in stored, and on release what is in released.
func answered(t *testing.T, stored, released []byte) (r Result, release error) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		read := func() (kind byte) {
			var h [pduHeader]byte
			if _, err := io.ReadFull(theirs, h[:]); err != nil {
				return 0
			}
			_, _ = io.CopyN(io.Discard, theirs, int64(h[4])<<8|int64(h[5]))
			return h[0]
		}
		say := func(b []byte) { go theirs.Write(b) } // the other side may be writing
		read()
		ac := associate{answers: []answer{{1, 0, explicit}}, length: 1 << 14}
		say(ac.compose(pduAccept))
		read() // the command
		read() // the data
		say(stored)
		for kind := read(); kind != 0; kind = read() {
			if kind == pduRelease {
				say(released)
			}
		}
	}()
	c := &Client{Calling: "A", Called: "B", Dialer: dialer(func() (net.Conn, error) { return ours, nil })}
	l, err := c.Associate(t.Context(), []Context{{testClass, explicit}})
	if err != nil {
		t.Fatal(err)
	}
	r.Status, r.Comment, r.Err = l.Store(Instance{testClass, testInstance, explicit}, strings.NewReader("\x08\x00\x05\x00CS\x00\x00"))
	if r.Err == nil {
		release = l.Release()
	}
	return r, release
}

// ATT-38, PS3.7 §9.3.1.2: an answer without a status, or to something else, is no answer that says success.
func TestAnswers(t *testing.T) {
	yes := command{field: cStore | response, id: 1, class: testClass, instance: testInstance}
	with := func(change func(*command)) []byte {
		c := yes
		change(&c)
		return c.compose()
	}
	status := []byte{0, 0, 0, 9, 2, 0, 0, 0, 0, 0}
	silent := []byte(strings.Replace(string(yes.compose()), string(status), "", 1))
	for name, tc := range map[string]struct {
		answer []byte
		want   error
	}{
		"success":                   {yes.compose(), nil},
		"success of nobody by name": {with(func(c *command) { c.instance = "" }), nil},
		"no status":                 {silent, ErrProtocol},
		"another message":           {with(func(c *command) { c.id = 2 }), ErrProtocol},
		"another instance":          {with(func(c *command) { c.instance = "1.2.3.5" }), ErrProtocol},
		"another operation":         {with(func(c *command) { c.field = cEcho | response }), ErrProtocol},
		"a request":                 {with(func(c *command) { c.field = cStore }), ErrProtocol},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := answered(t, fragmented(1, controlOrder|controlLast, tc.answer), pdu(pduReleased, make([]byte, 4)))
			if !errors.Is(r.Err, tc.want) || r.Stored() != (tc.want == nil) {
				t.Errorf("%s: %v", name, r)
			}
		})
	}
}

// ATT-38, PS3.8 §9.2.3, states 7, 9 and 11: both may ask for the release at once; who asks twice breaks the protocol, however long it could go on.
func TestReleaseAtOnce(t *testing.T) {
	yes := command{field: cStore | response, id: 1, class: testClass, instance: testInstance}
	ask, answer := pdu(pduRelease, make([]byte, 4)), pdu(pduReleased, make([]byte, 4))
	for name, tc := range map[string]struct {
		say  []byte
		want error
	}{
		"in order": {answer, nil},
		"at once":  {joined(ask, answer), nil},
		"twice":    {joined(ask, ask, answer), ErrProtocol},
		"data":     {joined(fragmented(1, 3, yes.compose()), answer), ErrProtocol},
	} {
		synctest.Test(t, func(t *testing.T) {
			if r, err := answered(t, fragmented(1, controlOrder|controlLast, yes.compose()), tc.say); !r.Stored() || !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, released with %v", name, r, err)
			}
		})
	}
}

// What one context offers: the caller's first, unless it gives up value representations or byte order and something else does not; nobody is
// led to compress what he has not compressed so that pixels are lost.
func TestChoose(t *testing.T) {
	const baseline, lossless, wavelet = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.91"
	for want, all := range map[string][][]string{
		explicit:             {{explicit, dicom.ImplicitLittle, baseline}, {dicom.ImplicitLittle, explicit, baseline}, {dicom.ImplicitLittle, baseline, explicit}},
		baseline:             {{baseline, explicit, dicom.ImplicitLittle}, {baseline}, {baseline, dicom.ImplicitLittle}},
		lossless:             {{dicom.ImplicitLittle, lossless, baseline}, {dicom.ExplicitBig, wavelet, lossless}},
		dicom.ImplicitLittle: {{dicom.ImplicitLittle, baseline, wavelet}, {dicom.ImplicitLittle}, {"1.2.3", dicom.ImplicitLittle}},
		"":                   {{"1.2.3"}, nil},
	} {
		for _, offer := range all {
			if got := choose(offer, false); got != want {
				t.Errorf("of %v: %s", offer, got)
			}
		}
	}
	if got := choose([]string{lossless, explicit}, true); got != explicit {
		t.Errorf("an echo in %s", got)
	}
}

// ATT-38: who comes from elsewhere takes no place of those who are known, and is told so all the same.
func TestStrangers(t *testing.T) {
	stranger := netip.MustParseAddr("192.0.2.9")
	s := &Server{Known: func(a netip.Addr) bool { return a != stranger }}
	c := s.crowds(Limits{Associations: 4})
	for range 100 {
		c.enter(stranger)
	}
	for i := range 2 {
		if room, ok := c.enter(netip.MustParseAddr("192.0.2.1")); !room || !ok {
			t.Errorf("caller %d has no place", i)
		}
	}
	c = s.crowds(Limits{Associations: 4})
	if room, ok := c.enter(stranger); !room || !ok {
		t.Error("a stranger alone is not heard")
	}
	c.leave(stranger)
	if len(c.strangers.by) != 0 || c.strangers.all != 0 {
		t.Error("who has left is counted")
	}
}

// Why TLS could not be had is told to the operator of the Server, without names.
func TestWhyNoTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	ends := make(chan error, 10)
	address := serve(t, &Server{Handler: &spool{}, Ended: func(_ Association, err error) { ends <- err },
		TLS: &tls.Config{Certificates: []tls.Certificate{a.issue(t, "server")}, ClientCAs: a.pool(), ClientAuth: tls.RequireAndVerifyClientCert}})
	ours := a.issue(t, "client")
	for name, tc := range map[string]struct {
		c    *tls.Config
		want string
	}{
		"none":     {&tls.Config{RootCAs: a.pool()}, "didn't provide a certificate"},
		"stranger": {&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{other.issue(t, "client")}}, "of an authority that is not named"},
		"ours":     {&tls.Config{RootCAs: other.pool(), Certificates: []tls.Certificate{ours}}, "the caller refused"},
		"plain":    {nil, "does not speak TLS"},
	} {
		cl := client(address)
		cl.TLS = tc.c
		if err := cl.Echo(deadline(t)); err == nil {
			t.Errorf("%s: an echo", name)
		}
		if err := <-ends; !errors.Is(err, ErrTLS) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "Test CA") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An instance is stored under the UID of its data set, which the caller has looked up, though its file meta group has another; in another
// transfer syntax than it is in it is not.
func TestGivenInstance(t *testing.T) {
	s := &spool{}
	address := serve(t, &Server{Handler: s})
	x := item10(append(metaHeader(Instance{testClass, "1.2.3.9", explicit}, "X"), "\x08\x00\x05\x00CS\x00\x00"...))
	x.Instance = Instance{testClass, testInstance, explicit}
	other := x
	other.TransferSyntax = dicom.ImplicitLittle
	results := client(address).Store(deadline(t), []Item{x, other}, nil)
	if !results[0].Stored() || !errors.Is(results[1].Err, ErrSource) {
		t.Errorf("%v", results)
	}
	if all := s.list(); len(all) != 1 || all[0].what != x.Instance {
		t.Errorf("%v", all)
	}
}
