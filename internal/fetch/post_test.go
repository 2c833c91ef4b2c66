package fetch

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"carepost/trust"
)

var _ trust.Poster = (*Client)(nil)

// What is posted arrives, with its type; a redirect does not carry it elsewhere.
func TestPost(t *testing.T) {
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://localhost/", http.StatusTemporaryRedirect)
			return
		}
		if r.URL.Path == "/get-alone" {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/ocsp-request" || r.ContentLength != int64(len(body)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, "re: "+string(body))
	})
	c := New(o)
	if body, err := c.Post(t.Context(), s.URL, "application/ocsp-request", []byte("question"), 12); err != nil || string(body) != "re: question" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := c.Post(t.Context(), s.URL, "application/ocsp-request", []byte("question"), 11); !errors.Is(err, trust.ErrAbsent) {
		t.Errorf("larger than allowed: %v", err)
	}
	if _, err := c.Post(t.Context(), s.URL+"/away", "application/ocsp-request", []byte("question"), 11); !errors.Is(err, trust.ErrAbsent) {
		t.Errorf("sent away: %v", err)
	}
	if _, err := c.Post(t.Context(), s.URL+"/get-alone", "application/ocsp-request", []byte("question"), 11); !errors.Is(err, trust.ErrAbsent) {
		t.Errorf("a server that knows no POST: %v", err)
	}
}

// What a server says of one body is not what it says of another, nor of a GET; that it says nothing holds for all bodies. A URL that failed
// by POST may be asked by GET at once.
func TestPostIsRememberedApart(t *testing.T) {
	var posts, gets atomic.Int32
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
			gets.Add(1)
			io.WriteString(w, "got")
			return
		case strings.Contains(r.URL.Path, "hang-up"):
			posts.Add(1)
			panic(http.ErrAbortHandler)
		}
		if posts.Add(1); string(body) != "good" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	c := New(o)
	for range 2 {
		if _, err := c.Post(t.Context(), s.URL+"/o", "x/y", []byte("bad"), 10); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("refused: %v", err)
		}
	}
	if _, err := c.Post(t.Context(), s.URL+"/o", "x/y", []byte("good"), 10); err != nil || posts.Load() != 3 {
		t.Errorf("after another's refusal: %v, %d requests", err, posts.Load())
	}
	posts.Store(0)
	for range 3 {
		if _, err := c.Post(t.Context(), s.URL+"/hang-up", "x/y", []byte("good"), 10); err == nil || errors.Is(err, trust.ErrAbsent) {
			t.Errorf("no answer: %v", err)
		}
	}
	if posts.Load() != 1 {
		t.Errorf("%d requests to a server that says nothing", posts.Load())
	}
	if body, err := c.Fetch(t.Context(), s.URL+"/hang-up", 10); err != nil || string(body) != "got" || gets.Load() != 1 {
		t.Errorf("by GET: %q, %v", body, err)
	}
}
