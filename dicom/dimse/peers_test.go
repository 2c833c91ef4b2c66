package dimse

import (
	"bytes"
	"context"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"carepost/dicom"
)

// peer runs a program to its end. A peer that is not installed fails the test: nothing would be proven.
func peer(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// daemon starts a program that listens at a free port of loopback, and waits until it does. PORT in args is that port.
func daemon(t testing.TB, dir, name string, args ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "PORT", port)
	}
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.Bytes())
		}
	})
	for began := time.Now(); time.Since(began) < time.Minute; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address
		}
		select {
		case <-done:
			t.Fatalf("%s did not start:\n%s", name, said.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen", name)
	return ""
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

// laid writes files into a folder, for peers that read such.
func laid(t testing.TB, all map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	n := 0
	for _, b := range all {
		n++
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".dcm"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// received reads what a peer has laid into a folder.
func received(t testing.TB, dir string) (list []taken) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b := readFile(t, n)
		i, _ := part10(t, b)
		list = append(list, taken{what: i, file: b})
	}
	return list
}

// written are the sendable files that DCMTK can send as well as write, as its dcmconv writes them in Explicit VR Little Endian or their
// own compression: a sender of DCMTK always writes data sets anew, so its bytes are these.
func written(t testing.TB) map[string][]byte {
	t.Helper()
	dir, out := t.TempDir(), map[string][]byte{}
	for uid, b := range sendable(t) {
		i, _ := part10(t, b)
		in, conv := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(in, b, 0o600); err != nil {
			t.Fatal(err)
		}
		to := "+t="
		switch i.TransferSyntax {
		case dicom.ImplicitLittle, dicom.ExplicitBig:
			to = "+te"
		case dicom.Deflated:
			continue // inflated by its senders
		}
		if strings.Count(string(b), i.SOPInstance) < 2 { // the data set says otherwise: refused by DCMTK
			continue
		}
		peer(t, "dcmconv", to, "-g", "-p", in, conv)
		if c := readFile(t, conv); len(c) > 0 {
			out[uid] = c
		}
	}
	return out
}

// plain are those without compression.
func plain(t testing.TB, all map[string][]byte) map[string][]byte {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(_ string, b []byte) bool {
		i, _ := part10(t, b)
		return i.TransferSyntax != dicom.ExplicitLittle
	})
	if len(all) < 15 || len(out) == len(all) {
		t.Fatalf("%d files, %d of them plain", len(all), len(out))
	}
	return out
}

// Other makers' programs give us what they have and take what we have, to the byte, plainly and by TLS (PS3.15 §B.12).
func TestPeers(t *testing.T) {
	all := written(t)
	for name, test := range map[string]func(*testing.T, map[string][]byte){
		"dcmsend": fromDcmsend, "storescu": fromStorescu, "storescp": toStorescp, "dcmrecv": toDcmrecv, "orthanc": withOrthanc,
		"storescu by TLS": fromStorescuTLS, "storescp by TLS": toStorescpTLS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, all)
		})
	}
}

func fromDcmsend(t *testing.T, all map[string][]byte) {
	s := &spool{}
	address := serve(t, &Server{AETitle: "ARCHIVE", Handler: s})
	peer(t, "echoscu", "-aec", "ARCHIVE", "127.0.0.1", port(address))
	peer(t, "dcmsend", "--scan-directories", "--max-send-pdu", "4096", "-aet", "MODALITY", "-aec", "ARCHIVE", "127.0.0.1", port(address), laid(t, all))
	same(t, all, s.list())
}

func fromStorescu(t *testing.T, all map[string][]byte) {
	all = plain(t, all) // it offers one compression at a time
	s := &spool{}
	address := serve(t, &Server{AETitle: "ARCHIVE", Handler: s})
	peer(t, "storescu", "-R", "-nh", "+sd", "-aec", "ARCHIVE", "127.0.0.1", port(address), laid(t, all))
	same(t, all, s.list())
}

func toStorescp(t *testing.T, _ map[string][]byte) {
	dir := t.TempDir()
	stored(t, client(daemon(t, dir, "storescp", "+xa", "-pm", "+B", "-fe", ".dcm", "-od", dir, "PORT")), sendable(t))
	same(t, sendable(t), received(t, dir))
}

func toDcmrecv(t *testing.T, _ map[string][]byte) {
	dir := t.TempDir()
	stored(t, client(daemon(t, dir, "dcmrecv", "-xf", "/etc/dcmtk/storescp.cfg", "AllDICOM", "+B", "-fe", ".dcm", "-od", dir, "PORT")), sendable(t))
	same(t, sendable(t), received(t, dir))
}

// stored stores all of all, after an echo.
func stored(t *testing.T, c *Client, all map[string][]byte) {
	t.Helper()
	if err := c.Echo(deadline(t)); err != nil {
		t.Fatal(err)
	}
	var items []Item
	for _, b := range all {
		items = append(items, item10(b))
	}
	for i, r := range c.Store(deadline(t), items, nil) {
		if !r.Stored() {
			t.Errorf("%d: %v", i, r)
		}
	}
}
