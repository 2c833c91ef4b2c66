package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/certificate"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/trust"
)

// Change is what a fetch of a bundle did.
type Change struct {
	Name           string
	Same           bool     // nothing: it was what it had been
	Added, Removed []string // fingerprints, SHA-256 in hexadecimal
	Anchors        int      // that it brings now
	Expired        int      // of them: they are trusted for nothing
	Unreadable     int      // entries that no certificate could be read from
}

// Refresh fetches a bundle and has its anchors take the place of those before. acceptShrink lets one through that has lost more of them
// than is allowed. What is not taken is a *Refused, and alarms; ErrNoBundle.
func (s *Service) Refresh(ctx context.Context, by audit.Actor, name string, acceptShrink bool) (c Change, err error) {
	var b store.Bundle
	if err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) { b, err = tx.Bundle(name); return err }); err != nil {
		return c, known("refresh", err)
	}
	body, err := s.fetch(ctx, b)
	if err != nil && ctx.Err() != nil {
		return c, known("refresh", ctx.Err())
	}
	now := s.o.Clock()
	var got trust.Bundle
	if err == nil {
		got, err = s.parse(body, b, now)
	}
	if err == nil {
		c, err = s.replace(ctx, by, b, got, body, acceptShrink)
	}
	var refused *Refused
	if errors.As(err, &refused) {
		if err := s.alarm(ctx, by, b, refused.Reason); err != nil {
			return c, known("refresh", err)
		}
	}
	return c, known("refresh", err)
}

func (s *Service) fetch(ctx context.Context, b store.Bundle) ([]byte, error) {
	body, err := s.o.Fetcher.Fetch(ctx, b.Detail.URL, maxBody)
	if err != nil {
		reason := strings.TrimSuffix(strings.TrimPrefix(err.Error(), "fetch: "), ": "+trust.ErrAbsent.Error())
		refused := &Refused{"it could not be fetched: " + reason}
		if errors.Is(err, trust.ErrAbsent) {
			return nil, refused
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreached, refused)
	}
	return body, nil
}

func (s *Service) parse(body []byte, b store.Bundle, now time.Time) (got trust.Bundle, err error) {
	var signers []*x509.Certificate
	for _, der := range b.Detail.Signers {
		c, err := certificate.Parse(der)
		if err != nil {
			return got, fmt.Errorf("the signer's certificate: %w", err)
		}
		signers = append(signers, c)
	}
	got, err = trust.ParseBundle(body, signers, now)
	switch {
	case errors.Is(err, trust.ErrBundleUnsigned):
		return got, &Refused{"it is not signed, and it has to be"}
	case errors.Is(err, trust.ErrBundleSigner) && len(signers) > 0 && allPast(signers, now):
		return got, &Refused{"the certificate that has to sign it has ended: add the bundle again with the one that has replaced it"}
	case errors.Is(err, trust.ErrBundleSigner):
		return got, &Refused{"its signature is not a good one of the one who has to sign it"}
	case errors.Is(err, trust.ErrBundleSize):
		return got, &Refused{"it is larger than any that is taken"}
	case err != nil:
		return got, &Refused{"what is there is no trust bundle"}
	}
	return got, nil
}

func allPast(certs []*x509.Certificate, now time.Time) bool {
	return !slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return !now.After(c.NotAfter) })
}

// replace has the certificates of got take the place of those before, in one transaction.
func (s *Service) replace(ctx context.Context, by audit.Actor, b store.Bundle, got trust.Bundle, body []byte, acceptShrink bool) (c Change, err error) {
	now, sum := s.o.Clock(), sha256.Sum256(body)
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		fresh, err := tx.Bundle(b.Name)
		if err != nil {
			return err
		}
		if fresh.ID != b.ID { // removed and added again meanwhile
			return ErrNoBundle
		}
		before, err := tx.BundleAnchors(b.ID)
		if err != nil {
			return err
		}
		c = compare(b.Name, before, got, now)
		c.Same = bytes.Equal(fresh.Detail.Sum, sum[:]) && len(c.Added)+len(c.Removed) == 0
		switch {
		case len(got.Certificates) == 0 && got.Unreadable > 0:
			return &Refused{"no certificate of it can be read"}
		case len(got.Certificates) == 0:
			return &Refused{"it is empty"}
		}
		if refused := older(got, fresh.Detail, now); refused != nil {
			return refused
		}
		if refused := shrunken(before, c, fresh.Detail.Shrink, now); refused != nil && !acceptShrink {
			return refused
		}
		if err := exchange(tx, b.ID, before, got); err != nil {
			return err
		}
		d := fresh.Detail
		if !c.Same {
			d.Taken, d.Sum = now, sum[:]
		}
		d.Metadata, d.Seen, d.Tried, d.Alarm, d.Failures, d.Next = got.Metadata, now, now, "", 0, due(now, d.Every, 0)
		if len(d.Signers) > 0 {
			d.Signed = got.Signed
		}
		if err := tx.SetBundle(b.ID, d); err != nil {
			return err
		}
		if c.Same && fresh.Detail.Alarm == "" {
			return nil // nothing has happened
		}
		detail := map[string]string{"name": b.Name, "added": strings.Join(c.Added, " "), "removed": strings.Join(c.Removed, " "),
			"anchors": strconv.Itoa(c.Anchors), "expired": strconv.Itoa(c.Expired), "unreadable": strconv.Itoa(c.Unreadable)}
		if acceptShrink {
			detail["shrinking"] = "accepted"
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.replace", Object: "bundle:" + b.ID, Detail: detail})
	})
	if err == nil && !c.Same {
		s.o.Log.Info("trust bundle taken", "bundle", b.Name, "added", len(c.Added), "removed", len(c.Removed), "anchors", c.Anchors, "expired", c.Expired)
	}
	return c, err
}

