package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/sasl"
	"carepost/smtp"
)

// Through is a server that sends for us, an e-mail provider's say: it takes mail for others once it knows who we are (RFC 6409, RFC 4954).
// Nothing is said to it without TLS whose certificate names it.
type Through struct {
	Address     string // host:port
	Implicit    bool   // TLS from the first byte (RFC 8314 §3.3), instead of STARTTLS
	TLS         *tls.Config
	Credentials sasl.Credentials // without a user it is asked to send without having been told who we are
	Domains     []addr.Domain    // of the recipients; nil: all to whom no other way is known
}

// through is the server that sends to d; nil: there is none.
func (c *Client) through(d addr.Domain) *Through {
	var all *Through
	for i := range c.opts.Through {
		switch t := &c.opts.Through[i]; {
		case slices.Contains(t.Domains, d):
			return t
		case t.Domains == nil && all == nil:
			all = t
		}
	}
	if _, routed := c.opts.Routes[d]; routed {
		return nil
	}
	return all
}

// Trouble is why a server does not send for us.
type Trouble struct {
	Server string // host:port
	Text   string // no addresses
	Since  time.Time
}

// troubles with servers that send for us.
type troubles struct {
	mu sync.Mutex
	of map[string]Trouble
}

// note keeps what is wrong, or, with nothing, that all is well.
func (t *troubles) note(server, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text == "" {
		delete(t.of, server)
		return
	}
	if t.of == nil {
		t.of = map[string]Trouble{}
	}
	since := t.of[server].Since
	if since.IsZero() {
		since = time.Now()
	}
	t.of[server] = Trouble{server, text, since}
}

// Troubles lists the servers that were asked to send for us and did not.
func (c *Client) Troubles() (out []Trouble) {
	c.troubles.mu.Lock()
	defer c.troubles.mu.Unlock()
	for _, t := range c.troubles.of {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Trouble) int { return cmp.Compare(a.Server, b.Server) })
	return out
}

// unreached is the fault of a connection that did not come about.
func (v *delivery) unreached(err error) *fault {
	f := &fault{enhanced: "4.4.1", text: "connecting: " + err.Error(), another: true}
	if v.through != nil {
		f.text = "no connection to the server that sends for us: " + err.Error()
		v.c.troubles.note(v.through.Address, f.text)
	}
	return f
}

// meet begins, as far as the answer to EHLO, and further where it sends for us.
func (s *session) meet(ctx context.Context, sec Security, plain bool) *fault {
	via := s.v.through
	if via == nil {
		if f := s.greeting(ctx); f != nil {
			return f
		}
		return s.secure(ctx, sec, plain)
	}
	f := s.introduce(ctx, via)
	s.v.c.troubles.note(via.Address, f.words())
	return f
}

func (f *fault) words() string {
	if f == nil {
		return ""
	}
	return f.text
}

// introduce is meet for a server that sends for us.
func (s *session) introduce(ctx context.Context, via *Through) *fault {
	if via.Implicit {
		if f := s.shake(ctx, Verified); f != nil {
			return f
		}
	}
	if f := s.greeting(ctx); f != nil {
		return f
	}
	if !via.Implicit {
		if f := s.secure(ctx, Verified, false); f != nil {
			return f
		}
	}
	if via.Credentials.User == "" {
		return nil
	}
	return s.authenticate(ctx, via.Credentials)
}

// authenticate is AUTH (RFC 4954 §4). That a server does not know us is no fault of the mail: it waits until somebody has mended that.
func (s *session) authenticate(ctx context.Context, who sasl.Credentials) *fault {
	wrong := func(code int, text string) *fault {
		return &fault{code: code, enhanced: "4.7.8", text: text, another: true}
	}
	offered, ok := s.ext["AUTH"]
	client := who.Choose(strings.Fields(offered))
	if !ok || client == nil {
		return wrong(0, "the server that sends for us offers no way to sign in that we know: SCRAM-SHA-256, PLAIN or LOGIN")
	}
	name, initial, err := client.Start()
	if err != nil {
		return wrong(0, err.Error())
	}
	line := "AUTH " + name
	if initial != nil {
		line += " " + cmp.Or(base64.StdEncoding.EncodeToString(initial), "=")
	}
	t := s.v.c.opts.Timeouts.Hello
	r, f := s.ask(ctx, t, line)
	for rounds := 0; f == nil && r.Code == 334; rounds++ {
		challenge, answer := []byte(nil), []byte(nil)
		if len(r.Text) > 0 {
			challenge, err = base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text[0]))
		}
		if err == nil {
			answer, err = client.Next(challenge)
		}
		if err != nil || rounds > 4 {
			if r, f = s.asking(ctx, t, "AUTH", "*"); f != nil { // RFC 4954 §4: given up
				return f
			}
			return wrong(0, "signing in to the server that sends for us: its side of "+name+" is wrong")
		}
		r, f = s.asking(ctx, t, "AUTH", base64.StdEncoding.EncodeToString(answer))
	}
	switch {
	case f != nil:
		return f
	case !r.Positive():
		return wrong(r.Code, "the server that sends for us does not take user and password: "+s.v.hidden.words(r))
	}
	if err := client.Proven(); err != nil {
		return wrong(0, "signing in to the server that sends for us: "+err.Error())
	}
	return nil
}

// unknown says that a server which sends for us refuses because of us, not because of the mail (RFC 4954 §6).
func unknown(r smtp.Reply) bool {
	switch r.Code {
	case 530, 534, 535, 538:
		return true
	}
	return r.Enhanced == "5.7.8" || r.Enhanced == "5.7.9"
}

// refused is the answer of a server that sends for us, which would have us sign in (again).
func refused(r smtp.Reply, words string) *fault {
	return &fault{result: transit.Deferred, code: r.Code, enhanced: "4.7.8", another: true, text: "the server that sends for us wants to be signed in to: " + words}
}
