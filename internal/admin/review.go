package admin

import (
	"bytes"
	"context"
	"encoding/asn1"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"carepost/certificate"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Evaluated checks and completes what somebody says of how certificates are issued. nil stays nil. *Invalid.
func (s *Service) Evaluated(e *Evaluation) (*Evaluation, error) { return evaluated(e, s.clock()) }

// evaluated checks and completes what somebody says of how certificates are issued. nil stays nil.
func evaluated(e *Evaluation, now time.Time) (*Evaluation, error) {
	if e == nil {
		return nil, nil
	}
	said := *e
	said.At, said.Warned = now, 0
	if said.Assured = strings.TrimSpace(said.Assured); said.Assured == "" {
		return nil, invalid("say what was evaluated: how the issuer identifies persons, and who holds the keys")
	}
	if len(said.Assured) > maxWords || len(said.By) > maxWords {
		return nil, invalid("say it in fewer words: %d bytes at most", maxWords)
	}
	if len(said.Policies) > maxPolicies {
		return nil, invalid("name no more than %d policies", maxPolicies)
	}
	for _, p := range said.Policies {
		if !isOID(p) {
			return nil, invalid("a policy is named by its object identifier, such as 2.16.840.1.101.3.2.1.3.13")
		}
	}
	if !said.Review.IsZero() && !said.Review.After(now) {
		return nil, invalid("the date of the review has passed")
	}
	return &said, nil
}

// The words of an evaluation, in bytes, and its policies.
const (
	maxWords    = 2000
	maxPolicies = 20
)

func isOID(text string) bool {
	if len(text) > 100 || !regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]{0,8}))+$`).MatchString(text) {
		return false
	}
	var oid asn1.ObjectIdentifier
	for _, arc := range strings.Split(text, ".") {
		n := 0
		fmt.Sscan(arc, &n)
		oid = append(oid, n)
	}
	_, err := asn1.Marshal(oid)
	return err == nil
}

// evaluationDetail is what the audit keeps of an evaluation.
func evaluationDetail(e *Evaluation) map[string]string {
	if e == nil {
		return map[string]string{"evaluation": "none"}
	}
	d := map[string]string{"evaluation": e.Assured}
	if len(e.Policies) > 0 {
		d["policies"] = strings.Join(e.Policies, " ")
	}
	if e.By != "" {
		d["evaluated by"] = e.By
	}
	if !e.Review.IsZero() {
		d["review"] = e.Review.UTC().Format(time.DateOnly)
	}
	return d
}

// ahead is how long before a review is due people are told for the first time.
const ahead = 30 * 24 * time.Hour

// step is how urgent a review is: 0 not at all, 1 soon, 2 due.
func step(e *Evaluation, now time.Time) int {
	switch {
	case e == nil || e.Review.IsZero() || now.Before(e.Review.Add(-ahead)):
		return 0
	case now.Before(e.Review):
		return 1
	}
	return 2
}

// Review is an evaluation that is to be made again, of an anchor or of a bundle.
type Review struct {
	What string // "the anchor CN=…", "the bundle network"
	Due  time.Time
	Past bool

	object string   // of the audit
	ids    []string // of the anchor in its directions
	bundle string
	owner  Owner
	der    []byte
	said   *Evaluation
}

// Words are those for people.
func (r Review) Words() string {
	if r.Past {
		return fmt.Sprintf("%s was to be evaluated again by %s: say what was found with --assured and --review", r.What, r.Due.UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("%s is to be evaluated again by %s", r.What, r.Due.UTC().Format(time.DateOnly))
}

// Reviews lists the evaluations that are to be made again, or soon: one for each certificate and owner.
func (s *Service) Reviews(ctx context.Context) (out []Review, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = reviews(tx, s.clock())
		return err
	})
	return out, prefix("reviews", err)
}

func reviews(tx *store.Tx, now time.Time) (out []Review, err error) {
	anchors, err := tx.EvaluatedAnchors()
	if err != nil {
		return nil, err
	}
	for _, a := range anchors {
		n := step(a.Evaluation, now)
		if n == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(r Review) bool {
			return r.owner == a.Owner && bytes.Equal(r.der, a.DER) && r.Due.Equal(a.Evaluation.Review) && r.said.Warned == a.Evaluation.Warned
		})
		if i < 0 {
			i = len(out)
			out = append(out, Review{What: "the anchor " + subject(a.DER), Due: a.Evaluation.Review, Past: n == 2, object: "anchor:" + a.ID,
				owner: a.Owner, der: a.DER, said: a.Evaluation})
		}
		out[i].ids = append(out[i].ids, a.ID)
	}
	bundles, err := tx.Bundles()
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		if e := b.Detail.Evaluation; step(e, now) > 0 {
			out = append(out, Review{What: "the bundle " + b.Name, Due: e.Review, Past: step(e, now) == 2, object: "bundle:" + b.ID, bundle: b.Name, said: e})
		}
	}
	return out, nil
}

// Remind writes each review that has become due, or soon will be, to the audit: once for each of the two steps. fresh are those.
func (s *Service) Remind(ctx context.Context, by audit.Actor) (fresh []Review, err error) {
	all, err := s.Reviews(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	now := s.clock()
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		fresh = nil
		all, err := reviews(tx, now)
		if err != nil {
			return err
		}
		for _, r := range all {
			n := step(r.said, now)
			if r.said.Warned >= n {
				continue
			}
			r.said.Warned = n
			if err := told(tx, r); err != nil {
				return err
			}
			err := audit.Write(tx, audit.Entry{Actor: by, Action: "review.due", Object: r.object,
				Detail: map[string]string{"review": r.Due.UTC().Format(time.DateOnly), "what": r.Words()}})
			if err != nil {
				return err
			}
			fresh = append(fresh, r)
		}
		return nil
	})
	return fresh, prefix("reviews", err)
}

// told keeps that a review was told.
func told(tx *store.Tx, r Review) error {
	for _, id := range r.ids {
		if err := tx.EvaluateAnchor(id, r.said); err != nil {
			return err
		}
	}
	if r.bundle == "" {
		return nil
	}
	b, err := tx.Bundle(r.bundle)
	if err != nil {
		return err
	}
	b.Detail.Evaluation = r.said
	return tx.SetBundle(b.ID, b.Detail)
}

// subject is the name in a certificate, for people.
func subject(der []byte) string {
	c, err := certificate.Parse(der)
	if err != nil {
		return "that cannot be read"
	}
	return c.Subject.String()
}
