package dimse

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carepost/dicom"
)

// files are the DICOM files of the shared test data, in the order of their names.
func files(t testing.TB) (list []string) {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	list, err := filepath.Glob(filepath.Join(dir, "dicom", "files", "*.dcm"))
	if err != nil || len(list) < 20 {
		t.Fatalf("the shared DICOM files are not at %s: %v", dir, err)
	}
	return list
}

// part10 reads a file's data set.
func part10(t testing.TB, b []byte) (Instance, []byte) {
	t.Helper()
	i, r, err := OpenPart10(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return i, data
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// taken is what a spool has of an instance.
type taken struct {
	from Association
	what Instance
	file []byte
}

// spool is a Handler that keeps everything.
type spool struct {
	mu     sync.Mutex
	all    []taken
	answer func(Instance) Status
}

func (s *spool) Store(_ context.Context, a Association, i Instance, r io.Reader) Status {
	b, err := io.ReadAll(r)
	if err != nil {
		return ProcessingFailure
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		if status := s.answer(i); !status.Stored() {
			return status
		}
	}
	s.all = append(s.all, taken{a, i, b})
	return Success
}

func (s *spool) list() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// serve starts s on loopback; everything ends with the test.
func serve(t testing.TB, s *Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	return l.Addr().String()
}

func client(address string) *Client {
	return &Client{Address: address, Calling: "CAREPOST", Called: "ARCHIVE", Dialer: &net.Dialer{}}
}

// sendable are the shared files by their instances, one each: of the truncated one nothing whole could arrive, and two have no file meta
// information to speak of.
func sendable(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, f := range files(t) {
		b := readFile(t, f)
		i, _, err := OpenPart10(bytes.NewReader(b))
		if err == nil && filepath.Base(f) != "MR_truncated.dcm" && all[i.SOPInstance] == nil {
			all[i.SOPInstance] = b
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d files that can be sent", len(all))
	}
	return all
}

// item10 is a file to be stored.
func item10(b []byte) Item {
	return Item{Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// deadline is a context that ends long after everything should be over.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// same compares what was received with what was sent, by instance.
func same(t testing.TB, sent map[string][]byte, got []taken) {
	t.Helper()
	if len(got) != len(sent) {
		t.Errorf("%d instances arrived of %d", len(got), len(sent))
	}
	for _, x := range got {
		i, data := part10(t, x.file)
		want, wantData := part10(t, sent[x.what.SOPInstance])
		if len(wantData)%2 == 1 && i.TransferSyntax == dicom.Deflated {
			wantData = append(wantData, 0) // PS3.5 §A.5
		}
		if i != want || i != x.what || !bytes.Equal(data, wantData) {
			t.Errorf("%s: not as it was sent: %v, %v, %d and %d bytes", filepath.Base(x.what.SOPInstance), i, want, len(data), len(wantData))
		}
	}
}

// dialer gives a connection that is there already.
type dialer func() (net.Conn, error)

func (d dialer) DialContext(context.Context, string, string) (net.Conn, error) { return d() }
