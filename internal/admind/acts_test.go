package admind_test

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/gateway/gatewaytest"
)

// database runs a script on the rows of an installation, behind its back, and gives what it prints.
func database(t *testing.T, p *gatewaytest.Practice, script string) string {
	t.Helper()
	c := exec.Command("/usr/bin/python3", "-c", "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=20)\n"+script+"\ndb.commit()",
		filepath.Join(p.Dir, "data", "carepost.db"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	return string(out)
}

// rows are all there are.
func rows(t *testing.T, p *gatewaytest.Practice) string {
	t.Helper()
	return database(t, p, `print("\n".join(db.iterdump()))`)
}

// drained reads what an act streams.
func drained(r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// DIR-44: an act whose entry cannot be written does not happen: nothing is shown, and no row has changed. So the entry of each is in the act's own
// transaction, for one written before or after it would leave its traces.
func TestNoActWithoutItsEntry(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	w.Trust()
	p, q := w.All[0], w.All[1]
	p.Start(t)
	q.Start(t)
	q.Submit(t, q.Letter("s", "a letter", p.Address), p.Address)
	mail := p.Inbox(t, 1)[0]
	p.Quiet(t)
	p.Stop()
	q.Stop()
	c, stop := admind.Pair(p.Admind())
	t.Cleanup(stop)
	ctx := t.Context()
	sent, err := c.Send(ctx, p.Address, []addr.Address{q.Address}, strings.NewReader(p.Letter("s", "waits", q.Address)))
	must(t, err)
	works, err := c.Queue(ctx, "", 0)
	must(t, err)
	anchors, err := c.Anchors(ctx, "")
	must(t, err)
	certs, err := c.Certificates(ctx, "")
	must(t, err)
	entries, err := c.Audit(ctx, admind.AuditQuery{})
	must(t, err)
	ward := address("ward")
	must(t, c.AddAccount(ctx, ward))
	if len(works) == 0 || len(anchors) == 0 || len(certs) == 0 || len(entries) == 0 {
		t.Fatalf("%d works, %d anchors, %d certificates, %d entries", len(works), len(anchors), len(certs), len(entries))
	}
	pem := anchors[0].PEM
	in, uid := "", mail.UID

	acts := map[string]func(ctx context.Context) error{
		"message.accept": func(ctx context.Context) error {
			_, err := c.Send(ctx, p.Address, []addr.Address{q.Address}, strings.NewReader(p.Letter("s", "t", q.Address)))
			return err
		},
		"timeline": func(ctx context.Context) error { _, err := c.Message(ctx, sent); return err },
		"list":     func(ctx context.Context) error { _, err := c.Mails(ctx, p.Address, in, 0, 10); return err },
		"outline":  func(ctx context.Context) error { _, err := c.MailOutline(ctx, p.Address, in, uid); return err },
		"letter":   func(ctx context.Context) error { _, err := c.MailLetter(ctx, p.Address, in, uid); return err },
		"contents": func(ctx context.Context) error { _, err := c.MailContents(ctx, p.Address, in, uid); return err },
		"read": func(ctx context.Context) error {
			r, _, err := c.OpenMail(ctx, p.Address, in, uid)
			return drained(r, err)
		},
		"part":     func(ctx context.Context) error { return drained(c.OpenPart(ctx, p.Address, in, uid, 1)) },
		"delete":   func(ctx context.Context) error { return c.DeleteMail(ctx, p.Address, in, uid) },
		"account":  func(ctx context.Context) error { return c.AddAccount(ctx, address("lab")) },
		"close":    func(ctx context.Context) error { return c.CloseAccount(ctx, ward) },
		"password": func(ctx context.Context) error { return c.SetPassword(ctx, ward, "correct horse battery staple") },
		"drops": func(ctx context.Context) error {
			return c.SetDrops(ctx, ward, admind.Drops{Maildir: filepath.Join(t.TempDir(), "mail")})
		},
		"anchor": func(ctx context.Context) error {
			_, err := c.AddAnchor(ctx, admind.NewAnchor{Owner: ward.String(), PEM: pem})
			return err
		},
		"anchor.remove": func(ctx context.Context) error { return c.RemoveAnchor(ctx, anchors[0].ID, "") },
		"hold":          func(ctx context.Context) error { return c.HoldWork(ctx, works[0].ID) },
		"cancel":        func(ctx context.Context) error { return c.CancelWork(ctx, works[0].ID) },
		"retry":         func(ctx context.Context) error { return c.RetryWork(ctx, works[0].ID) },
		"certificate": func(ctx context.Context) error {
			_, err := c.CertificateRequest(ctx, admind.Order{Owner: ward.String(), Kind: "p256"})
			return err
		},
		"expire": func(ctx context.Context) error { _, err := c.ExpireCertificate(ctx, certs[0].ID); return err },
		"export": func(ctx context.Context) error {
			_, err := c.ExportCertificate(ctx, certs[0].ID, admind.Export{})
			return err
		},
		"key.rotate":   func(ctx context.Context) error { _, err := c.RotateKey(ctx, nil); return err },
		"audit.read":   func(ctx context.Context) error { _, err := c.Audit(ctx, admind.AuditQuery{}); return err },
		"audit.export": func(ctx context.Context) error { return c.ExportAudit(ctx, audit.ExportOptions{}, io.Discard) },
		"audit.erase":  func(ctx context.Context) error { return c.EraseAudit(ctx, entries[0].ID) },
		"held":         func(ctx context.Context) error { _, err := c.HeldMail(ctx); return err },
		"requests":     func(ctx context.Context) error { _, err := c.TrustRequests(ctx); return err },
		"explain": func(ctx context.Context) error {
			_, err := c.ExplainMail(ctx, p.Address.String(), q.Address.String(), mail.At, strings.NewReader(p.Letter("s", "t", q.Address)))
			return err
		},
		"receipt": func(ctx context.Context) error { _, err := c.SendReceipt(ctx, p.Address, in, uid); return err },
	}
	database(t, p, `db.execute("CREATE TRIGGER no_entry BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END")`)
	before := rows(t, p)
	for name, act := range acts {
		if err := act(ctx); err == nil {
			t.Errorf("%s: done without its entry", name)
		}
		if now := rows(t, p); now != before {
			t.Errorf("%s: rows have changed: %s", name, firstDifference(before, now))
			before = now
		}
	}
	// They were refused for their entries alone.
	database(t, p, `db.execute("DROP TRIGGER no_entry")`)
	for _, name := range []string{"message.accept", "timeline", "list", "read", "part", "account", "password", "anchor", "audit.erase", "retry", "hold", "certificate",
		"outline", "contents", "held", "requests", "audit.read", "audit.export", "drops", "explain", "anchor.remove", "delete", "close", "cancel", "key.rotate"} {
		if err := acts[name](ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i][:min(len(x[i]), 200)] + " → " + y[i][:min(len(y[i]), 200)]
		}
	}
	return "more or fewer"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
