package admind

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/audit"
	"carepost/internal/bundle"
	"carepost/internal/flow"
	"carepost/internal/intake"
	"carepost/internal/mailbox"
)

// Options of a Server.
type Options struct {
	Flow      *flow.Flow
	Mailboxes *mailbox.Service
	Admin     *admin.Service
	Bundles   *bundle.Service
	Intake    *intake.Service
	Host      Host
	Log       *slog.Logger
}

// Host is what only who has built the rooms can tell or do. A function that is not set is answered with NotFound.
type Host struct {
	Status        func(ctx context.Context) (Status, error)
	Identity      func(ctx context.Context) (Card, error)
	AddPartner    func(ctx context.Context, by audit.Actor, c Card) error
	RemovePartner func(ctx context.Context, by audit.Actor, d addr.Domain) error
	Reload        func(ctx context.Context, by audit.Actor) (Reloaded, error)
	Flush         func(ctx context.Context, by audit.Actor) error // of what discovery keeps

	Keys      func(ctx context.Context) (Keys, error)
	RotateKey func(ctx context.Context, by audit.Actor, progress func(done, total int64)) (Rotation, error)
	Rekey     func(ctx context.Context, by audit.Actor) error
	Backup    func(ctx context.Context, by audit.Actor, dir string, progress func(done, total int64)) (Backup, error)

	Publication func(ctx context.Context, of addr.Domain, check bool) (Publication, error)

	// Vouch pins a certificate, and has what waited for that judged again.
	Vouch func(ctx context.Context, by audit.Actor, n admin.NewPin) (p admin.Pin, waiting int, err error)

	Pilot PilotHost
	Audit AuditHost
	Hooks HookHost

	Handovers HandoverHost
	Collect   CollectHost

	// Code names an error of a room that an edge does not import: NotFound, Conflict, "" for what it does not know.
	Code func(error) string
}

// Server answers for one installation.
type Server struct {
	o       Options
	handler http.Handler
	us      int           // uid
	grace   time.Duration // how long requests may go on when the server ends
}

// New makes a Server. Nothing runs yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, us: os.Getuid(), grace: 10 * time.Second}
	s.handler = s.admit(s.routes())
	return s
}

