//go:build linux

package crashfs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carepost/internal/crashfs"
	"carepost/internal/vault"
)

func TestMain(m *testing.M) {
	crashfs.Main()
	os.Exit(m.Run())
}

// mounted is a file system and the test that uses it.
type mounted struct {
	*crashfs.FS
	t *testing.T
}

func mount(t *testing.T, o crashfs.Options) mounted { return mounted{crashfs.New(t, o), t} }

func (m mounted) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m mounted) path(name string) string { return filepath.Join(m.Dir(), name) }

// put writes a file, and syncs it when told to.
func (m mounted) put(name, text string, sync bool) {
	m.t.Helper()
	f, err := os.OpenFile(m.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	m.must(err)
	_, err = f.WriteAt([]byte(text), 0)
	m.must(err)
	if sync {
		m.must(f.Sync())
	}
	m.must(f.Close())
}

func (m mounted) syncDir(name string) {
	m.t.Helper()
	m.must(vault.SyncDir(m.path(name)))
}

// cut makes a power cut and returns the folder that is left.
func (m mounted) cut() string {
	m.t.Helper()
	dir := filepath.Join(m.t.TempDir(), "left")
	m.must(m.Snapshot(dir))
	return dir
}

// left compares what a cut leaves with what is wanted: names, a slash after folders, contents after a colon.
func (m mounted) left(want ...string) {
	m.t.Helper()
	dir := m.cut()
	var got []string
	m.must(filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if info.IsDir() {
			got = append(got, name+"/")
			return nil
		}
		text, err := os.ReadFile(path)
		got = append(got, name+":"+string(text))
		return err
	}))
	if strings.Join(got, " ") != strings.Join(want, " ") {
		m.t.Errorf("a cut leaves %q, want %q", got, want)
	}
}

// used waits until the files hold so many bytes: the kernel tells of a closed file when it comes to it.
func (m mounted) used(want int64) {
	m.t.Helper()
	var n int64
	for range 10000 {
		var err error
		n, err = m.Used()
		m.must(err)
		if n == want {
			return
		}
	}
	m.t.Errorf("the files hold %d bytes, want %d", n, want)
}

func TestBytesNeedFsync(t *testing.T) {
	m := mount(t, crashfs.Options{})
	m.left()
	m.put("a", "one", false)
	m.syncDir(".")
	m.left("a:")
	m.put("a", "one", true)
	m.left("a:one")
	m.put("a", "two and more", false)
	m.left("a:one")
	f, err := os.OpenFile(m.path("a"), os.O_RDWR, 0)
	m.must(err)
	defer f.Close()
	m.must(syscall.Fdatasync(int(f.Fd())))
	m.left("a:two and more")
	m.must(f.Truncate(3))
	m.left("a:two and more")
	m.must(f.Sync())
	m.left("a:two")
	m.must(f.Truncate(0))
	m.must(f.Truncate(4))
	m.must(f.Sync())
	m.left("a:\x00\x00\x00\x00")
	if b, err := os.ReadFile(m.path("a")); err != nil || string(b) != "\x00\x00\x00\x00" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestNamesNeedFsyncOfTheirDirectory(t *testing.T) {
	m := mount(t, crashfs.Options{})
	m.put("a", "x", true)
	m.left()
	m.must(os.Mkdir(m.path("d"), 0o700))
	m.must(os.Mkdir(m.path("d/e"), 0o700))
	m.syncDir("d")
	m.left() // nothing leads there
	m.syncDir(".")
	m.left("a:x", "d/", "d/e/")
	m.must(os.Link(m.path("a"), m.path("d/e/b")))
	m.left("a:x", "d/", "d/e/")
	m.must(os.Remove(m.path("a")))
	m.syncDir("d/e")
	m.left("a:x", "d/", "d/e/", "d/e/b:x")
	m.syncDir(".")
	m.left("d/", "d/e/", "d/e/b:x")
	m.must(os.RemoveAll(m.path("d/e")))
	m.left("d/", "d/e/", "d/e/b:x")
	m.syncDir("d")
	m.left("d/")
}

// A removed file whose name is still durable keeps its durable bytes.
func TestRemovedFileComesBack(t *testing.T) {
	m := mount(t, crashfs.Options{Torn: true})
	m.put("a", "x", true)
	m.syncDir(".")
	m.must(os.Remove(m.path("a")))
	for range 20 {
		if b, err := os.ReadFile(filepath.Join(m.cut(), "a")); string(b) != "x" && !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%q, %v", b, err)
		}
	}
}

