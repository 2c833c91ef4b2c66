package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
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

// What is sent to an operator's own place arrives with its header, each time: no failure is remembered. A redirect is an answer like any other
// and carries nothing elsewhere, nothing of the answer is read, no other place inside is reached, and errors name no path. ATT-36.
func TestSend(t *testing.T) {
	var asked atomic.Int32
	s, _ := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("webhook-id") != "1" || string(body) != "event" {
			t.Errorf("%s %q, %v: %v", r.Method, body, r.Header, err)
		}
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/secret", http.StatusTemporaryRedirect)
		case "/hang-up":
			panic(http.ErrAbortHandler)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	c := New(Options{AllowPlaces: []netip.AddrPort{at}})
	send := func(url string) (int, error) {
		return c.Send(t.Context(), url, map[string]string{"webhook-id": "1"}, []byte("event"))
	}
	for path, want := range map[string]int{"/": 200, "/away": 307, "/endless": 200, "/broken": 500} {
		asked.Store(0)
		for range 2 {
			if status, err := send(s.URL + path); err != nil || status != want {
				t.Errorf("%s: %d, %v", path, status, err)
			}
		}
		if asked.Load() != 2 {
			t.Errorf("%s: asked %d times", path, asked.Load())
		}
	}
	asked.Store(0)
	for range 2 {
		if _, err := send(s.URL + "/hang-up?token=secret"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("no answer: %v", err)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("a failure is remembered: asked %d times", asked.Load())
	}
	asked.Store(0)
	beside, _ := loopback(t, func(http.ResponseWriter, *http.Request) { t.Error("another port was reached") })
	for _, url := range []string{
		"http://127.0.0.2:" + strconv.Itoa(int(at.Port())) + "/", beside.URL, "http://127.0.0.1/", "http://169.254.169.254/",
		"http://u:p@127.0.0.1:" + strconv.Itoa(int(at.Port())) + "/", "file:///etc/passwd", "",
	} {
		if status, err := send(url); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("%s: %d, %v", url, status, err)
		}
	}
	if asked.Load() != 0 {
		t.Error("another place was reached")
	}
}
