package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postgres starts a PostgreSQL server of its own in a temporary directory, on a unix socket, and returns its DSN. The server's
// binaries come from the Debian package postgresql; without them the test fails. The server ends with the test, and with the test's
// process in any case: it goes when its standard input closes.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Fatal("no PostgreSQL server: install the package postgresql")
	}
	slices.Sort(found)
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "pg") // short: the name of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := unprivileged(t, dir)

	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Dir, c.SysProcAttr = dir, as
		c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := command(filepath.Join(bin, "initdb"), "-D", data, "-U", "carepost", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	const script = `"$0" -D "$1" -k "$2" -c listen_addresses= >"$2/log" 2>&1 & pid=$!; cat >/dev/null; kill -INT $pid; wait $pid`
	server := command("sh", "-c", script, filepath.Join(bin, "postgres"), data, dir)
	alive, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alive.Close(); server.Wait() })

	ready := func() bool {
		return command(filepath.Join(bin, "pg_isready"), "-q", "-h", dir, "-U", "carepost", "-d", "postgres").Run() == nil
	}
	for deadline := time.Now().Add(30 * time.Second); !ready(); {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("PostgreSQL does not come up:\n%s", log)
		}
		<-time.After(50 * time.Millisecond)
	}
	return fmt.Sprintf("host=%s user=carepost dbname=postgres", dir)
}

// unprivileged gives dir to a user that the server will run as: it refuses root.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	t.Fatal("neither a user postgres nor a user nobody")
	return nil
}

// Schema makes the schema that a DSN of Postgres names in its search_path.
func Schema(t testing.TB, dsn string) {
	t.Helper()
	_, schema, ok := strings.Cut(dsn, "search_path=")
	if !ok {
		t.Fatal("the DSN names no search_path")
	}
	SQL(t, dsn, "CREATE SCHEMA "+schema)
}

// SQL has psql run statements in the schema of a DSN of Postgres, and returns what it prints: one line for each row.
func SQL(t testing.TB, dsn, text string) string {
	t.Helper()
	host, rest, _ := strings.Cut(strings.TrimPrefix(dsn, "host="), " ")
	_, schema, _ := strings.Cut(rest, "search_path=")
	c := exec.Command("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", host, "-U", "carepost", "-d", "postgres")
	if schema != "" {
		c.Env = append(os.Environ(), "PGOPTIONS=-c search_path="+schema)
	}
	c.Stdin = strings.NewReader(text)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}
