package smtpd

import (
	"context"
	"net"
)

// Server accepts mail by SMTP. It is made by New.
type Server struct{ opts Options }

// New returns a Server. Nothing is started.
func New(o Options) *Server { return &Server{opts: o} }

// Serve takes sessions from l until ctx ends or l fails, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { panic("unimplemented") }
