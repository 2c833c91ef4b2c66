package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"

	"carepost/internal/transit"
	"carepost/smtp"
)

// secure is STARTTLS (RFC 3207).
func (s *session) secure(ctx context.Context, sec Security, plain bool) *fault {
	_, offered := s.ext["STARTTLS"]
	if plain || !offered && sec == Opportunistic {
		return nil
	}
	if !offered {
		return &fault{enhanced: "4.7.4", text: "TLS is wanted, the server does not offer it", another: true}
	}
	t := s.v.c.opts.Timeouts.Hello
	r, f := s.ask(ctx, t, "STARTTLS")
	if f != nil {
		return f
	}
	if r.Code != 220 {
		if sec == Opportunistic {
			return nil
		}
		f := s.v.said(r)
		f.result, f.another = transit.Deferred, true
		return f
	}
	if s.r.Buffered() > 0 { // words sent in clear must not pass for words said under TLS
		return &fault{enhanced: "4.7.0", text: "the server, or somebody between, sent text after its reply to STARTTLS", another: true}
	}
	if f := s.shake(ctx, sec); f != nil {
		return f
	}
	return s.hello(ctx, false) // RFC 3207 §4.2: what was learned before counts no more
}

// shake begins TLS.
func (s *session) shake(ctx context.Context, sec Security) *fault {
	cfg, verified := s.config(sec)
	conn := tls.Client(s.conn, cfg)
	s.deadline(s.v.c.opts.Timeouts.Hello)
	if err := conn.HandshakeContext(ctx); err != nil {
		return &fault{enhanced: "4.7.5", text: "TLS: " + err.Error(), another: true, clear: true}
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	s.r, s.w = smtp.NewReader(s), bufio.NewWriterSize(s, 4<<10)
	s.tls = tls.VersionName(conn.ConnectionState().Version)
	if *verified {
		s.tls += ", verified"
	}
	s.named(false)
	return nil
}

// config says under TLS whether the certificate is good for the host; only Verified insists on it.
func (s *session) config(sec Security) (cfg *tls.Config, verified *bool) {
	verified = new(bool)
	cfg = s.v.c.opts.TLS.Clone()
	if s.v.through != nil {
		cfg = s.v.through.TLS.Clone()
	}
	cfg.ServerName = s.host
	cfg.InsecureSkipVerify = true // VerifyConnection does it, and notes the result
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		chain := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			chain.AddCert(c)
		}
		o := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: chain, DNSName: s.host}
		if cfg.Time != nil {
			o.CurrentTime = cfg.Time()
		}
		_, err := state.PeerCertificates[0].Verify(o)
		*verified = err == nil
		if sec == Verified {
			return err
		}
		return nil
	}
	return cfg, verified
}