// A rename that replaces a file leaves the old or the new one, whatever else is torn.
func TestRenameIsAtomic(t *testing.T) {
	for _, torn := range []bool{false, true} {
		m := mount(t, crashfs.Options{Torn: torn})
		m.put("a", "old", true)
		m.syncDir(".")
		m.put("tmp", "new", true)
		m.must(os.Rename(m.path("tmp"), m.path("a")))
		if !torn {
			m.left("a:old")
		}
		seen := map[string]bool{}
		for range 40 {
			b, err := os.ReadFile(filepath.Join(m.cut(), "a"))
			m.must(err)
			seen[string(b)] = true
		}
		if !seen["old"] || seen["new"] != torn || len(seen) > 2 {
			t.Errorf("torn %v: seen %v", torn, seen)
		}
		m.syncDir(".")
		m.left("a:new")
		if err := syscall.Mkdir(m.path("a"), 0o700); !errors.Is(err, syscall.EEXIST) {
			t.Error(err)
		}
	}
}

// A file that moves between directories is in one of them at least.
func TestRenameAcrossDirectories(t *testing.T) {
	m := mount(t, crashfs.Options{})
	m.must(os.Mkdir(m.path("d"), 0o700))
	m.put("a", "x", true)
	m.syncDir(".")
	m.must(os.Rename(m.path("a"), m.path("d/b")))
	m.left("a:x", "d/")
	m.syncDir("d")
	m.left("a:x", "d/", "d/b:x")
	m.syncDir(".")
	m.left("d/", "d/b:x")
}

func TestLooseNames(t *testing.T) {
	m := mount(t, crashfs.Options{LooseNames: true})
	m.must(os.Mkdir(m.path("d"), 0o700))
	m.put("d/a", "x", true)
	m.left("d/", "d/a:x")
	m.must(os.Rename(m.path("d/a"), m.path("b")))
	m.left("b:x", "d/")
}

// Torn: of unsynced bytes some sectors survive and some do not, each whole; synced ones all do.
func TestTorn(t *testing.T) {
	const sectors = 64
	m := mount(t, crashfs.Options{Torn: true})
	m.put("a", strings.Repeat("s", 512*sectors), true)
	m.syncDir(".")
	m.left("a:" + strings.Repeat("s", 512*sectors))
	m.put("a", strings.Repeat("u", 512*sectors+100), false)
	for range 8 {
		b, err := os.ReadFile(filepath.Join(m.cut(), "a"))
		m.must(err)
		n := map[string]int{}
		for i := range sectors {
			n[string(b[i*512:(i+1)*512])]++
		}
		old, fresh := n[strings.Repeat("s", 512)], n[strings.Repeat("u", 512)]
		if old+fresh != sectors || old < 8 || fresh < 8 {
			t.Errorf("%d old and %d new sectors of %d", old, fresh, sectors)
		}
		if tail := b[512*sectors:]; len(tail) != 0 && string(tail) != strings.Repeat("u", 100) {
			t.Errorf("the tail is %q", tail)
		}
	}
}

// What fsync waits for is the state when it was called, and those that wait together share a flush.
func TestSharedFlush(t *testing.T) {
	const each, n = 100 * time.Millisecond, 16
	m := mount(t, crashfs.Options{Flush: each})
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range n {
		wg.Go(func() { m.put(string(rune('a'+i)), "x", true) })
	}
	wg.Wait()
	if took := time.Since(begun); took < each || took > n*each/2 {
		t.Errorf("%d together took %v, one flush takes %v", n, took, each)
	}
	m.syncDir(".")
	m.must(os.Remove(m.path("a")))
	begun = time.Now()
	m.syncDir(".")
	if took := time.Since(begun); took < each {
		t.Errorf("a directory took %v", took)
	}
	if n, err := m.Syncs(); err != nil || n != 18 {
		t.Errorf("%d syncs, %v", n, err)
	}
}

