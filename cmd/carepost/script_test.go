package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"carepost/internal/demo/bigstudy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"carepost": main,
	})
}

// The binary as its users drive it, beside the programs that judge it. Scripts stand in testdata/script.
func TestScripts(t *testing.T) {
	shared := testdata(t)
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"bigstudy": writeBigStudy},
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHARED", shared)
			// A home of its own, so that no peer reads the settings of who runs the test.
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
	})
}

// writeBigStudy is the script command "bigstudy DIR": 20 large objects, a gigabyte at full counts.
func writeBigStudy(ts *testscript.TestScript, _ bool, args []string) {
	size := int64(4 << 20)
	if os.Getenv("CAREPOST_FULL") != "" {
		size = 50 << 20
	}
	ts.Check(bigstudy.Write(context.Background(), ts.MkAbs(args[0]), 20, size))
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
