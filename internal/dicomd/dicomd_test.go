package dicomd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/dimse"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/intake"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

var study = filepath.Join("..", "demo", "study", "files")

// house is a Server before an empty intake.
type house struct {
	*Server
	intake *intake.Service
	at     string
	log    safe
}

// safe is a buffer for several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func newHouse(t *testing.T, reserve int64, set func(*Options)) *house {
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
		Routes: []intake.Route{{From: addr.Address{Endpoint: "imaging", Domain: "north.example"}, To: []addr.Address{{Endpoint: "lab", Domain: "south.example"}}}}})
	o := Options{Intake: h.intake, AETitle: "CAREPOST", Log: slog.New(slog.NewTextHandler(&h.log, nil))}
	if set != nil {
		set(&o)
	}
	h.Server = New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.at = l.Addr().String()
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

func (h *house) client(calling, called dimse.AETitle) *dimse.Client {
	return &dimse.Client{Address: h.at, Calling: calling, Called: called, Dialer: &net.Dialer{Timeout: time.Minute}}
}

func items(t *testing.T) (out []dimse.Item) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(study, "*.dcm"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		out = append(out, dimse.Item{Open: func() (io.ReadCloser, error) { return os.Open(name) }})
	}
	return out
}

// Programs that modalities are built with hand in a study; it is there once, however often it is sent.
func TestPeers(t *testing.T) {
	h := newHouse(t, 0, nil)
	host, port, _ := net.SplitHostPort(h.at)
	for _, args := range [][]string{
		{"echoscu", "-aet", "CT1", "-aec", "CAREPOST", host, port},
		{"storescu", "-aet", "CT1", "-aec", "CAREPOST", "+sd", host, port, study},
		{"storescu", "-aet", "CT1", "-aec", "CAREPOST", "+sd", host, port, study},
		{"dcmsend", "-aet", "CT2", "-aec", "CAREPOST", "+sd", host, port, study},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	all, err := h.intake.List(t.Context(), "test", true)
	if err != nil || len(all) != 2 || all[0].Objects != 4 || all[0].Calling != "CT1" || all[0].Via != Via || all[1].Calling != "CT2" || all[1].Objects != 4 {
		t.Errorf("%+v, %v", all, err)
	}
	if c := h.Counts(); c.Stored != 12 || c.Refused != 0 || c.Associations != 4 || c.Rejected != 0 {
		t.Errorf("%+v", c)
	}
}

// Who calls from elsewhere, calls somebody else, or is somebody else, is told so and hands in nothing. ATT-41.
func TestAdmit(t *testing.T) {
	h := newHouse(t, 0, func(o *Options) {
		o.Called, o.Calling = []intake.Pattern{"TO_*"}, []intake.Pattern{"CT?"}
		o.Hosts = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	for _, tc := range []struct {
		calling, called dimse.AETitle
		want            error
	}{{"CT1", "CAREPOST", nil}, {"CT1", "TO_SOUTH", nil}, {"CT1", "OTHER", dimse.UnknownCalled}, {"WS1", "CAREPOST", dimse.UnknownCalling}} {
		if err := h.client(tc.calling, tc.called).Echo(t.Context()); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s calls %s: %v", tc.calling, tc.called, err)
		}
	}
	h = newHouse(t, 0, func(o *Options) { o.Hosts = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	if err := h.client("CT1", "CAREPOST").Echo(t.Context()); !errors.Is(err, dimse.NoReason) {
		t.Errorf("from elsewhere: %v", err)
	}
}

// A disk that is nearly full is out of resources: the device keeps the object and tries again. Nobody is named in the log. ATT-41.
func TestStatuses(t *testing.T) {
	h := newHouse(t, 1<<60, nil)
	for _, r := range h.client("SECRET", "CAREPOST").Store(t.Context(), items(t), nil) {
		if r.Err != nil || r.Status != dimse.OutOfResources {
			t.Errorf("%v, %v", r.Status, r.Err)
		}
	}
	h = newHouse(t, 0, nil)
	uid := dimse.Instance{SOPClass: "1.2.840.10008.5.1.4.1.1.7", SOPInstance: "2.25.1", TransferSyntax: "1.2.840.10008.1.2.1"}
	link, err := h.client("SECRET", "CAREPOST").Associate(t.Context(), []dimse.Context{{SOPClass: uid.SOPClass, TransferSyntax: uid.TransferSyntax}})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Abort()
	other := []byte("\x08\x00\x16\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.4\x00\x08\x00\x18\x00UI\x06\x002.25.1")
	for want, data := range map[dimse.Status]string{dimse.CannotUnderstand: "\x08\x00\x18\x00UI\xff\x00cut!", dimse.DataSetMismatch: string(other)} {
		if got, _, err := link.Store(uid, strings.NewReader(data)); got != want || err != nil {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	for err, want := range map[error]dimse.Status{fmt.Errorf("x: %w", intake.ErrRoom): dimse.OutOfResources, io.EOF: dimse.OutOfResources} {
		if got := statusOf(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if all, err := h.intake.List(t.Context(), "test", true); err != nil || len(all) != 0 || h.Counts().Refused != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if strings.Contains(h.log.String(), "SECRET") || strings.Contains(h.log.String(), "2.25.1") {
		t.Errorf("the log names devices: %s", h.log.String())
	}
}
