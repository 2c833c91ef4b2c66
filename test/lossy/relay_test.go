// Package lossy joins two gateways by a relay that loses mail, doubles it, holds it back and puts it out of order.
package lossy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/smtp"
	"net/textproto"
	"sync"
	"testing"
	"time"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
)

// What the relay does with a message, each in a hundred.
const (
	refused   = 4 // not taken for now
	unheard   = 4 // taken, but the sender hears no 250 and sends it again
	dropped   = 3 // taken, and never seen again
	doubled   = 8 // passed on twice or three times
	held      = 6 // for seconds
	forgotten = 2 // until long after its deadline
)

// relay takes mail for one side and passes it on, or not.
type relay struct {
	tb       testing.TB
	addr     string // where it listens
	to       string // where it passes mail on
	patience time.Duration

	ctx     context.Context
	work    sync.WaitGroup // what is held
	mu      sync.Mutex
	counted map[string]int
}

// between starts a relay, which passes mail on once it is told where to. It ends with the test.
func between(tb testing.TB, patience time.Duration) *relay {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{tb: tb, addr: l.Addr().String(), patience: patience, counted: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	s := smtpd.New(smtpd.Options{Hostname: "relay.example", Accept: r.accept})
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		r.work.Wait()
	})
	return r
}

func (r *relay) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted[what]++
}

// one in a hundred, n times over.
func happens(n int) bool { return rand.IntN(100) < n }

var errNotNow = errors.New("lossy: not now")

func (r *relay) accept(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	if happens(refused) {
		r.count("refused")
		return "", errNotNow
	}
	copies := 1
	switch {
	case happens(dropped):
		r.count("dropped")
		copies = 0
	case happens(doubled):
		r.count("doubled")
		copies = 2 + rand.IntN(2)
	}
	for range copies {
		delay := rand.N(time.Second) // enough for others to overtake
		switch {
		case happens(forgotten):
			r.count("forgotten")
			delay = r.patience + rand.N(r.patience/4)
		case happens(held):
			r.count("held")
			delay = rand.N(r.patience / 3)
		}
		r.work.Go(func() { r.pass(env, text, delay) })
	}
	if happens(unheard) {
		r.count("unheard")
		return "", errNotNow
	}
	r.count("taken")
	return "lossy", nil
}

// pass hands a message on after a while, and again until it is taken: the server may be between two lives.
func (r *relay) pass(env transit.Envelope, text []byte, delay time.Duration) {
	for {
		select {
		case <-time.After(delay):
		case <-r.ctx.Done():
			return
		}
		err := r.send(env, text)
		if err == nil {
			return
		}
		if no := (*textproto.Error)(nil); errors.As(err, &no) && no.Code >= 500 {
			r.tb.Errorf("the server refuses what it took once, or should take: %v", err)
			return
		}
		delay = 200 * time.Millisecond
	}
}

func (r *relay) send(env transit.Envelope, text []byte) error {
	conn, err := net.DialTimeout("tcp", r.to, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "relay.example")
	if err != nil {
		return err
	}
	if err := c.Mail(env.From.Address.String()); err != nil {
		return err
	}
	for _, to := range env.To {
		if err := c.Rcpt(to.String()); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
		return err
	}
	return w.Close()
}
