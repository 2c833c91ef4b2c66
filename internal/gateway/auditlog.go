package gateway

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// auditHost lets operators read the audit log. Who reads it is in it.
func (g *Gateway) auditHost() admind.AuditHost {
	return admind.AuditHost{List: g.listAudit, Verify: g.VerifyAudit, Export: g.exportAudit, Head: g.log.Last,
		Erase: func(ctx context.Context, by audit.Actor, id string) error {
			return g.store.Tx(ctx, func(tx *store.Tx) error { return audit.Erase(tx, by, id) })
		},
	}
}

// SealAudit gives entries their places in the log now: those of a process that ends.
func (g *Gateway) SealAudit(ctx context.Context) error {
	_, err := g.log.Seal(ctx)
	return err
}

func (g *Gateway) listAudit(ctx context.Context, by audit.Actor, f audit.Filter) (list []audit.Record, err error) {
	err = g.store.Tx(ctx, func(tx *store.Tx) (err error) {
		if list, err = audit.Find(tx, f); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "audit.read", Object: "log:audit", Detail: map[string]string{
			"actor": string(f.Actor), "action": f.Action, "object": f.Object, "entries": strconv.Itoa(len(list)),
		}})
	})
	return list, err
}

// VerifyAudit reads the whole audit log and says what does not fit; see audit.Log.Verify.
func (g *Gateway) VerifyAudit(ctx context.Context, by audit.Actor, o audit.VerifyOptions) (audit.Verified, error) {
	v, err := g.log.Verify(ctx, o)
	if err != nil {
		return v, err
	}
	return v, g.store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "audit.verify", Object: "log:audit", Detail: map[string]string{
			"entries": strconv.FormatInt(v.Entries, 10), "findings": strconv.Itoa(len(v.Findings) + v.More),
		}})
	})
}

func (g *Gateway) exportAudit(ctx context.Context, by audit.Actor, o audit.ExportOptions, w io.Writer) error {
	err := g.store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "audit.export", Object: "log:audit", Detail: map[string]string{
			"from": strconv.FormatInt(o.From, 10), "to": strconv.FormatInt(o.To, 10), "object": o.Object, "clear": strconv.FormatBool(o.Clear),
		}})
	})
	if err != nil {
		return err
	}
	return g.log.Export(ctx, w, o)
}

// auditLate is how long an entry may wait for its place in the log before the status says so.
const auditLate = time.Minute

// auditWarning says what is wrong with the audit log, as far as that is known without reading it. A log is lengthened only while a gateway runs.
func (g *Gateway) auditWarning(ctx context.Context) (text string, err error) {
	since := g.started.Load()
	if since == nil {
		return "", nil
	}
	err = g.store.View(ctx, func(tx *store.Tx) error {
		n, oldest, err := tx.WaitingAudits()
		now := g.opts.Clock()
		if err == nil && n > 0 && now.Sub(oldest) > auditLate && now.Sub(*since) > auditLate {
			text = fmt.Sprintf("%d entries of the audit log wait for their seal since %s: carepost audit verify tells whether the log is damaged", n, oldest.Format(time.RFC3339))
		}
		return err
	})
	return text, err
}
