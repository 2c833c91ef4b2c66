// Package dicomweb is where programs of the house hand in DICOM objects over HTTP: the Store transaction of PS3.18 §10.5 (STOW-RS), as an
// origin server. Package intake takes what comes, and says to whom it goes; the wire is that of package dicom/stow.
//
//	POST /NAME/studies            the objects of any studies
//	POST /NAME/studies/STUDY      of this one alone; others are refused (§10.5.1.1)
//
// NAME is what a route knows as the called title; "dicom-web" is as good as any. Who knows its user may name recipients: ?to=ADDRESS, once for
// each, and ?subject=TEXT. Objects are read one by one as they come, and each is durable before the answer names it. Nothing can be retrieved or
// searched for here.
//
// Who may store signs in: with the name and password of an account (RFC 7617), with a token (RFC 6750), or with a certificate that TLS has
// verified. It departs from §10.5.3.2 in one thing: where nothing was stored because there is no room, the status is 503 and not 409.
package dicomweb

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"carepost/addr"
	"carepost/internal/intake"
)

// Via is how objects come that are handed in here, as routes call it.
const Via = "stow"

// What SignIn may say, beside errors that it knows no answer.
var (
	ErrCredentials = errors.New("dicomweb: name or password is wrong")
	ErrTooMany     = errors.New("dicomweb: too many tries")
)

// Client is a program that signs in with a token.
type Client struct {
	Name  string       // as routes know the caller
	Token string       // its secret
	From  addr.Address // the account it sends for; zero: the routes say so
}

// Options of a Server.
type Options struct {
	Intake  *intake.Service
	SignIn  func(ctx context.Context, peer netip.Addr, user, password string) (addr.Address, error)
	Clients []Client
	TLS     *tls.Config  // nil: in clear
	Log     *slog.Logger // default discards
}

// Limits of a Server.
const (
	maxConnections = 64
	maxHeader      = 16 << 10 // octets
	maxPeek        = 1 << 20  // octets of an object within which its UIDs stand
	maxParts       = 50_000   // objects of one request
	maxUnreadable  = 1000     // parts of one request that are no objects
	maxTo          = 100      // recipients of one request
	maxSubject     = 200      // octets
	patience       = 30 * time.Second
	silence        = 60 * time.Second // between two reads of a body
	grace          = 10 * time.Second // for requests under way when the end comes
)

// Server takes objects. It is safe for concurrent use.
type Server struct {
	o       Options
	clients []secret
	stored  atomic.Int64
	refused atomic.Int64
}

// secret is a Client whose token is compared in constant time.
type secret struct {
	Client
	sum [sha256.Size]byte
}

// New makes a Server; nothing runs yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o}
	for _, c := range o.Clients {
		s.clients = append(s.clients, secret{c, sha256.Sum256([]byte(c.Token))})
	}
	return s
}

// client finds who has a token.
func (s *Server) client(token string) (found *Client) {
	sum := sha256.Sum256([]byte(token))
	for i := range s.clients {
		if subtle.ConstantTimeCompare(sum[:], s.clients[i].sum[:]) == 1 {
			found = &s.clients[i].Client
		}
	}
	return found
}

// Counts tells how many objects were taken and refused since the start.
func (s *Server) Counts() (stored, refused int64) { return s.stored.Load(), s.refused.Load() }

// Serve answers on l until ctx ends, then closes l and returns nil when the last answer is out or has had its time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s, ReadHeaderTimeout: patience, IdleTimeout: silence, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), // it names addresses
	}
	l = netutil.LimitListener(l, maxConnections)
	if s.o.TLS != nil {
		l = tls.NewListener(l, s.o.TLS)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("dicomweb: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if h.Shutdown(late) != nil {
		h.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("dicomweb: %w", err)
	}
	return nil
}
