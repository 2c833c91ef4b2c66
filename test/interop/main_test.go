// Package interop has Carepost and its peers read what the other makes: every algorithm that package cms knows, every structure that package
// smime knows, every peer, both ways.
package interop

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"carepost/test/peers"
)

// opened is the one lab of all tests here.
var opened = sync.OnceValues(peers.Open)

func TestMain(m *testing.M) {
	code := m.Run()
	if l, err := opened(); err == nil {
		if err := l.Close(); err != nil {
			fmt.Fprintln(os.Stderr, errors.Join(err))
			code = 1
		}
	}
	os.Exit(code)
}

// lab are the peers. One that is missing fails the test.
func lab(t testing.TB) *peers.Lab {
	t.Helper()
	l, err := opened()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// full says whether every count is wanted.
func full() bool { return os.Getenv("CAREPOST_FULL") == "1" }
