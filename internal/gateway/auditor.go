package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/auditor"
)

// Auditing says which audit repository is told what the audit log holds, and where its heads are kept. Without a Server none is told.
type Auditing struct {
	Server string // host:port; syslog over TLS (RFC 5425)
	Name   string // in its certificate; empty = the host of Server

	// PEM files: the authorities of the server's certificate, empty = those of this host; and what we show, both or none.
	CA, Certificate, Key string

	Events auditor.Events

	History bool   // a repository that is new is told what was written before, too
	Heads   string // a file for the last head of the audit log; empty = none
}

// endTime is how long the entry of the gateway's end may take.
const endTime = 5 * time.Second

// openAuditor makes the room that tells the repository, or none.
func (g *Gateway) openAuditor() (err error) {
	o := g.opts.Auditing
	if o.Server == "" {
		return nil
	}
	g.auditor, err = auditor.New(auditor.Options{
		Log: audit.Cursor{Store: g.store, Name: "syslog"}, Server: o.Server, TLS: o.tls, Events: o.Events,
		Source: auditor.Source{ID: g.opts.Hostname, Site: g.opts.Domain.String(), Host: g.opts.Hostname}, Out: g.opts.Log, Clock: g.opts.Clock,
	})
	return err
}

// tls reads the files anew: they are replaced while we run.
func (o Auditing) tls() (*tls.Config, error) {
	c := &tls.Config{ServerName: o.Name}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.CA)
		}
	}
	if o.Certificate != "" {
		own, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// CheckAuditing reads the files that o names.
func CheckAuditing(o Auditing) error {
	_, err := o.tls()
	return err
}

// EventsWithout are the kinds that are told when those named are not, by the names that the configuration has for them.
func EventsWithout(names []string) (e auditor.Events) {
	for name, not := range map[string]*bool{"export": &e.NoExport, "import": &e.NoImport, "transfer": &e.NoTransfer, "alert": &e.NoAlert, "sign-in": &e.NoSignIn,
		"activity": &e.NoActivity, "log-used": &e.NoLog} {
		*not = slices.Contains(names, name)
	}
	return e
}

// begins writes that the gateway begins to serve: the first thing that a new audit repository is told, unless it wants the history.
func (g *Gateway) begins(ctx context.Context) error {
	if g.auditor != nil && !g.opts.Auditing.History {
		if err := (audit.Cursor{Store: g.store, Name: "syslog"}).Begin(ctx); err != nil {
			return err
		}
	}
	return g.note(ctx, actor, "gateway.start", "domain:"+g.opts.Domain.String())
}

// ends writes that it has ended, whatever has become of ctx, and gives the entry its place in the log.
func (g *Gateway) ends(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	err := g.note(ctx, actor, "gateway.stop", "domain:"+g.opts.Domain.String())
	if err == nil {
		_, err = g.log.Seal(ctx)
	}
	if err == nil && g.heads != nil {
		err = g.heads.Keep(ctx)
	}
	if err != nil {
		g.opts.Log.Error("writing to the audit that the gateway has ended", "error", err)
	}
}

// auditWarnings are what an operator must know of the audit messages.
func (g *Gateway) auditWarnings() []string {
	var list []string
	if g.heads != nil {
		switch err := g.heads.Err(); {
		case errors.Is(err, audit.ErrKept):
			file := g.opts.Auditing.Heads
			list = append(list, fmt.Sprintf("%v in %s: an older database, or another log, may stand in its place, and the file stays as it is. "+
				"carepost audit verify --head %[2]s tells more; after a restore from a backup, move the file away", err, file))
		case err != nil:
			list = append(list, fmt.Sprintf("the head of the audit log is not kept in %s: %v", g.opts.Auditing.Heads, err))
		}
	}
	if g.auditor == nil {
		return list
	}
	s := g.auditor.State()
	if !s.Behind {
		return list
	}
	return append(list, fmt.Sprintf("audit messages wait since %s for %s: %s", s.Since.UTC().Format(time.DateTime), s.Server, or(s.Reason, "there are many of them")))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
