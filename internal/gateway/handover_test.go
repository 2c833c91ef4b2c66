package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/handover"
)

// pki is an authority whose files lie in a folder, as an operator has them.
type pki struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	a := &pki{dir: t.TempDir()}
	a.issue(t, "ca")
	return a
}

func (a *pki) file(name string) string { return filepath.Join(a.dir, name) }

// issue makes NAME.pem and NAME.key for 127.0.0.1; the first is the authority.
func (a *pki) issue(t *testing.T, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	parent, by := a.cert, a.key
	if a.cert == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, by = c, key
	} else {
		c.IPAddresses, c.KeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		a.key = key
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// taking is the other side of one [[dicom.out]].
func taking(t *testing.T, x Out) handover.Taker {
	t.Helper()
	to, err := x.taker()
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// A STOW-RS server is spoken with by TLS 1.2 or later alone, under an authority that carepost.toml names, with what it says that we show;
// redirections are not followed, and nothing of a study or a secret goes to whom we do not know. ATT-42.
func TestSTOWByTLS(t *testing.T) {
	house, others := newPKI(t), newPKI(t)
	house.issue(t, "server")
	house.issue(t, "ours")
	others.issue(t, "ours")
	var asked, bodies atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			bodies.Add(1)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, "/dicom-web/studies", http.StatusTemporaryRedirect)
		case r.Header.Get("Authorization") != "Bearer the token":
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	serve := func(version uint16) string {
		pair, err := tls.LoadX509KeyPair(house.file("server.pem"), house.file("server.key"))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(house.cert)
		s := httptest.NewUnstartedServer(handler)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS10, MaxVersion: version}
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	now, old := serve(tls.VersionTLS13), serve(tls.VersionTLS11)
	good := Out{Name: "archive", STOW: now + "/dicom-web", CA: house.file("ca.pem"), Certificate: house.file("ours.pem"), Key: house.file("ours.key"), Token: "the token"}
	if err := taking(t, good).Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	asked.Store(0)
	study := []fileset.Content{{Instance: fileset.Instance{SOPClass: "1.2", SOPInstance: "1.2.3", Size: 5}, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("study")), nil }}}
	for name, tc := range map[string]struct {
		change func(*Out)
		want   string
	}{
		"authorities of this host":            {func(o *Out) { o.CA = "" }, "certificate is not to be believed"},
		"another authority":                   {func(o *Out) { o.CA = others.file("ca.pem") }, "certificate is not to be believed"},
		"we show nothing":                     {func(o *Out) { o.Certificate, o.Key = "", "" }, "no connection"},
		"we show what another authority made": {func(o *Out) { o.Certificate, o.Key = others.file("ours.pem"), others.file("ours.key") }, "no connection"},
		"an old version":                      {func(o *Out) { o.STOW = old + "/dicom-web" }, "no connection"},
		"another name":                        {func(o *Out) { o.STOW = strings.Replace(o.STOW, "127.0.0.1", "localhost", 1) }, "certificate is not to be believed"},
	} {
		x := good
		tc.change(&x)
		err := taking(t, x).Give(t.Context(), study, func(int, handover.Outcome) error { t.Errorf("%s: something is known", name); return nil }, func() error { return nil })
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests got through", n)
	}
	moved, unknown := good, good
	moved.STOW, unknown.Token = now+"/moved", "another"
	for _, x := range []Out{moved, unknown} {
		if err := taking(t, x).Reach(t.Context()); err == nil {
			t.Errorf("%s: answers", x.STOW)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d requests: a redirection was followed", n)
	}
	if n := bodies.Load(); n != 0 {
		t.Errorf("%d bodies went to whom we do not know", n)
	}
	// What we show is replaced while we run; what cannot be used is told at the start.
	house.issue(t, "ours")
	if err := taking(t, good).Reach(t.Context()); err != nil {
		t.Error(err)
	}
	for _, wrong := range []Out{{Name: "a", STOW: now, CA: house.file("ca.key")}, {Name: "a", STOW: now, CA: house.file("none")}, {Name: "a", STOW: now, Certificate: house.file("ours.pem"), Key: others.file("ours.key")}} {
		if err := CheckOuts([]Out{wrong}); err == nil {
			t.Errorf("%+v: is in order", wrong)
		}
	}
}

// DCMTK's SCP is spoken with by TLS, each side under the authority that the other names.
func TestDIMSEByTLS(t *testing.T) {
	house, others := newPKI(t), newPKI(t)
	house.issue(t, "server")
	house.issue(t, "ours")
	others.issue(t, "ours")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	var said bytes.Buffer
	scp := exec.Command("storescp", "-aet", "ARCHIVE", "+xa", "-od", t.TempDir(), "+tls", house.file("server.key"), house.file("server.pem"), "+cf", house.file("ca.pem"), port)
	scp.Stdout, scp.Stderr = &said, &said
	if err := scp.Start(); err != nil {
		t.Fatalf("storescp (scripts/peers): %v", err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = scp.Process.Kill()
			_ = scp.Wait()
		}
	}
	t.Cleanup(end)
	good := Out{Name: "pacs", Address: address, Called: "ARCHIVE", Calling: "CAREPOST", CA: house.file("ca.pem"), Certificate: house.file("ours.pem"), Key: house.file("ours.key")}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(time.Minute); ; <-tick.C {
		if err = taking(t, good).Reach(t.Context()); err == nil {
			break
		}
		if time.Now().After(late) {
			end()
			t.Fatalf("%v\n%s", err, &said)
		}
	}
	for name, change := range map[string]func(*Out){
		"authorities of this host": func(o *Out) { o.CA = "" },
		"another authority":        func(o *Out) { o.CA = others.file("ca.pem") },
		"we show nothing":          func(o *Out) { o.Certificate, o.Key = "", "" },
		"another authority's":      func(o *Out) { o.Certificate, o.Key = others.file("ours.pem"), others.file("ours.key") },
		"plain":                    func(o *Out) { *o = Out{Address: address, Called: "ARCHIVE", Calling: "CAREPOST", Plain: true} },
	} {
		x := good
		change(&x)
		if err := taking(t, x).Reach(t.Context()); err == nil {
			t.Errorf("%s: answers", name)
		}
	}
}
