package vault

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMakeDir(t *testing.T) {
	top := t.TempDir()
	t.Chdir(top)
	for _, dir := range []string{filepath.Join(top, "a", "b", "c"), filepath.Join(top, "a", "b"), "r", filepath.Join("r", "s", "t"), ".", top} {
		if err := MakeDir(dir); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{"a", "a/b", "a/b/c", "r", "r/s/t"} {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"file", filepath.Join("file", "below")} {
		if err := MakeDir(dir); err == nil {
			t.Errorf("made %s", dir)
		}
	}
}
