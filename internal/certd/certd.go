// Package certd publishes CA certificates and CRLs over HTTP: /NAME.cer, /NAME.p7c and /NAME.crl by GET and HEAD, and hands OCSP
// requests to who answers them: /NAME.ocsp by POST, /NAME.ocsp/REQUEST by GET. Nothing else.
//
// It follows RFC 2585 and RFC 8551 §3.8 (DER, media types), RFC 6960 appendix A and RFC 5019 §6 (OCSP over HTTP, caching) and Direct
// 4 and 4.2.2, which want an issuer to publish CRLs and to have its own certificate fetched by the pointers in what it issues.
// Everything here is public, and plain HTTP is what RFC 5280 §8 advises: what is served is signed.
package certd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Options of a Server.
type Options struct {
	// Certificate, Bundle and CRL return the DER of NAME and ok, or !ok when there is none of that name. They are called for every
	// request, concurrently; nil has nothing.
	Certificate func(ctx context.Context, name string) (der []byte, ok bool)
	Bundle      func(ctx context.Context, name string) (der []byte, ok bool) // certs-only PKCS #7
	CRL         func(ctx context.Context, name string) (der []byte, ok bool)
	// OCSP answers a request, DER, to the responder NAME. Others may keep the answer until then, if that is set.
	OCSP   func(ctx context.Context, name string, request []byte) (der []byte, until time.Time, ok bool)
	MaxAge time.Duration    // of Cache-Control; 0 = 5 minutes
	Clock  func() time.Time // nil = time.Now
}

// Limits of a Server.
const (
	maxConnections = 256
	maxHeader      = 8 << 10
	maxName        = 64
	maxRequest     = 16 << 10         // bytes of an OCSP request
	patience       = 10 * time.Second // for a request
	sending        = time.Minute      // for an answer
	grace          = 3 * time.Second  // for answers under way when the end comes
)

// Server answers GET and HEAD.
type Server struct{ o Options }

// New returns a Server that is not yet running.
func New(o Options) *Server {
	if o.MaxAge <= 0 {
		o.MaxAge = 5 * time.Minute
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Server{o}
}

// Serve answers on l until ctx ends, then closes l and returns nil when the last answer is out or has had its time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            patience,
		ReadTimeout:                  patience,
		WriteTimeout:                 sending,
		IdleTimeout:                  patience,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(netutil.LimitListener(l, maxConnections)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("certd: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if h.Shutdown(late) != nil {
		h.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("certd: %w", err)
	}
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if name, request, ok := responder(r.URL.Path); ok && s.o.OCSP != nil {
		s.ocsp(w, r, name, request)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Connection", "close") // whatever body comes along is not waited for
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	der, kind, ok := s.find(r.Context(), r.URL.Path)
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(der)))
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(s.o.MaxAge.Seconds())))
	if r.Method == http.MethodGet {
		w.Write(der)
	}
}

// find reads "/NAME.cer", "/NAME.crl" (RFC 2585 §3) and "/NAME.p7c" (RFC 8551 §3.8).
func (s *Server) find(ctx context.Context, path string) (der []byte, kind string, ok bool) {
	name, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, "", false
	}
	source := s.o.Certificate
	if n, ok := strings.CutSuffix(name, ".cer"); ok {
		name, kind = n, "application/pkix-cert"
	} else if n, ok := strings.CutSuffix(name, ".p7c"); ok {
		name, kind, source = n, "application/pkcs7-mime; smime-type=certs-only", s.o.Bundle
	} else if n, ok := strings.CutSuffix(name, ".crl"); ok {
		name, kind, source = n, "application/pkix-crl", s.o.CRL
	}
	if kind == "" || source == nil || !plain(name) {
		return nil, "", false
	}
	der, ok = source(ctx, name)
	return der, kind, ok
}

// plain reports whether name is letters, digits, '-', '_' and inner dots: no path, nothing to escape from.
func plain(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
