package dicomweb

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/stow"
	"carepost/dicom/stow/stowtest"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/intake"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

var (
	imaging = addr.Address{Endpoint: "imaging", Domain: "north.example"}
	lab     = addr.Address{Endpoint: "lab", Domain: "south.example"}
)

// house is a Server before an empty intake.
type house struct {
	*Server
	intake *intake.Service
	url    string
	log    safe
}

// safe is a buffer for several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func newHouse(t *testing.T, reserve int64, secure *tls.Config) *house {
	t.Helper()
	dir := storetest.Dir(t, filepath.Join(t.TempDir(), "data"))
	rows, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: storetest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	blobs, err := blob.New(blob.Options{Dir: dir, Box: rows.Box(), Reserve: reserve})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{}
	h.intake = intake.New(intake.Options{Store: rows, Blobs: blobs, Flow: flow.New(flow.Options{Store: rows, Blobs: blobs}),
		Routes: []intake.Route{{From: imaging, To: []addr.Address{lab}}}})
	h.Server = New(Options{Intake: h.intake, TLS: secure, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		Clients: []Client{{"ris", "a token", imaging}, {"nobody", "another token", addr.Address{}}},
		SignIn: func(_ context.Context, peer netip.Addr, user, password string) (addr.Address, error) {
			switch {
			case user != "imaging@north.example" || !peer.IsLoopback():
				return addr.Address{}, ErrCredentials
			case password == "often":
				return addr.Address{}, ErrTooMany
			case password == "busy":
				return addr.Address{}, errors.New("busy")
			case password != "secret":
				return addr.Address{}, ErrCredentials
			}
			return imaging, nil
		}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + l.Addr().String() + "/dicom-web"
	if secure != nil {
		h.url = "https" + h.url[4:]
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// objects are the four of the study of the demonstration.
func objects(t *testing.T) (out []stow.Object) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "demo", "study", "files", "*.dcm"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		x, _, _, ok := peek(bytes.NewReader(b))
		if !ok {
			t.Fatal(name)
		}
		out = append(out, object(x.SOPClass, x.SOPInstance, b))
	}
	return out
}

func object(class, instance string, b []byte) stow.Object {
	return stow.Object{SOPClass: class, SOPInstance: instance, Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func (h *house) client(with func(*http.Request)) *stow.Client {
	c := &stow.Client{HTTP: http.DefaultClient, URL: h.url, Header: http.Header{}}
	req := &http.Request{Header: c.Header}
	with(req)
	return c
}

func basic(r *http.Request)  { r.SetBasicAuth("imaging@north.example", "secret") }
func bearer(r *http.Request) { r.Header.Set("Authorization", "bearer a token") }

func (h *house) list(t *testing.T) []intake.Study {
	t.Helper()
	all, err := h.intake.List(t.Context(), "test", true)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A study that comes twice is there once; who signed in sends it. What is refused is named with its reason, and the rest is taken.
func TestStored(t *testing.T) {
	h := newHouse(t, 0, nil)
	all := objects(t)
	for _, who := range []func(*http.Request){basic, basic, bearer} {
		out, err := h.client(who).Store(t.Context(), all, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			if o != (stow.Outcome{Fate: stow.Stored}) {
				t.Error(o)
			}
		}
	}
	list := h.list(t)
	if len(list) != 2 || list[0].Objects != 4 || list[0].Via != Via || list[0].Calling != imaging.String() || list[1].Calling != "ris" || list[1].Objects != 4 {
		t.Errorf("%+v", list)
	}
	cut, _ := all[1].Open()
	b, _ := io.ReadAll(cut)
	broken := object("", "1.2.3.4", []byte("no DICOM object"))
	short := object(all[1].SOPClass, all[1].SOPInstance, b[:len(b)-100])
	out, err := h.client(bearer).Store(t.Context(), []stow.Object{all[0], short, broken, all[2]}, nil)
	if err != nil || out[0].Fate != stow.Stored || out[1] != (stow.Outcome{Fate: stow.Failed, Reason: stow.CannotUnderstand}) || out[2].Fate != stow.Unknown || out[3].Fate != stow.Stored {
		t.Errorf("%v, %v", out, err)
	}
	if stored, refused := h.Counts(); stored != 14 || refused != 2 {
		t.Errorf("%d stored, %d refused", stored, refused)
	}
	if text := h.log.String(); strings.Contains(text, "imaging") || strings.Contains(text, all[1].SOPInstance) {
		t.Errorf("the log tells of people: %s", text)
	}
}

// do sends a request with a body of these objects and reads the answer.
func (h *house) do(t *testing.T, method, path, kind, body string, with func(*http.Request)) (status int, text string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(h.url, "/dicom-web")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	with(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

const related = `multipart/related; type="application/dicom"; boundary=x`

func body(t *testing.T, all ...stow.Object) string {
	t.Helper()
	var b strings.Builder
	for _, x := range all {
		r, _ := x.Open()
		fmt.Fprint(&b, "--x\r\nContent-Type: application/dicom\r\n\r\n")
		if _, err := io.Copy(&b, r); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(&b, "\r\n")
	}
	return b.String() + "--x--\r\n"
}

// Requests that are refused as a whole, and statuses of PS3.18 §10.5.3.2. ATT-42.
func TestStatuses(t *testing.T) {
	h := newHouse(t, 0, nil)
	all := objects(t)
	good, none := body(t, all[0]), body(t, object("", "", []byte("nothing")))
	nobody := func(*http.Request) {}
	password := func(p string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("imaging@north.example", p) }
	}
	_, study, _, _ := peek(strings.NewReader(read(t, all[0])))
	for _, tc := range []struct {
		name, method, path, kind, body string
		with                           func(*http.Request)
		want                           int
	}{
		{"nobody", "POST", "/dicom-web/studies", related, good, nobody, 401},
		{"a wrong password", "POST", "/dicom-web/studies", related, good, password("x"), 401},
		{"a wrong token", "POST", "/dicom-web/studies", related, good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401},
		{"another scheme", "POST", "/dicom-web/studies", related, good, func(r *http.Request) { r.Header.Set("Authorization", "Digest x") }, 401},
		{"too many tries", "POST", "/dicom-web/studies", related, good, password("often"), 429},
		{"no answer", "POST", "/dicom-web/studies", related, good, password("busy"), 503},
		{"elsewhere", "POST", "/studies", related, good, basic, 404},
		{"deeper", "POST", "/dicom-web/studies/1.2/series", related, good, basic, 404},
		{"no UID", "POST", "/dicom-web/studies/x", related, good, basic, 404},
		{"search", "GET", "/dicom-web/studies", related, "", basic, 405},
		{"search by nobody", "GET", "/dicom-web/studies", related, "", nobody, 401},
		{"one object alone", "POST", "/dicom-web/studies", "application/dicom", good, basic, 415},
		{"metadata apart", "POST", "/dicom-web/studies", `multipart/related; type="application/dicom+json"; boundary=x`, good, basic, 415},
		{"cut", "POST", "/dicom-web/studies", related, good[:len(good)/2], basic, 400},
		{"empty", "POST", "/dicom-web/studies", related, "--x--\r\n", basic, 400},
		{"no address", "POST", "/dicom-web/studies?to=x", related, good, basic, 400},
		{"a program of no account", "POST", "/dicom-web/studies?to=lab@south.example", related, good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer another token") }, 400},
		{"two lines", "POST", "/dicom-web/studies?subject=a%0d%0ab", related, good, basic, 400},
		{"none", "POST", "/dicom-web/studies", related, none, basic, 409},
		{"some", "POST", "/dicom-web/studies", related, strings.TrimSuffix(good, "--x--\r\n") + none, basic, 202},
		{"of another study", "POST", "/dicom-web/studies/1.2.3", related, good, basic, 409},
		{"of that study", "POST", "/dicom-web/studies/" + study, related, good, basic, 200},
		{"all", "POST", "/CT1/studies/?to=lab@south.example&subject=Knee", related, good, basic, 200},
	} {
		status, text, header := h.do(t, tc.method, tc.path, tc.kind, tc.body, tc.with)
		if status != tc.want {
			t.Errorf("%s: %d %s, want %d", tc.name, status, text, tc.want)
		}
		if status == 401 && len(header.Values("WWW-Authenticate")) != 2 {
			t.Errorf("%s: nobody is told how to sign in", tc.name)
		}
		if status/100 == 2 || status == 409 {
			if _, err := stow.ReadJSON(strings.NewReader(text)); err != nil || header.Get("Content-Type") != stow.TypeJSON {
				t.Errorf("%s: %q of %s, %v", tc.name, text, header.Get("Content-Type"), err)
			}
		}
	}
	_, text, header := h.do(t, "POST", "/dicom-web/studies", related, good, func(r *http.Request) { basic(r); r.Header.Set("Accept", "application/dicom+xml") })
	if a, err := stow.ReadXML(strings.NewReader(text)); err != nil || len(a.Stored) != 1 || header.Get("Content-Type") != stow.TypeXML {
		t.Errorf("%q, %v", text, err)
	}
	found := false
	for _, s := range h.list(t) {
		if s.Called == "CT1" {
			d, err := h.intake.Show(t.Context(), "test", s.ID)
			found = err == nil && d.ID == s.ID
		}
	}
	if !found {
		t.Error("what was called CT1 is not there")
	}
}

// Who asks whether we are there learns whether he is known.
func TestReached(t *testing.T) {
	h := newHouse(t, 0, nil)
	if err := h.client(bearer).Reach(t.Context()); err != nil {
		t.Error(err)
	}
	refused := (*stow.StatusError)(nil)
	if err := h.client(func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }).Reach(t.Context()); !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("%v", err)
	}
}

func read(t *testing.T, x stow.Object) string {
	t.Helper()
	r, _ := x.Open()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Where there is no room, who stores is told to come again, and nothing is kept. ATT-42.
func TestNoRoom(t *testing.T) {
	h := newHouse(t, 1<<62, nil)
	status, _, header := h.do(t, "POST", "/dicom-web/studies", related, body(t, objects(t)...), basic)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || len(h.list(t)) != 0 {
		t.Errorf("%d, %d studies", status, len(h.list(t)))
	}
}

// Orthanc's DICOMweb client hands in what it has.
func TestOrthancHandsIn(t *testing.T) {
	h := newHouse(t, 0, nil)
	o := stowtest.Start(t, map[string]any{"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/",
		"Servers": map[string]any{"carepost": []string{h.url + "/", "imaging@north.example", "secret"}}}})
	if _, err := (&stow.Client{HTTP: http.DefaultClient, URL: o.Web}).Store(t.Context(), objects(t), nil); err != nil {
		t.Fatal(err)
	}
	var ids []string
	get(t, o.URL+"/studies", "", &ids)
	var done struct{ RecoveredInstances, InstancesCount json.Number }
	text, _ := json.Marshal(map[string]any{"Resources": ids, "Synchronous": true})
	get(t, o.Web+"/servers/carepost/stow", string(text), &done)
	list := h.list(t)
	if len(list) != 1 || list[0].Objects != 4 {
		t.Errorf("%+v\n%s", list, o.Log)
	}
}

// get asks Orthanc, by POST where there is a body.
func get(t *testing.T, url, body string, out any) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(b, out) != nil {
		t.Fatalf("%s: %d %s, %v", url, resp.StatusCode, b, err)
	}
}

// By TLS a certificate signs in; another authority's does not, and neither does none. ATT-42.
func TestCertificate(t *testing.T) {
	ours, others := authority(t), authority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ours.Leaf)
	h := newHouse(t, 0, &tls.Config{Certificates: []tls.Certificate{leaf(t, ours, "gateway.north.example")}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven})
	store := func(own ...tls.Certificate) ([]stow.Outcome, error) {
		way := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own, ServerName: "gateway.north.example"}}
		defer way.CloseIdleConnections()
		return (&stow.Client{HTTP: &http.Client{Transport: way}, URL: h.url}).Store(t.Context(), objects(t)[:1], nil)
	}
	if out, err := store(leaf(t, ours, "ris.north.example")); err != nil || out[0].Fate != stow.Stored {
		t.Errorf("%v, %v", out, err)
	}
	if list := h.list(t); len(list) != 1 || list[0].Calling != "ris.north.example" {
		t.Errorf("%+v", list)
	}
	for name, own := range map[string][]tls.Certificate{"none": nil, "another authority's": {leaf(t, others, "ris.north.example")}} {
		if out, err := store(own...); err == nil {
			t.Errorf("%s: %v", name, out)
		}
	}
}

func authority(t *testing.T) tls.Certificate { return leaf(t, tls.Certificate{}, "authority") }

// leaf makes a certificate; without an issuer its own authority.
func leaf(t *testing.T, by tls.Certificate, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := by.Leaf, by.PrivateKey
	if parent == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: made}
}
