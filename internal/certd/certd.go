// Package certd publishes CA certificates and CRLs over HTTP (RFC 2585): /NAME.cer and /NAME.crl, nothing else.
package certd

import (
	"context"
	"net"
	"time"
)

// Options of a Server.
type Options struct {
	// Certificate and CRL return the DER of NAME and ok, or !ok when there is none of that name. They are called for every
	// request, concurrently.
	Certificate func(ctx context.Context, name string) (der []byte, ok bool)
	CRL         func(ctx context.Context, name string) (der []byte, ok bool)
	MaxAge      time.Duration // of Cache-Control; 0 = 5 minutes
}

// Server answers GET and HEAD.
type Server struct{}

// New returns a Server that is not yet running.
func New(o Options) *Server { panic("unimplemented") }

// Serve answers on l until ctx ends, then closes l and returns nil when the last answer is out.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { panic("unimplemented") }
