package collect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/imap"
	"carepost/internal/store"
	"carepost/pop3"
)

// A password that is not taken: long pauses, for providers shut accounts that guess; the reason shows neither it nor the user.
func TestWrongPassword(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p, func(x *Source) { x.Manual = false })
	p.set(func() { p.password = "another" })
	for n, want := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour} {
		began := h.now()
		h.round(0, 0, 0, wrongPassword)
		told := h.told()
		if !strings.HasPrefix(told.Error, wrongPassword) || strings.Contains(told.Error, "north") || strings.Contains(told.Error, "their secret") {
			t.Errorf("%q", told.Error)
		}
		if got := told.Next.Sub(began); got != want || h.due(t.Context(), h.sources[0]) != want {
			t.Errorf("after %d times: %s, want %s", n+1, got, want)
		}
		if !told.Heard.IsZero() || !told.Since.Equal(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)) || !told.Tried.Equal(began) {
			t.Errorf("%+v", told)
		}
		h.pass(want)
	}
	p.set(func() { p.password = "their secret" })
	h.round(1, 0, 1, "")
	if told := h.told(); told.Error != "" || !told.Since.IsZero() || !told.Heard.Equal(h.now()) || told.Next.Sub(h.now()) != every {
		t.Errorf("%+v", told)
	}
}

// Pauses: the interval while all is well, twice as long each time while not, an hour at most; never shorter than the interval.
func TestPause(t *testing.T) {
	wrong := wrongPassword + ": no"
	for _, c := range []struct {
		interval time.Duration
		failed   int
		reason   string
		want     time.Duration
	}{
		{every, 0, "", every}, {every, 1, "x", every}, {every, 2, "x", 2 * every}, {every, 5, "x", longest}, {every, 1 << 40, "x", longest},
		{10 * time.Second, 1, "x", 10 * time.Second}, {10 * time.Second, 9, "x", 2560 * time.Second}, {10 * time.Second, 1, wrong, unknown},
		{24 * time.Hour, 1, "x", 24 * time.Hour}, {24 * time.Hour, 9, wrong, 24 * time.Hour}, {every, 1 << 40, wrong, 4 * longest},
	} {
		if got := pause(c.interval, store.CollectDetail{Failed: c.failed, Error: c.reason}); got != c.want {
			t.Errorf("%s, %d times %q: %s, want %s", c.interval, c.failed, c.reason, got, c.want)
		}
	}
}

// DCM-30. No network: that is said in plain words, and what is heard of the domain stays as it was. Heard is that of the mailbox that was heard least.
func TestNetworkAway(t *testing.T) {
	p := newProvider(t)
	h := newHouse(t, p)
	if until, fetched, err := h.Heard(t.Context(), desk.Domain); !until.IsZero() || !fetched || err != nil {
		t.Errorf("before the first round: %v %v %v", until, fetched, err)
	}
	h.round(0, 0, 0, "")
	heard := h.now()
	h.pass(time.Hour)
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: "no such host", Name: "pop.provider.example"}, "the provider's host is not found; perhaps there is no connection to the network"},
		{&net.OpError{Op: "dial", Err: errors.New("network is unreachable")}, "the provider's host is not reached; perhaps there is no connection to the network: network is unreachable"},
		{errors.New("odd"), "pop3: odd"},
	} {
		h.o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
		h.round(0, 0, 0, c.want)
		if told := h.told(); told.Error != c.want || !told.Heard.Equal(heard) || !told.Tried.Equal(h.now()) || !told.Next.IsZero() {
			t.Errorf("%+v", told)
		}
		if until, fetched, err := h.Heard(t.Context(), desk.Domain); !until.Equal(heard) || !fetched || err != nil {
			t.Errorf("%v %v %v", until, fetched, err)
		}
	}
	if _, fetched, err := h.Heard(t.Context(), "south.example"); fetched || err != nil {
		t.Errorf("not fetched: %v %v", fetched, err)
	}
	second := h.sources[0].Source
	second.Address, second.For = "127.0.0.1:9", addr.Address{Endpoint: "ward", Domain: desk.Domain}
	s := New(Options{Store: h.rows, Sources: []Source{h.sources[0].Source, second}, Clock: h.now})
	if until, fetched, err := s.Heard(t.Context(), desk.Domain); !until.IsZero() || !fetched || err != nil {
		t.Errorf("one of two was never heard: %v %v %v", until, fetched, err)
	}
	for _, err := range []error{pop3.ErrCredentials, fmt.Errorf("x: %w", imap.ErrCredentials)} {
		if !strings.HasPrefix(told(err), wrongPassword) {
			t.Error(told(err))
		}
	}
}

// A clock that was fast for a while, as those without a battery are, keeps no mail waiting for years.
func TestClockBack(t *testing.T) {
	h := newHouse(t, newProvider(t), func(x *Source) { x.Manual = false })
	h.pass(10 * 365 * 24 * time.Hour)
	h.round(0, 0, 0, "")
	h.pass(-10 * 365 * 24 * time.Hour)
	if got := h.due(t.Context(), h.sources[0]); got != every {
		t.Errorf("%s", got)
	}
}

// Run has its first round at once and ends with its context, and so does who waits for a round of another.
func TestRun(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p, func(x *Source) { x.Manual = false })
	ctx, cancel := context.WithCancel(t.Context())
	within, held := make(chan bool), make(chan bool)
	p.answers(func(_ int, line string) (string, bool) {
		if line == "QUIT" {
			within <- true
			<-held
		}
		return "", false
	})
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	<-within
	short, over := context.WithCancel(t.Context())
	over()
	if got := h.Now(short)[0]; got.Error == "" || got.Fetched != (Fetched{}) {
		t.Errorf("it waited for another's round, and its time was over: %+v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(held)
	if told := h.told(); len(h.texts()) != 1 || told.Error != "" || !told.Tried.IsZero() {
		t.Errorf("stopped by us: %+v", told)
	}
}

// A server that says nothing is waited for as long as a read may last, and one that does not read no longer.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, them := net.Pipe()
		defer them.Close()
		began := time.Now()
		if _, err := (patient{us}).Read(make([]byte, 1)); err == nil || time.Since(began) != idle {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		began = time.Now()
		if _, err := (patient{us}).Write(make([]byte, 1)); err == nil || time.Since(began) != idle {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
