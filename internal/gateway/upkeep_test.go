package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/smtp"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/resolver"
)

// An installation that runs for months replaces its certificates in time, publishes the new one and shows its new face to those who
// deliver, without a new start. What was revoked is replaced too. DIR-06, DIR-53, DIR-60.
func TestUpkeep(t *testing.T) {
	l, err := gateway.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	var later atomic.Int64
	g, err := gateway.Open(t.Context(), gateway.Options{
		Dir: filepath.Join(t.TempDir(), "north"), Domain: "north.example", Pilot: true, Listeners: l, Upkeep: 10 * time.Millisecond,
		Clock: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	defer func() {
		stop(errors.New("interrupt signal received")) // as signal.NotifyContext says it: no failure of ours
		if err := <-ended; err != nil {
			t.Errorf("the run ended with %v", err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()

	published, shown := publishedBy(t, l), shownBy(t, l)
	replaced := func(what string) {
		t.Helper()
		gatewaytest.Until(t, func() bool { p := publishedBy(t, l); return p != nil && !bytes.Equal(p, published) }, func() string { return what })
		published = publishedBy(t, l)
		if !bytes.Equal(published, organisational(t, g)) {
			t.Error("what is published is not what signs")
		}
	}
	later.Store(int64(250 * 24 * time.Hour))
	replaced("a certificate in place of one that ends soon")
	gatewaytest.Until(t, func() bool { return !bytes.Equal(shownBy(t, l), shown) }, func() string { return "another server certificate" })

	if err := g.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	replaced("a certificate in place of one that is revoked")
}

// A broken file of [tls] keeps nobody's certificates from being replaced and published, and the server certificate from before is shown
// on; one that is exchanged is shown without a reload.
func TestUpkeepWithBrokenTLS(t *testing.T) {
	l, err := gateway.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	ca, dir := newAuthority(t), t.TempDir()
	files := gateway.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	write := func() []byte {
		t.Helper()
		c := ca.sign(&x509.Certificate{DNSNames: []string{"mx.north.example"}, NotAfter: time.Now().Add(time.Hour)}, ca.key.Public())
		key, err := x509.MarshalPKCS8PrivateKey(ca.key)
		if err != nil {
			t.Fatal(err)
		}
		for path, b := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: c.Raw}, files.Key: {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return c.Raw
	}
	first := write()
	var later atomic.Int64
	g, err := gateway.Open(t.Context(), gateway.Options{
		Dir: filepath.Join(t.TempDir(), "north"), Domain: "north.example", Pilot: true, Listeners: l, Upkeep: 10 * time.Millisecond, TLS: files,
		Clock: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	published := publishedBy(t, l)
	later.Store(int64(250 * 24 * time.Hour))
	gatewaytest.Until(t, func() bool { p := publishedBy(t, l); return p != nil && !bytes.Equal(p, published) },
		func() string { return "another certificate, although a file is missing" })
	if !bytes.Equal(shownBy(t, l), first) {
		t.Error("another server certificate is shown")
	}
	second := write()
	gatewaytest.Until(t, func() bool { return bytes.Equal(shownBy(t, l), second) }, func() string { return "the exchanged certificate" })
}

// publishedBy asks DNS for the certificate of the domain; nil where there is none.
func publishedBy(t *testing.T, l gateway.Listeners) []byte {
	t.Helper()
	c := resolver.Client{Servers: []string{l.DNSTCP.Addr().String()}}
	certs, err := c.CERT(t.Context(), "north.example")
	if errors.Is(err, resolver.ErrNotFound) {
		return nil
	}
	if err != nil || len(certs) != 1 {
		t.Fatalf("%d certificates: %v", len(certs), err)
	}
	return certs[0].Data
}

// shownBy is the certificate that SMTP shows after STARTTLS.
func shownBy(t *testing.T, l gateway.Listeners) []byte {
	t.Helper()
	c, err := smtp.Dial(l.MX.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	state, _ := c.TLSConnectionState()
	if _, err := x509.ParseCertificate(state.PeerCertificates[0].Raw); err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].Raw
}