// A limit: ENOSPC for what does not fit, room again after removal or cutting, and overwriting needs none.
func TestSize(t *testing.T) {
	m := mount(t, crashfs.Options{Faults: crashfs.Faults{Size: 64 << 10}})
	m.put("a", strings.Repeat("x", 60<<10), true)
	if err := os.WriteFile(m.path("b"), make([]byte, 8<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := os.Truncate(m.path("b"), 60<<10); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("lengthened beyond the limit: %v", err)
	}
	m.put("a", strings.Repeat("y", 60<<10), true)
	f, err := os.Open(m.path("a"))
	m.must(err)
	m.must(os.WriteFile(m.path("b"), nil, 0o600))
	m.must(os.Remove(m.path("a")))
	if n, err := m.Used(); err != nil || n < 60<<10 {
		t.Errorf("an open file holds its room: %d, %v", n, err)
	}
	m.must(f.Close())
	m.used(0)
	m.must(os.WriteFile(m.path("b"), make([]byte, 60<<10), 0o600))
	m.must(os.Truncate(m.path("b"), 0))
	m.must(os.WriteFile(m.path("c"), make([]byte, 60<<10), 0o600))
	var st syscall.Statfs_t
	m.must(syscall.Statfs(m.Dir(), &st))
	if free := int64(st.Bavail) * st.Bsize; free != 4<<10 {
		t.Errorf("%d bytes free", free)
	}
	m.must(m.Set(crashfs.Faults{}))
	m.must(os.WriteFile(m.path("d"), make([]byte, 1<<20), 0o600))
}

// After a failed fsync the bytes are lost although the next one is content; names are kept waiting.
func TestFaults(t *testing.T) {
	m := mount(t, crashfs.Options{})
	m.put("a", "one", true)
	m.syncDir(".")
	m.put("a", "two", false)
	m.put("b", "x", false)
	m.must(m.Set(crashfs.Faults{FailSync: true, FailDirSync: true}))
	for _, name := range []string{"a", "b", "."} {
		if err := vault.SyncDir(m.path(name)); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.must(m.Set(crashfs.Faults{}))
	m.syncDir("a")
	m.syncDir("b")
	m.left("a:one")
	m.syncDir(".")
	m.left("a:one", "b:\x00")
	if b, err := os.ReadFile(m.path("a")); err != nil || string(b) != "two" {
		t.Errorf("programs see %q, %v", b, err)
	}
	m.must(m.Set(crashfs.Faults{FailWrite: true}))
	if err := os.WriteFile(m.path("c"), []byte("x"), 0o600); !errors.Is(err, syscall.EIO) {
		t.Errorf("writing: %v", err)
	}
	m.must(m.Set(crashfs.Faults{IgnoreDirSync: true}))
	m.must(os.Remove(m.path("a")))
	m.syncDir(".")
	m.left("a:one", "b:\x00")
}

// Mapped files work, shared between two who have them open: SQLite's -shm.
func TestMap(t *testing.T) {
	m := mount(t, crashfs.Options{})
	m.put("shm", strings.Repeat("\x00", 32<<10), false)
	var maps [2][]byte
	for i := range maps {
		f, err := os.OpenFile(m.path("shm"), os.O_RDWR, 0)
		m.must(err)
		defer f.Close()
		maps[i], err = syscall.Mmap(int(f.Fd()), 0, 32<<10, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		m.must(err)
		defer syscall.Munmap(maps[i])
	}
	copy(maps[0][5000:], "hello")
	if !bytes.HasPrefix(maps[1][5000:], []byte("hello")) {
		t.Error("the other does not see it")
	}
	if b, err := os.ReadFile(m.path("shm")); err != nil || !bytes.HasPrefix(b[5000:], []byte("hello")) {
		t.Errorf("a reader does not see it: %v", err)
	}
}

// A file that grows by small writes, is read back and closed while others work.
func TestManyFiles(t *testing.T) {
	m := mount(t, crashfs.Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			dir := m.path(string(rune('a' + i)))
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Error(err)
				return
			}
			for range 30 {
				name := filepath.Join(dir, "x")
				f, err := os.Create(name)
				if err != nil {
					t.Error(err)
					return
				}
				want := bytes.Repeat([]byte("0123456789abcdef"), 1000)
				for j := 0; j < len(want); j += 1600 {
					f.Write(want[j : j+1600])
				}
				if err := errors.Join(f.Sync(), f.Close(), os.Rename(name, name+"y")); err != nil {
					t.Error(err)
				}
				if got, err := os.ReadFile(name + "y"); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if err := os.Remove(name + "y"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	m.used(0)
}

// Who cannot be served is told why.
func TestMountFails(t *testing.T) {
	if _, err := crashfs.Mount(filepath.Join(t.TempDir(), "missing"), crashfs.Options{}); err == nil || !strings.Contains(err.Error(), "mounting") {
		t.Errorf("a folder that is not there: %v", err)
	}
	f := crashfs.New(t, crashfs.Options{})
	if err := f.Snapshot(t.TempDir()); err == nil {
		t.Error("a snapshot into a folder that exists")
	}
	open, err := os.Create(filepath.Join(f.Dir(), "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if all, err := os.ReadDir(f.Dir()); err != nil || len(all) != 0 {
		t.Errorf("after unmounting: %v, %v", all, err)
	}
}
