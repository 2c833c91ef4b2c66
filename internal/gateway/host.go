package gateway

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"carepost/internal/admin"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/backup"
	"carepost/internal/store"
	"carepost/internal/vault"
	"carepost/trust"
)

// Admind is what the operator's commands speak to.
func (g *Gateway) Admind() *admind.Server { return g.admind }

// Operate has Run listen to the operator's commands on l.
func (g *Gateway) Operate(l net.Listener) { g.opts.Listeners.Admin = l }

// operators is what the admin socket offers.
func (g *Gateway) operators() admind.Options {
	h := admind.Host{
		Flush:  g.flush,
		Vouch:  g.Vouch,
		Status: g.status, Identity: g.identity, AddPartner: g.opts.Partner, RemovePartner: g.opts.Forget,
		Keys: g.sealingKeys, RotateKey: g.rotateKey, Rekey: g.rekey, Backup: g.backup, Publication: g.tellPublication, Code: codeOf,
		Pilot: g.pilotHost(), Audit: g.auditHost(), Hooks: g.hookHost(), Handovers: g.handoverHost(), Collect: g.collectHost(),
	}
	if reload := g.opts.Reload; reload != nil {
		h.Reload = func(ctx context.Context, by audit.Actor) (out admind.Reloaded, err error) {
			if err := g.note(ctx, by, "config.reload", "domain:"+g.opts.Domain.String()); err != nil {
				return out, err
			}
			out.Later, err = reload(ctx)
			return out, err
		}
	}
	return admind.Options{Admin: g.admin, Bundles: g.bundles, Flow: g.flow, Mailboxes: g.mailboxes, Intake: g.intake, Host: h, Log: g.opts.Log}
}

// codeOf names errors of rooms that edges do not see.
func codeOf(err error) string {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return admind.NotFound
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrDuplicate), errors.Is(err, admin.ErrOpen), errors.Is(err, backup.ErrExists):
		return admind.Conflict
	case errors.Is(err, backup.ErrIncomplete):
		return admind.Damaged
	case errors.Is(err, backup.ErrPlace), errors.Is(err, store.ErrUnsupported):
		return admind.Usage
	}
	return ""
}

// note writes one entry of the audit.
func (g *Gateway) note(ctx context.Context, by audit.Actor, action, object string) error {
	return g.store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: action, Object: object})
	})
}

func (g *Gateway) status(ctx context.Context) (admind.Status, error) {
	s := admind.Status{
		Domains: g.domains(), Version: g.opts.Version, Engine: "sqlite", Warnings: g.store.Warnings(), Listeners: map[string]string{},
	}
	if !g.store.Exclusive() {
		s.Engine = "postgres"
	}
	swept, err := g.sweep.Status(ctx)
	if err != nil {
		return s, err
	}
	if n := len(swept.Damaged); n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d stored bodies do not read as they were written; the audit and the log name them: restore them from a backup", n))
	}
	trusted, err := g.trustWarnings(ctx)
	if err != nil {
		return s, err
	}
	s.Warnings = append(s.Warnings, trusted...)
	if late, err := g.auditWarning(ctx); err != nil {
		return s, err
	} else if late != "" {
		s.Warnings = append(s.Warnings, late)
	}
	if n, err := g.handovers.Failed(ctx); err != nil {
		return s, err
	} else if n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d studies could not be handed over to their destination: carepost dicom out list", n))
	}
	if err := g.tellExpiring(ctx, &s); err != nil {
		return s, err
	}
	s.Warnings = append(s.Warnings, g.auditWarnings()...)
	s.Warnings = append(s.Warnings, g.relayWarnings()...)
	fetching, err := g.collectWarnings(ctx)
	if err != nil {
		return s, err
	}
	s.Warnings = append(s.Warnings, fetching...)
	if held, err := g.intakeWarning(ctx); err != nil {
		return s, err
	} else if held != "" {
		s.Warnings = append(s.Warnings, held)
	}
	if n := g.warned.Load(); n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("about what is published there is something to know (%d): carepost cert publish tells it", n))
	}
	if since := g.started.Load(); since != nil {
		s.Serving, s.Started = true, *since
	}
	l := g.opts.Listeners
	for name, x := range map[string]net.Listener{"mx": l.MX, "submission": l.Submission, "submissions": l.Submissions, "dns": l.DNSTCP, "ldap": l.LDAP, "http": l.HTTP,
		"dicom": l.DICOM, "dicom by TLS": l.DICOMTLS, "DICOMweb": l.DICOMWeb} {
		if x != nil {
			s.Listeners[name] = x.Addr().String()
		}
	}
	return s, nil
}

