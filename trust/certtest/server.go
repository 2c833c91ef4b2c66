package certtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Server serves bytes over HTTP on loopback. It fetches too, by a real GET, as a trust.Fetcher.
type Server struct {
	URL string // "http://127.0.0.1:port"

	mu     sync.Mutex
	bodies map[string][]byte
	hits   map[string]int
}

// NewServer starts a server that stops with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{bodies: map[string][]byte{}, hits: map[string]int{}}
	h := httptest.NewServer(s)
	tb.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// Put serves body at path ("/x.cer"); nil takes it away.
func (s *Server) Put(path string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[path] = body
}

// Hits counts the requests for path.
func (s *Server) Hits(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.hits[r.URL.Path]++
	body := s.bodies[r.URL.Path]
	s.mu.Unlock()
	if body == nil {
		http.NotFound(w, r)
		return
	}
	w.Write(body)
}

// Fetch gets url, from whatever server, unguarded.
func (s *Server) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("certtest: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if int64(len(body)) > max {
		return nil, fmt.Errorf("certtest: more than %d bytes", max)
	}
	return body, err
}