func compare(name string, before [][]byte, got trust.Bundle, now time.Time) Change {
	c := Change{Name: name, Anchors: len(got.Certificates), Unreadable: got.Unreadable}
	var after [][]byte
	for _, cert := range got.Certificates {
		after = append(after, cert.Raw)
		if now.After(cert.NotAfter) {
			c.Expired++
		}
	}
	was, is := prints(before), prints(after)
	for _, p := range is {
		if !slices.Contains(was, p) {
			c.Added = append(c.Added, p)
		}
	}
	for _, p := range was {
		if !slices.Contains(is, p) {
			c.Removed = append(c.Removed, p)
		}
	}
	return c
}

// older refuses a bundle that its signer had signed before the one that was taken last: who can change what comes over the wire could
// bring back an anchor that was taken out since. A time that has not come is no time, or one slip of a clock would refuse all that follows.
func older(got trust.Bundle, d store.BundleDetail, now time.Time) error {
	const layout = "2006-01-02 15:04 UTC"
	switch {
	case len(d.Signers) == 0:
	case got.Signed.After(now.Add(ahead)):
		return &Refused{"its signature says that it was made on " + got.Signed.UTC().Format(layout) + ", which is yet to come"}
	case got.Signed.Before(d.Signed):
		return &Refused{"it is older than the one that was taken last, which was signed on " + d.Signed.UTC().Format(layout) +
			": ask who gives it out; if it is right, remove the bundle and add it again"}
	}
	return nil
}

// ahead is how far the clock of a signer may be before ours.
const ahead = 24 * time.Hour

// shrunken says that so many anchors are gone that somebody has to look. Those that have ended may go.
func shrunken(before [][]byte, c Change, percent int, now time.Time) error {
	live, lost := 0, 0
	for i, p := range prints(before) {
		if expired(before[i:i+1], now) > 0 {
			continue
		}
		if live++; slices.Contains(c.Removed, p) {
			lost++
		}
	}
	if lost*100 <= live*percent {
		return nil
	}
	return &Refused{fmt.Sprintf("%d of its %d anchors are gone, more than %d percent: ask who gives it out, then carepost trust bundle refresh %s --accept-shrink",
		lost, live, percent, c.Name)}
}

func exchange(tx *store.Tx, id string, before [][]byte, got trust.Bundle) error {
	for _, der := range before {
		if !slices.ContainsFunc(got.Certificates, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, der) }) {
			if err := tx.DropBundleAnchor(id, der); err != nil {
				return err
			}
		}
	}
	for _, c := range got.Certificates {
		if err := tx.AddBundleAnchor(id, c.Raw); err != nil {
			return err
		}
	}
	return nil
}

// alarm keeps why a bundle was not taken. The log and the audit are told when the reason is a new one.
func (s *Service) alarm(ctx context.Context, by audit.Actor, b store.Bundle, reason string) error {
	now, fresh := s.o.Clock(), false
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		there, err := tx.Bundle(b.Name)
		if err != nil || there.ID != b.ID {
			return err
		}
		d := there.Detail
		fresh = d.Alarm != reason
		d.Alarm, d.Tried = reason, now
		d.Failures++
		d.Next = due(now, d.Every, d.Failures)
		if err := tx.SetBundle(b.ID, d); err != nil || !fresh {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.refuse", Object: "bundle:" + b.ID, Detail: map[string]string{"name": b.Name, "reason": reason}})
	})
	if err == nil && fresh {
		s.o.Log.Error("trust bundle not taken, the anchors before stay", "bundle", b.Name, "reason", reason)
	}
	return err
}

// Run fetches bundles as they fall due, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	const look = time.Minute
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := s.Due(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("trust bundles", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Due fetches the bundles that are due, one after the other. Each failure is an alarm of its own.
func (s *Service) Due(ctx context.Context) error {
	var all []store.Bundle
	if err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) { all, err = tx.Bundles(); return err }); err != nil {
		return known("due", err)
	}
	var failed []error
	for _, b := range all {
		if b.Detail.Every == 0 || s.o.Clock().Before(b.Detail.Next) {
			continue
		}
		_, err := s.Refresh(ctx, actor, b.Name, false)
		var refused *Refused
		if err != nil && !errors.As(err, &refused) && !errors.Is(err, ErrNoBundle) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

const actor = audit.Actor("bundle")
