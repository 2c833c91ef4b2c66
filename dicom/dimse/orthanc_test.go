package dimse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// orthanc is an Orthanc server of the test's own.
type orthanc struct{ dicom, web string }

func startOrthanc(t testing.TB, modality string) orthanc {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := l.Addr().String()
	l.Close()
	o := orthanc{web: "http://" + web}
	config := fmt.Sprintf(`{"Name": "archive", "StorageDirectory": %q, "IndexDirectory": %q, "Plugins": [], "HttpServerEnabled": true,
		"HttpPort": %s, "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomServerEnabled": true, "DicomAet": "ARCHIVE",
		"DicomCheckCalledAet": true, "DicomPort": PORT, "DicomAlwaysAllowStore": true, "DicomAlwaysAllowEcho": true, "UnknownSopClassAccepted": true,
		"DicomModalities": {"carepost": ["CAREPOST", "127.0.0.1", %s]}, "StorageCompression": false, "OverwriteInstances": true}`,
		dir, dir, port(web), port(modality))
	path := filepath.Join(dir, "orthanc.json")
	script := fmt.Sprintf(`printf %%s "$1" >%q; exec Orthanc %q`, path, path)
	if _, err := os.Stat("/usr/sbin/Orthanc"); err != nil {
		t.Fatal(err)
	}
	o.dicom = daemon(t, dir, "env", "PATH=/usr/sbin:/usr/bin:/bin", "sh", "-c", script, "sh", config)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(o.web + "/system")
		if err == nil {
			resp.Body.Close()
			return o
		}
		if time.Since(began) > time.Minute {
			t.Fatal("Orthanc does not answer")
		}
	}
}

func (o orthanc) call(t testing.TB, method, path, body string) []byte {
	t.Helper()
	req, err := http.NewRequest(method, o.web+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v %s %s", path, err, resp.Status, b)
	}
	return b
}

// instances are the files of an Orthanc.
func (o orthanc) instances(t testing.TB) (ids []string, files []taken) {
	t.Helper()
	if err := json.Unmarshal(o.call(t, "GET", "/instances", ""), &ids); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		b := o.call(t, "GET", "/instances/"+id+"/file", "")
		i, _ := part10(t, b)
		files = append(files, taken{what: i, file: b})
	}
	return ids, files
}

// withOrthanc has it take what we have, and give it back to us.
func withOrthanc(t *testing.T, all map[string][]byte) {
	s := &spool{}
	ours := serve(t, &Server{AETitle: "CAREPOST", Handler: s})
	o := startOrthanc(t, ours)
	stored(t, client(o.dicom), all)
	ids, files := o.instances(t)
	same(t, all, files)
	body, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	o.call(t, "POST", "/modalities/carepost/echo", "{}")
	o.call(t, "POST", "/modalities/carepost/store", string(body))
	same(t, all, s.list())
}
