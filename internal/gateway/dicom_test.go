package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/dimse"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/intake"
)

// house makes certificates with openssl: NAME.pem and NAME.key in a folder, signed by the authority ca.
type house string

func newHouse(t *testing.T) house {
	t.Helper()
	h := house(t.TempDir())
	h.openssl(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=devices",
		"-addext", "basicConstraints=critical,CA:TRUE")
	return h
}

func (h house) openssl(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = string(h)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func (h house) issue(t *testing.T, name string) {
	t.Helper()
	h.openssl(t, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-out", name+".csr", "-subj", "/CN="+name,
		"-addext", "subjectAltName=IP:127.0.0.1")
	h.openssl(t, "x509", "-req", "-in", name+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-copy_extensions", "copyall", "-out", name+".pem")
}

func (h house) file(name string) string { return filepath.Join(string(h), name) }

// config is that of a device that has a certificate, or none.
func (h house) config(t *testing.T, name string, trusts house) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	pem, err := os.ReadFile(trusts.file("ca.pem"))
	if err != nil || !c.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(h.file(name+".pem"), h.file(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// listen_tls, as carepost.toml has it: a device with a certificate of the house hands a study in, and it goes by mail; nobody else gets an
// association. A certificate of ours that was renewed is shown without a new start. PS3.15 §B.12. ATT-41.
func TestDevicesByTLS(t *testing.T) {
	h, others := newHouse(t), newHouse(t)
	for _, name := range []string{"server", "device"} {
		h.issue(t, name)
		others.issue(t, name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	imaging := addr.Address{Endpoint: "imaging", Domain: "north.example"}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Listeners.DICOMTLS = l
		o.DICOM = gateway.DICOM{AETitle: "CAREPOST", Certificate: h.file("server.pem"), Key: h.file("server.key"), CA: h.file("ca.pem"), Quiet: 200 * time.Millisecond,
			Routes: []intake.Route{{Name: "all", From: imaging, To: []addr.Address{{Endpoint: "desk", Domain: "north.example"}}}}}
	}, "north.example")
	p := w.All[0]
	if err := p.AddAccount(t.Context(), gatewaytest.Actor, imaging); err != nil {
		t.Fatal(err)
	}
	p.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	echo := func(c *tls.Config) error {
		x := dimse.Client{Address: l.Addr().String(), Calling: "CT1", Called: "CAREPOST", Dialer: &net.Dialer{}, TLS: c}
		return x.Echo(ctx)
	}
	old := h.config(t, "device", h)
	old.MaxVersion = tls.VersionTLS11
	for name, c := range map[string]*tls.Config{
		"in clear": nil, "without a certificate": h.config(t, "", h), "with one of another authority": others.config(t, "device", h),
		"of TLS 1.1": old, "that does not know us": h.config(t, "device", others),
	} {
		if err := echo(c); err == nil {
			t.Errorf("a device %s gets an association", name)
		}
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	files, err := filepath.Glob("../demo/study/files/*.dcm")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	args := append([]string{"+tls", h.file("device.key"), h.file("device.pem"), "+cf", h.file("ca.pem"), "-aet", "CT1", "-aec", "CAREPOST", "127.0.0.1", port}, files...)
	if out, err := exec.CommandContext(ctx, "storescu", args...).CombinedOutput(); err != nil {
		t.Fatalf("storescu: %v\n%s", err, out)
	}
	if m := p.Inbox(t, 1)[0]; m.Subject != "DICOM-ZIP" {
		t.Errorf("%q", m.Subject)
	}
	all, err := p.Intake().List(ctx, gatewaytest.Actor, true)
	if err != nil || len(all) != 1 || all[0].Calling != "CT1" || all[0].Objects != 4 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, name := range []string{"server.key", "server.pem"} {
		b, err := os.ReadFile(others.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.file(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := echo(h.config(t, "device", others)); err != nil {
		t.Errorf("after a renewal: %v", err)
	}
}
