//go:build linux

package crashfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// volume is an ext4 file system of its own.
type volume struct {
	t   *testing.T
	dir string
}

// newVolume makes and mounts one. It needs root, mkfs.ext4 (e2fsprogs), mount, and loop devices.
func newVolume(t *testing.T, size int64) *volume {
	t.Helper()
	top := t.TempDir()
	image, dir := filepath.Join(top, "image"), filepath.Join(top, "volume")
	for _, err := range []error{os.WriteFile(image, nil, 0o600), os.Truncate(image, size), os.Mkdir(dir, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("a volume of its own takes root, e2fsprogs, mount and loop devices: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	command("mkfs.ext4", "-q", "-F", "-m", "0", image)
	command("mount", "-o", "loop", image, dir)
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return &volume{t, dir}
}

func (v *volume) free() int64 {
	v.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &st); err != nil {
		v.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// fill takes what is there but the given bytes.
func (v *volume) fill(leave int64) {
	v.t.Helper()
	f, err := os.OpenFile(v.ballast(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	var size int64
	for step := v.free(); step >= 4096; {
		if v.free()-step < leave {
			step /= 2
			continue
		}
		switch err := syscall.Fallocate(int(f.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		default:
			v.t.Fatal(err)
		}
	}
}

func (v *volume) clear() {
	v.t.Helper()
	if err := os.Remove(v.ballast()); err != nil {
		v.t.Fatal(err)
	}
}

func (v *volume) ballast() string { return filepath.Join(v.dir, "ballast") }
