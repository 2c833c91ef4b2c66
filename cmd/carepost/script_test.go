package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"carepost": func() { os.Exit(run(context.Background(), os.Args[1:])) },
	})
}

// The binary as its users drive it, beside the programs that judge it. Scripts stand in testdata/script.
func TestScripts(t *testing.T) {
	shared := testdata(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHARED", shared)
			// A home of its own, so that no peer reads the settings of who runs the test.
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
	})
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
