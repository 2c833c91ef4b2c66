package handover

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/dicom/dimse"
	"carepost/dicom/stow"
	"carepost/dicom/stow/stowtest"
	"carepost/internal/store"
)

// storescp is DCMTK's SCP with every transfer syntax.
func storescp(t *testing.T) (address, dir string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	dir = t.TempDir()
	cmd := exec.Command("storescp", "-aet", "ARCHIVE", "+xa", "-od", dir, port)
	if err := cmd.Start(); err != nil {
		t.Fatalf("storescp (scripts/peers): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(time.Minute); time.Now().Before(late); <-tick.C {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address, dir
		}
	}
	t.Fatal("storescp does not listen")
	return "", ""
}

func dimseTo(address, called string) DIMSE {
	return DIMSE{&dimse.Client{Address: address, Calling: "CAREPOST", Called: dimse.AETitle(called), Dialer: &net.Dialer{}}}
}

// A study reaches DCMTK's SCP with its data sets byte for byte. DCM-02.
func TestStorescp(t *testing.T) {
	address, dir := storescp(t)
	to := dimseTo(address, "ARCHIVE")
	if err := to.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, to)
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 4 {
		t.Fatalf("%+v", r)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	got := sums{}
	for _, f := range files {
		got.add(t, read(t, f))
	}
	if !maps.Equal(got, demo(t)) {
		t.Error("other data sets than were sent")
	}
}

// Orthanc gets one study by STOW-RS, killed in the middle, and again by C-STORE: it has each instance once, byte for byte.
func TestOrthanc(t *testing.T) {
	o := stowtest.Start(t, nil)
	web := STOW{&stow.Client{HTTP: http.DefaultClient, URL: o.Web}}
	if err := web.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, web)
	h.deliver(letter(t, whole))

	j := h.work() // all is sent, and nothing written down of it
	r := h.row()
	it, err := h.open(t.Context(), j, r)
	h.must(err)
	killed := errors.New("killed")
	if err := web.Give(t.Context(), it.all, func(int, Outcome) error { return killed }, j.Progress); !errors.Is(err, killed) {
		t.Fatal(err)
	}
	it.close()
	h.tx(func(tx *store.Tx) error { _, err := tx.ReleaseWork("another owner"); return err })
	if n := o.Count(t); n != 4 {
		t.Fatalf("%d instances", n)
	}
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 4 {
		t.Fatalf("%+v\n%s", r, o.Log)
	}

	h = newHouse(t, dimseTo(o.DIMSE, "ORTHANC"))
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 4 {
		t.Fatalf("%+v\n%s", r, o.Log)
	}
	got := sums{}
	for _, b := range o.Files(t) {
		got.add(t, b)
	}
	if !maps.Equal(got, demo(t)) {
		t.Error("other data sets than were sent")
	}
}

// One broken instance does not keep the others from a server that refuses the whole request for it.
func TestOneByOne(t *testing.T) {
	o := stowtest.Start(t, nil)
	h := newHouse(t, STOW{&stow.Client{HTTP: http.DefaultClient, URL: o.Web}})
	h.deliver(letter(t, whole))
	j := h.work()
	it, err := h.open(t.Context(), j, h.row())
	h.must(err)
	defer it.close()
	path := filepath.Join(t.TempDir(), "broken")
	h.must(os.WriteFile(path, []byte("no DICOM at all"), 0o600))
	broken := it.all[1]
	broken.Size, broken.Open = 15, opening(path)
	it.all[1] = broken
	fates := map[int]Fate{}
	err = STOW{&stow.Client{HTTP: http.DefaultClient, URL: o.Web}}.Give(t.Context(), it.all, func(i int, o Outcome) error { fates[i] = o.Fate; return nil }, j.Progress)
	if err != nil || !maps.Equal(fates, map[int]Fate{0: Taken, 1: Refused, 2: Taken, 3: Taken}) || o.Count(t) != 3 {
		t.Errorf("%v, %v, %d there", fates, err, o.Count(t))
	}
}

// An instance that a server breaks down over does not keep the others back; a server that breaks down over all is left alone soon.
func TestBreaksDown(t *testing.T) {
	h := newHouse(t, nil)
	h.deliver(letter(t, whole))
	j := h.work()
	it, err := h.open(t.Context(), j, h.row())
	h.must(err)
	defer it.close()
	for name, tc := range map[string]struct {
		over  func(string) bool // breaks down where a request holds it
		want  map[int]Fate
		asked int
		ends  bool
	}{
		"over one": {func(body string) bool { return strings.Contains(body, it.all[1].SOPInstance) }, map[int]Fate{0: Taken, 1: Later, 2: Taken, 3: Taken}, 5, false},
		"over all": {func(string) bool { return true }, map[int]Fate{0: Later, 1: Later, 2: Later}, 5, true},
	} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			body, _ := io.ReadAll(r.Body)
			if tc.over(string(body)) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			var a stow.Answer
			for _, x := range it.all {
				if strings.Contains(string(body), x.SOPInstance) {
					a.Stored = append(a.Stored, stow.Item{SOPClass: x.SOPClass, SOPInstance: x.SOPInstance})
				}
			}
			_ = a.JSON(w)
		}))
		fates := map[int]Fate{}
		err := STOW{&stow.Client{HTTP: http.DefaultClient, URL: s.URL}}.Give(t.Context(), it.all, func(i int, o Outcome) error { fates[i] = o.Fate; return nil }, j.Progress)
		if (err != nil) != tc.ends || !maps.Equal(fates, tc.want) || asked != tc.asked {
			t.Errorf("%s: %v after %d requests, %v", name, fates, asked, err)
		}
		s.Close()
	}
}

// Nobody there, somebody else there, somebody who does not know us: nothing is known of any instance, and it says why without places.
func TestNobodyThere(t *testing.T) {
	address, _ := storescp(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	for name, to := range map[string]Taker{
		"no SCP":         dimseTo(nobody, "ARCHIVE"),
		"no web server":  STOW{&stow.Client{HTTP: http.DefaultClient, URL: "http://" + nobody}},
		"no HTTP at all": STOW{&stow.Client{HTTP: &http.Client{Timeout: 20 * time.Second}, URL: "http://" + address}},
	} {
		h := newHouse(t, to)
		h.deliver(letter(t, whole))
		h.step()
		r := h.row()
		list, err := h.List(t.Context(), false)
		if err != nil || r.State != store.HandoverWaiting || r.Taken != 0 || r.Total != 4 || len(list) != 1 || list[0].Error == "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if refused, err := h.Test(t.Context(), "test", "pacs"); refused == nil || err != nil {
			t.Errorf("%s: answers, %v", name, err)
		}
	}
	if _, err := newHouse(t, nil).Test(context.Background(), "test", "none"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func opening(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}