// routes of the interface.
func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /v1/status":               s.status,
		"GET /v1/identity":             s.identity,
		"POST /v1/partners":            s.addPartner,
		"DELETE /v1/partners/{domain}": s.removePartner,
		"POST /v1/reload":              s.reload,

		"POST /v1/messages":     s.submit,
		"GET /v1/messages/{id}": s.timeline,
		"GET /v1/messages":      s.messagesNamed,

		"GET /v1/room":                                 s.room,
		"POST /v1/transfers":                           s.beginTransfer,
		"GET /v1/transfers":                            s.transfers,
		"GET /v1/transfers/{id}":                       s.transfer,
		"GET /v1/accounts/{addr}/mails/{uid}/transfer": s.mailTransfer,

		"GET /v1/accounts/{addr}/folders":                  s.folders,
		"DELETE /v1/accounts/{addr}/mails/{uid}":           s.deleteMail,
		"GET /v1/accounts/{addr}/mails":                    s.mails,
		"GET /v1/accounts/{addr}/mails/{uid}":              s.mail,
		"GET /v1/accounts/{addr}/mails/{uid}/outline":      s.outline,
		"GET /v1/accounts/{addr}/mails/{uid}/parts/{n}":    s.part,
		"GET /v1/accounts/{addr}/mails/{uid}/contents":     s.contents,
		"GET /v1/accounts/{addr}/mails/{uid}/receipt":      s.receipt,
		"POST /v1/accounts/{addr}/mails/{uid}/receipt":     s.sendReceipt,
		"GET /v1/accounts/{addr}/mails/{uid}/letter":       s.letter,
		"GET /v1/accounts/{addr}/mails/{uid}/study":        s.study,
		"GET /v1/accounts/{addr}/mails/{uid}/study/report": s.studyReport,

		"GET /v1/accounts":                  s.accounts,
		"POST /v1/accounts":                 s.addAccount,
		"POST /v1/accounts/{addr}/close":    s.closeAccount,
		"POST /v1/accounts/{addr}/password": s.setPassword,
		"POST /v1/accounts/{addr}/drops":    s.setDrops,
		"GET /v1/anchors":                   s.anchors,
		"POST /v1/anchors":                  s.addAnchor,
		"DELETE /v1/anchors/{id}":           s.removeAnchor,

		"DELETE /v1/discovery": s.flush,

		"GET /v1/intermediates":             s.intermediates,
		"POST /v1/intermediates":            s.addIntermediate,
		"DELETE /v1/intermediates/{sha256}": s.removeIntermediate,

		"POST /v1/explain":      s.explain,
		"POST /v1/explain/mail": s.explainMail,

		"GET /v1/pins":                  s.pins,
		"POST /v1/pins":                 s.pin,
		"DELETE /v1/pins/{id}":          s.unpin,
		"GET /v1/requests":              s.requests,
		"POST /v1/requests/{id}/accept": s.acceptRequest,
		"POST /v1/hello":                s.hello,

		"GET /v1/bundles":                  s.bundles,
		"POST /v1/bundles":                 s.addBundle,
		"DELETE /v1/bundles/{name}":        s.removeBundle,
		"POST /v1/bundles/{name}/refresh":  s.refreshBundle,
		"POST /v1/bundles/{name}/evaluate": s.evaluateBundle,

		"GET /v1/queue":      s.queue,
		"GET /v1/queue/{id}": s.work,

		"POST /v1/queue/{id}/retry":  s.retry,
		"POST /v1/queue/{id}/cancel": s.cancel,
		"POST /v1/queue/{id}/hold":   s.hold,

		"GET /v1/held":                s.heldMail,
		"POST /v1/queue/{id}/release": s.release,

		"GET /v1/publication":               s.publication,
		"GET /v1/certificates":              s.certificates,
		"POST /v1/certificates/request":     s.certificateRequest,
		"POST /v1/certificates/import":      s.importCertificates,
		"POST /v1/certificates/{id}/export": s.exportCertificate,
		"POST /v1/certificates/{id}/expire": s.expireCertificate,

		"GET /v1/keys":         s.keys,
		"POST /v1/keys/rotate": s.rotateKey,
		"POST /v1/keys/rekey":  s.rekey,
		"POST /v1/backup":      s.backup,
	} {
		m.HandleFunc(pattern, h)
	}
	s.pilotRoutes(m)
	s.auditRoutes(m)
	s.hookRoutes(m)
	s.handoverRoutes(m)
	s.intakeRoutes(m)
	s.collectRoutes(m)
	return m
}

// Serve answers on l, a listener of unix sockets, until ctx ends; it closes l and returns when all requests have ended. Those that
// take longer than the grace are cut off, and waited for all the same: what they work on is closed next.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var running running
	h := &http.Server{
		Handler: running.count(s.handler), ConnContext: withPeer, BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug), // of clients that went away
	}
	down := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(down)
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
		defer cancel()
		h.Shutdown(patient)
	})
	err := h.Serve(l)
	if stop() { // the listener has failed
		err = fmt.Errorf("admind: %w", err)
	} else {
		<-down
		err = nil
	}
	h.Close()
	abandon()
	running.end()
	return err
}

// running counts requests until no more are let in.
type running struct {
	mu    sync.Mutex
	ended bool
	n     sync.WaitGroup
}

func (r *running) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		if r.ended {
			r.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		r.n.Add(1)
		r.mu.Unlock()
		defer r.n.Done()
		next.ServeHTTP(w, req)
	})
}

// end lets nobody in any more and waits for those who are.
func (r *running) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.n.Wait()
}

// who asks, by the kernel's word.
type who struct {
	uid int
	err error
}

type whoKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid, err := peer(c)
	return context.WithValue(ctx, whoKey{}, who{uid, err})
}

// admit lets root and our own user in.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := r.Context().Value(whoKey{}).(who)
		if !ok || p.err != nil || p.uid != 0 && p.uid != s.us {
			s.o.Log.Warn("admin socket: refused", "uid", p.uid)
			s.fail(w, &Error{Status: http.StatusForbidden, Code: Denied,
				Reason: fmt.Sprintf("only root and the user that the gateway runs as (uid %d) may ask", s.us)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// actor is who acts, for the audit.
func actor(r *http.Request) audit.Actor {
	p, _ := r.Context().Value(whoKey{}).(who)
	return audit.Actor(fmt.Sprintf("operator:%d", p.uid))
}