func (g *Gateway) identity(ctx context.Context) (admind.Card, error) {
	c := admind.Card{Domain: g.opts.Domain, Also: g.opts.Domains, Hostname: g.opts.Hostname, HTTP: g.opts.Face.HTTP}
	l := g.opts.Listeners
	if l.MX != nil {
		c.SMTP = l.MX.Addr().String()
	}
	if l.DNSTCP != nil {
		c.DNS = l.DNSTCP.Addr().String()
	}
	if g.authority != nil {
		c.Anchor = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.authority.Anchor().Raw}))
	}
	err := g.store.View(ctx, func(tx *store.Tx) error {
		own, err := g.current(tx, trust.Encryption) // what partners find published
		if own != nil {
			c.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.DER}))
		}
		return err
	})
	return c, err
}

func (g *Gateway) kekPath() string { return filepath.Join(g.opts.Dir, "keys", "kek") }

func (g *Gateway) sealingKeys(ctx context.Context) (admind.Keys, error) {
	infos, err := g.store.SealingKeys(ctx)
	var out admind.Keys
	for _, k := range infos {
		out.Sealing = append(out.Sealing, admind.SealingKey{ID: k.KID, Purpose: string(k.Purpose), Created: k.Created, Current: k.Current})
	}
	return out, err
}

// rotateKey has a new store key seal from now on, and seals everything anew under it. What was cut short goes on at the next call.
func (g *Gateway) rotateKey(ctx context.Context, by audit.Actor, progress func(done, total int64)) (out admind.Rotation, err error) {
	kek, err := vault.LoadKEK(g.kekPath())
	if err != nil {
		return out, err
	}
	if out.Key, err = g.store.RotateSealing(ctx, kek, func(tx *store.Tx, kid string) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "key.rotate", Object: "key:" + kid})
	}); err != nil {
		return out, err
	}
	return out, g.store.Reseal(ctx, func(done, total int64) {
		out.Resealed = done
		if progress != nil {
			progress(done, total)
		}
	})
}

// rekey wraps the store keys with a new key-encryption key.
func (g *Gateway) rekey(ctx context.Context, by audit.Actor) error {
	next, finish, err := vault.RotateKEK(g.kekPath())
	if err != nil {
		return err
	}
	if err := g.store.RewrapKeys(ctx, next, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "key.rekey", Object: "domain:" + g.opts.Domain.String()})
	}); err != nil {
		return err
	}
	return finish()
}

func (g *Gateway) backup(ctx context.Context, by audit.Actor, dir string, progress func(done, total int64)) (admind.Backup, error) {
	kek, err := vault.LoadKEK(g.kekPath())
	if err != nil {
		return admind.Backup{}, err
	}
	m, err := backup.Create(ctx, backup.Options{
		Store: g.store, Blobs: g.blobs, Dir: g.opts.Dir, By: by, KEK: kek, Clock: g.opts.Clock, Progress: progress,
	}, dir)
	if err != nil {
		return admind.Backup{}, fmt.Errorf("gateway: %w", err)
	}
	return admind.Backup{Dir: dir, Created: m.Created, Files: m.Files, Bodies: m.Bodies, Bytes: m.Bytes}, nil
}
