package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/config"
)

// introduce trusts a partner's authority and keeps the card, in use at once.
func (i *installation) introduce(ctx context.Context, by audit.Actor, card admind.Card) error {
	c, err := cardFrom(card)
	if err == nil {
		err = i.admit(ctx, by, c)
	}
	return answer(err)
}

func (i *installation) admit(ctx context.Context, by audit.Actor, c config.Card) error {
	i.files.Lock()
	defer i.files.Unlock()
	before, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	switch d, whose := before.Claimed(c); {
	case d == i.conf.Domain:
		return &admind.Error{Status: http.StatusBadRequest, Code: admind.Usage, Reason: fmt.Sprintf("%s is this installation itself", d)}
	case d != "":
		return &admind.Error{Status: http.StatusBadRequest, Code: admind.Usage, Reason: fmt.Sprintf("the card names %s, which is a domain of %s", d, whose)}
	}
	if err := i.TrustCard(ctx, by, c.Anchor, c.Domain); err != nil {
		return err
	}
	if err := config.SaveCard(i.conf.Dir, c); err != nil {
		return err
	}
	return i.without(ctx, by, cardsOf(before, c.Domain))
}

// forget takes back what admit did.
func (i *installation) forget(ctx context.Context, by audit.Actor, d addr.Domain) error {
	i.files.Lock()
	defer i.files.Unlock()
	before, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	gone := cardsOf(before, d)
	if len(gone) == 0 {
		return &admind.Error{Status: http.StatusNotFound, Code: admind.NotFound, Reason: fmt.Sprintf("there is no card of %s here", d)}
	}
	if err := i.distrust(ctx, by, gone, slices.DeleteFunc(before.Partners, func(p config.Card) bool { return p.Domain == d })); err != nil {
		return err // before the card is gone, so that it can be asked for again
	}
	if err := config.RemoveCard(i.conf.Dir, d); err != nil {
		return err
	}
	return i.without(ctx, by, nil)
}

// without uses the cards that there are now. The anchors of those that were replaced are trusted no longer.
func (i *installation) without(ctx context.Context, by audit.Actor, replaced []config.Card) error {
	now, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	network, err := networkOf(now)
	if err != nil {
		return err
	}
	i.Reach(network)
	return i.distrust(ctx, by, replaced, now.Partners)
}

// distrust takes the trust in cards back, as far as no other partner has the same authority.
func (i *installation) distrust(ctx context.Context, by audit.Actor, cards, others []config.Card) error {
	for _, c := range cards {
		if slices.ContainsFunc(others, func(o config.Card) bool { return o.Anchor.Equal(c.Anchor) }) {
			continue
		}
		if err := i.DistrustCard(ctx, by, c.Anchor); err != nil {
			return err
		}
	}
	return nil
}

func cardsOf(c *config.Config, d addr.Domain) (out []config.Card) {
	for _, p := range c.Partners {
		if p.Domain == d {
			out = append(out, p)
		}
	}
	return out
}
