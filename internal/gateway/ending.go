package gateway

import (
	"context"
	"crypto/x509"
	"time"

	"carepost/internal/admin"
	"carepost/internal/admind"
)

// formerListed is for how long a former certificate of the authority is told of after its end.
const formerListed = 30 * 24 * time.Hour

// tellEndings logs and audits what ends, at each step once. What the pilot authority renews by itself has been renewed before, unless that
// fails.
func (g *Gateway) tellEndings(ctx context.Context) error {
	w, err := g.watch()
	if err != nil {
		return err
	}
	fresh, err := g.admin.TellEndings(ctx, actor, w)
	for _, e := range fresh {
		said := "a certificate ends soon"
		if e.Ended() {
			said = "a certificate has ended"
		}
		g.opts.Log.Warn(said+": carepost status tells what to do", "what", e.Traced, "ends", e.NotAfter, "days", e.Days())
	}
	return err
}

// tellExpiring is what status says of that.
func (g *Gateway) tellExpiring(ctx context.Context, s *admind.Status) error {
	w, err := g.watch()
	if err != nil {
		return err
	}
	all, err := g.admin.Endings(ctx, w)
	for _, e := range all {
		s.Warnings = append(s.Warnings, e.Words())
		s.Expiring = append(s.Expiring, admind.Expiring{Kind: e.Kind, What: e.What, SHA256: e.SHA256, NotAfter: e.NotAfter, Days: e.Days(),
			Ended: e.Ended(), Count: e.Count, Remedy: e.Remedy})
	}
	return err
}

// watch is what the store does not know of what ends.
func (g *Gateway) watch() (w admin.Watch, err error) {
	if a := g.authority; a != nil {
		w.Renews = a.Issued
		for _, name := range a.Names() {
			der, _ := a.Certificate(name)
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return w, err
			}
			w.Ours = append(w.Ours, der)
			switch {
			case c.Equal(a.Anchor()):
				w.Also = append(w.Also, admin.NewEnding(admin.EndingAuthority, "the certificate of the pilot authority", der, c.NotAfter,
					"it was to be followed by another two years before, and the log says why that fails; nothing is issued after its end"))
			case g.opts.Clock().Before(c.NotAfter.Add(formerListed)):
				w.Also = append(w.Also, admin.NewEnding(admin.EndingAuthority, "the former certificate of the pilot authority", der, c.NotAfter,
					"partners who have no other anchor of ours refuse our mail from then on; give them the present one: carepost cert authority --pem prints it"))
			}
		}
	}
	g.showing.Lock()
	defer g.showing.Unlock()
	shown := g.shown.Load()
	if shown == nil || len(shown.Certificate) == 0 {
		return w, nil
	}
	der := shown.Certificate[0]
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return w, err
	}
	remedy := "it was to be replaced by itself, and the log says why that fails"
	if g.tls.Certificate != "" {
		remedy = "put the next one into the files that [tls] names: they are read again within the hour, and at once by carepost reload"
	}
	w.Also = append(w.Also, admin.NewEnding(admin.EndingServer, "the certificate that mail servers and mail programs are shown", der, c.NotAfter, remedy))
	return w, nil
}
