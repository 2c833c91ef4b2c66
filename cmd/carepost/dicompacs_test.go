package main

import (
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// startPACS is the script command "pacs VARIABLE DIR [ARG…]": DCMTK's storescp, which lays what it takes into DIR, as it came. Its address
// is then in VARIABLE.
func startPACS(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	ts.Check(l.Close())
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o700))
	cmd := exec.Command("storescp", append(append([]string{"+xa", "+B", "-od", dir}, args[2:]...), port)...)
	cmd.Dir = ts.MkAbs(".")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			ts.Setenv(args[0], address)
			return
		}
	}
	ts.Fatalf("storescp does not listen")
}
