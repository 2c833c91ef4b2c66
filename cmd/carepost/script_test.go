package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"carepost/internal/demo/bigstudy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"carepost": main,
		"measure":  measure,
	})
}

// The binary as its users drive it, beside the programs that judge it. Scripts stand in testdata/script.
func TestScripts(t *testing.T) {
	shared := testdata(t)
	checker, err := filepath.Abs(filepath.Join("..", "..", "xdm", "testdata", "check.py"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"bigstudy": writeBigStudy, "study": writeStudy, "nest": writeNest, "later": later, "pacs": startPACS},
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHARED", shared)
			env.Setenv("CHECKER", checker) // of packages, by the rules alone
			// A home of its own, so that no peer reads the settings of who runs the test.
			env.Setenv("HOME", env.WorkDir)
			env.Defer(func() { stopLeft(env.WorkDir) })
			return nil
		},
	})
}

// stopLeft ends what a script that failed has left running: the processes that work in its folder.
func stopLeft(dir string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range all {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != dir && !strings.HasPrefix(cwd, dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil && pid != os.Getpid() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// writeBigStudy is the script command "bigstudy DIR [small]": 20 large objects, a gigabyte at full counts unless small.
func writeBigStudy(ts *testscript.TestScript, _ bool, args []string) {
	size := int64(4 << 20)
	if os.Getenv("CAREPOST_FULL") != "" && len(args) == 1 {
		size = 50 << 20
	}
	ts.Check(bigstudy.Write(context.Background(), ts.MkAbs(args[0]), 20, size))
}

// writeStudy is the script command "study DIR": eight images of half a megabyte.
func writeStudy(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(bigstudy.Write(context.Background(), ts.MkAbs(args[0]), 8, 1))
}

// writeNest is the script command "nest der|mime LEVELS FILE": a mail of so many open BER values, or an entity of multiparts one in
// the other.
func writeNest(ts *testscript.TestScript, _ bool, args []string) {
	levels, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b bytes.Buffer
	switch args[0] {
	case "der":
		ber := append(bytes.Repeat([]byte{0x30, 0x80}, levels), make([]byte, 2*levels)...)
		b.WriteString("From: a@a.example\r\nTo: lab@b.example\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(ber)), 76) {
			b.Write(line)
			b.WriteString("\r\n")
		}
	case "mime":
		for i := range levels {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i)
		}
		b.WriteString("Content-Type: text/plain\r\n\r\ndeep\r\n")
		for i := range levels {
			fmt.Fprintf(&b, "\r\n--b%d--\r\n", levels-1-i)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b.Bytes(), 0o600))
}

// measure is the program "measure SECONDS MB CODE COMMAND…": it runs a command that must end in that time, with no more memory and
// with that exit code. A program of its own: what a child has in memory is counted from its parent's size on.
func measure() {
	most, _ := strconv.ParseFloat(os.Args[1], 64)
	mb, _ := strconv.ParseInt(os.Args[2], 10, 64)
	code, _ := strconv.Atoi(os.Args[3])
	cmd := exec.Command(os.Args[4], os.Args[5:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	started := time.Now()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
	cmd.Wait()
	took, kb := time.Since(started).Seconds(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	fmt.Fprintf(os.Stderr, "measured: exit %d, %.2f s, %d kB\n", cmd.ProcessState.ExitCode(), took, kb)
	if cmd.ProcessState.ExitCode() != code || took > most || kb > mb<<10 {
		os.Exit(1)
	}
}

// later is the script command "later FILE TEXT": it waits until a program in the background has written text to a file.
func later(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s never held %q", args[0], args[1])
}

// testdata is the folder of real files by other makers (see its README). Without it nothing is proven: the test fails.
func testdata(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dicom", "fileset", "DICOMDIR")); err != nil {
		t.Fatalf("the shared test data is not at %s; set CAREPOST_TESTDATA", dir)
	}
	return dir
}
