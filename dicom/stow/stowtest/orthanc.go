// Package stowtest starts Orthanc with its DICOMweb plugin for tests: somebody else's server for STOW-RS and C-STORE.
package stowtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Orthanc is one that runs on loopback; it ends with the test.
type Orthanc struct {
	URL   string // of its own interface
	Web   string // of DICOMweb
	DIMSE string // host:port; its title is ORTHANC
	Log   *bytes.Buffer
}

const plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// Start starts one, with more of its own configuration.
func Start(t testing.TB, more map[string]any) *Orthanc {
	t.Helper()
	if _, err := os.Stat(plugin); err != nil {
		t.Fatalf("Orthanc's DICOMweb plugin is missing (scripts/peers): %v", err)
	}
	web, dimse := port(t), port(t)
	dir := t.TempDir()
	conf := map[string]any{
		"Name": "test", "StorageDirectory": filepath.Join(dir, "db"), "IndexDirectory": filepath.Join(dir, "db"), "Plugins": []string{plugin},
		"HttpServerEnabled": true, "HttpPort": web, "RemoteAccessAllowed": true, "AuthenticationEnabled": false,
		"DicomPort": dimse, "DicomAet": "ORTHANC", "DicomAlwaysAllowStore": true, "UnknownSopClassAccepted": true, "OverwriteInstances": false,
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/", "EnableWado": false, "Ssl": false},
	}
	for k, v := range more {
		conf[k] = v
	}
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := &Orthanc{Log: &bytes.Buffer{}, URL: fmt.Sprintf("http://127.0.0.1:%d", web), DIMSE: fmt.Sprintf("127.0.0.1:%d", dimse)}
	o.Web = o.URL + "/dicom-web"
	cmd := exec.Command("Orthanc", file)
	cmd.Stdout, cmd.Stderr, cmd.Dir = o.Log, o.Log, dir
	if err := cmd.Start(); err != nil {
		t.Fatalf("Orthanc (scripts/peers): %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	o.await(t, ended)
	return o
}

// await waits until it answers.
func (o *Orthanc) await(t testing.TB, ended chan error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(2 * time.Minute); time.Now().Before(late); {
		if resp, err := http.Get(o.URL + "/system"); err == nil {
			resp.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Orthanc ended: %v\n%s", err, o.Log)
		case <-tick.C:
		}
	}
	t.Fatal("Orthanc does not answer")
}

// port is one that nobody uses now.
func port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Files are the instances that it has, as Part 10 files, by SOP Instance UID.
func (o *Orthanc) Files(t testing.TB) map[string][]byte {
	t.Helper()
	var ids []string
	o.get(t, "/instances", func(b []byte) error { return json.Unmarshal(b, &ids) })
	out := map[string][]byte{}
	for _, id := range ids {
		var tags struct {
			MainDicomTags struct{ SOPInstanceUID string }
		}
		o.get(t, "/instances/"+id, func(b []byte) error { return json.Unmarshal(b, &tags) })
		o.get(t, "/instances/"+id+"/file", func(b []byte) error { out[tags.MainDicomTags.SOPInstanceUID] = b; return nil })
	}
	return out
}

// Count is how many instances it has.
func (o *Orthanc) Count(t testing.TB) int {
	t.Helper()
	var ids []string
	o.get(t, "/instances", func(b []byte) error { return json.Unmarshal(b, &ids) })
	return len(ids)
}

func (o *Orthanc) get(t testing.TB, path string, read func([]byte) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err == nil {
		err = read(b)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
