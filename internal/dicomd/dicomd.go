// Package dicomd is where devices of the house hand in their objects by C-STORE, and ask by C-ECHO whether we are there. It says who is let
// in, and turns what package intake answers into a status of PS3.4 B.2.3; associations are those of package dicom/dimse.
//
// An AE title is no proof of who calls: it sorts, and keeps mistakes out. Who may call is decided by the network that a call comes from,
// or by a certificate.
package dicomd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"carepost/dicom/dimse"
	"carepost/internal/intake"
)

// Via is how objects come that are handed in here, as routes call it.
const Via = "dimse"

// Options of a Server.
type Options struct {
	Intake  *intake.Service
	AETitle dimse.AETitle    // ours
	Called  []intake.Pattern // what else callers may call us
	Calling []intake.Pattern // how callers may call themselves; none: anyhow
	Hosts   []netip.Prefix   // where callers are; none: anywhere
	TLS     *tls.Config      // of ServeTLS
	Limits  dimse.Limits
	Log     *slog.Logger // default discards
}

// Server takes objects on any number of listeners.
type Server struct {
	o      Options
	counts counts
}

type counts struct{ associations, rejected, stored, refused atomic.Int64 }

// Counts is what has happened since the start.
type Counts struct{ Associations, Rejected, Stored, Refused int64 }

// New makes a Server; nothing runs yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o}
}

// Serve accepts associations in clear until ctx ends, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.server(nil).Serve(ctx, l) }

// ServeTLS is Serve by TLS.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener) error {
	return s.server(s.o.TLS).Serve(ctx, l)
}

func (s *Server) server(c *tls.Config) *dimse.Server {
	return &dimse.Server{Handler: handler{s}, TLS: c, Known: s.known, Admit: s.admit, Ended: s.ended, Limits: s.o.Limits}
}

// known says that a caller is where devices are.
func (s *Server) known(a netip.Addr) bool {
	return len(s.o.Hosts) == 0 || slices.ContainsFunc(s.o.Hosts, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// Counts tells what has happened.
func (s *Server) Counts() Counts {
	return Counts{s.counts.associations.Load(), s.counts.rejected.Load(), s.counts.stored.Load(), s.counts.refused.Load()}
}

// admit decides who is let in.
func (s *Server) admit(a dimse.Association) error {
	reject := func(r dimse.Reject) error { s.counts.rejected.Add(1); return r }
	if !s.known(a.RemoteIP) {
		return reject(dimse.NoReason)
	}
	if a.Called != s.o.AETitle && !fits(s.o.Called, a.Called) {
		return reject(dimse.UnknownCalled)
	}
	if len(s.o.Calling) > 0 && !fits(s.o.Calling, a.Calling) {
		return reject(dimse.UnknownCalling)
	}
	s.counts.associations.Add(1)
	return nil
}

func fits(all []intake.Pattern, title dimse.AETitle) bool {
	return slices.ContainsFunc(all, func(p intake.Pattern) bool { return p.Fits(string(title)) })
}

// ended logs what went wrong with an association, without its titles.
func (s *Server) ended(_ dimse.Association, err error) {
	if err != nil {
		s.o.Log.Info("an association with a device ended early", "error", err)
	}
}

type handler struct{ *Server }

// Store hands one object on. Success is said when it is durable.
func (s handler) Store(ctx context.Context, a dimse.Association, _ dimse.Instance, r io.Reader) dimse.Status {
	_, err := s.o.Intake.Store(ctx, intake.Origin{Calling: string(a.Calling), Called: string(a.Called), Via: Via, Peer: a.RemoteIP.Unmap().String()}, r)
	if err == nil {
		s.counts.stored.Add(1)
		return dimse.Success
	}
	s.counts.refused.Add(1)
	status := statusOf(err)
	s.o.Log.Warn("an object that a device handed in was not taken", "status", status.String(), "error", err)
	return status
}

// statusOf is the answer to what went wrong (PS3.4 Table B.2-1). What is not known may be tried again.
func statusOf(err error) dimse.Status {
	for _, x := range []struct {
		is     error
		status dimse.Status
	}{
		{intake.ErrRoom, dimse.OutOfResources}, {intake.ErrMismatch, dimse.DataSetMismatch},
		{intake.ErrObject, dimse.CannotUnderstand},
	} {
		if errors.Is(err, x.is) {
			return x.status
		}
	}
	return dimse.OutOfResources
}
