package gateway_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
)

// What the pilot authority renews by itself is never told of; the files of [tls] are: in the log and the audit once for each step, over new
// starts too, and in the status for as long as it is so. DIR-06.
func TestEndsAreTold(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	files := gateway.TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	write := func(until time.Time) {
		t.Helper()
		c := ca.sign(&x509.Certificate{DNSNames: []string{"mx.north.example"}, NotAfter: until}, ca.key.Public())
		key, err := x509.MarshalPKCS8PrivateKey(ca.key)
		if err != nil {
			t.Fatal(err)
		}
		for path, b := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: c.Raw}, files.Key: {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := time.Now()
	write(start.AddDate(1, 0, 0))
	var later atomic.Int64
	var log bytes.Buffer
	serve := func(entries int) (s admind.Status) {
		t.Helper()
		l, err := gateway.Loopback()
		if err != nil {
			t.Fatal(err)
		}
		g, err := gateway.Open(t.Context(), gateway.Options{
			Dir: filepath.Join(dir, "north"), Domain: "north.example", Pilot: true, Listeners: l, TLS: files, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Clock: func() time.Time { return start.Add(time.Duration(later.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		told := func() (out []audit.Record) {
			out, err := g.Audit(t.Context(), audit.Filter{Action: "certificate.ends"})
			if err != nil {
				t.Error(err)
			}
			return out
		}
		gatewaytest.Until(t, func() bool { return len(told()) == entries }, func() string { return "so many entries of the audit" })
		c, done := admind.Pair(g.Admind())
		if s, err = c.Status(t.Context()); err != nil {
			t.Error(err)
		}
		done()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return s
	}
	if s := serve(0); len(s.Expiring) != 0 {
		t.Errorf("%+v", s.Expiring)
	}
	later.Store(int64(363 * 24 * time.Hour)) // what the authority issued has been renewed meanwhile
	for range 2 {
		s := serve(1)
		if len(s.Expiring) != 1 || s.Expiring[0].Kind != "server" || s.Expiring[0].Days != 7 || !strings.Contains(strings.Join(s.Warnings, "\n"), "[tls]") {
			t.Errorf("%+v", s)
		}
	}
	later.Store(int64(367 * 24 * time.Hour))
	if s := serve(2); len(s.Expiring) != 1 || !s.Expiring[0].Ended {
		t.Errorf("%+v", s.Expiring)
	}
	if text := log.String(); strings.Count(text, "a certificate ends soon") != 1 || strings.Count(text, "a certificate has ended") != 1 {
		t.Error(text)
	}
	write(start.AddDate(2, 0, 0))
	if s := serve(2); len(s.Expiring) != 0 {
		t.Errorf("after it was replaced: %+v", s.Expiring)
	}
}
