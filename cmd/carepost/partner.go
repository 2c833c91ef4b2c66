package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/config"
)

func newPartnerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "partner",
		Short: "Partners on trial: their cards",
		Long: `Two installations with --pilot get to know one another by their cards: card.toml in the directory of each says where it is
reached and holds the certificate of its authority. Adding a card trusts that authority, for everybody whom it vouches for, so make
sure by another way, such as the telephone, that the fingerprint is the partner's.

In operation nobody needs cards: DNS tells where a domain is reached, and "carepost trust" whom to believe.`,
	}
	add := &cobra.Command{
		Use:   "add CARD",
		Short: "Trusts a partner by its card",
		Long: `Trusts the authority of a partner and remembers where the partner is reached. A gateway that runs uses both at once. A card that the
partner has sent before is replaced, and the authority on it trusted no longer.`,
		Example: `  carepost partner add --config north south-card.toml
  carepost partner add --config north ../south     # one on this machine`,
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := findPartner(args[0])
			if err != nil {
				return err
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := client.AddPartner(cmd.Context(), p.wire()); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is a partner now%s, reached at %s (DNS %s).\nFingerprint of its authority, to compare by telephone:\n  %s\n",
				p.card.Domain, withAlso(p.card.Also), plain(p.card.SMTP), plain(p.card.DNS), p.card.Fingerprint())
			return err
		},
	}
	remove := &cobra.Command{
		Use:   "remove DOMAIN",
		Short: "Forgets a partner",
		Long: `Forgets the partner's card, and trusts the authority on it no longer, unless another partner has the same one or somebody has added it
by "carepost trust add". A gateway that runs does both at once; mail to that domain then goes where DNS says.`,
		Example:               `  carepost partner remove --config north south.example`,
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := addr.ParseDomain(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q is no domain such as south.example", args[0]))
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := client.RemovePartner(cmd.Context(), d); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is no partner any more.\n", d)
			return err
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "Lists the partners whose cards are here", Args: cobra.NoArgs, DisableFlagsInUseLine: true,
		Long: "Lists the partners whose cards lie in the directory partners/ of the installation, with the fingerprints of their authorities.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			for _, p := range c.Partners {
				fmt.Fprintf(cmd.OutOrStdout(), "%s%s  %s\n  %s\n", p.Domain, withAlso(p.Also), plain(p.SMTP), p.Fingerprint())
			}
			return nil
		},
	}
	cmd.AddCommand(add, list, remove)
	return ofInstallation(cmd)
}

// withAlso tells the further domains of a card.
func withAlso(all []addr.Domain) string {
	if len(all) == 0 {
		return ""
	}
	var names []string
	for _, d := range all {
		names = append(names, d.String())
	}
	return ", with " + strings.Join(names, ", ")
}

// partner is somebody whose card was named.
type partner struct {
	card config.Card
	conf *config.Config // of the installation on this machine, if it is one
}

// findPartner reads a card, or finds that of an installation on this machine.
func findPartner(path string) (*partner, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("there is no %q", path))
	}
	if err != nil {
		return nil, notNow(err)
	}
	p := &partner{}
	if info.IsDir() {
		if p.conf, err = readConfig(path); err != nil {
			return nil, err
		}
		path = filepath.Join(p.conf.Dir, config.CardName)
	}
	p.card, err = config.LoadCard(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("there is no card in %s: it was not made with --pilot", p.conf.Dir))
	}
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		return nil, usage(err)
	}
	return p, err
}

// taken are the addresses that the partner listens on when it runs.
func (p *partner) taken() []string {
	if p == nil {
		return nil
	}
	out := []string{p.card.SMTP, p.card.DNS, p.card.HTTP}
	if p.conf != nil {
		l := p.conf.Listen
		out = append(out, l.MX, l.Submission, l.Submissions, l.DNS, l.HTTP)
	}
	return out
}

// meet has i trust the partner, and the partner i where it is an installation on this machine.
func (p *partner) meet(ctx context.Context, i *installation) error {
	if err := i.admit(ctx, operator(), p.card); err != nil {
		return notNow(err)
	}
	if p.conf == nil {
		return nil
	}
	own := &partner{card: cardOf(i.conf, i.Gateway)}
	client, done, err := reach(ctx, p.conf)
	if err != nil {
		return err
	}
	defer done()
	return clientError(client.AddPartner(ctx, own.wire()))
}

func (p *partner) said() string {
	if p.conf != nil {
		return p.card.Domain.String() + ", to which this installation was introduced too"
	}
	return p.card.Domain.String() + "; give it card.toml in turn"
}

// wire is the card as the admin socket takes it.
func (p *partner) wire() admind.Card {
	return admind.Card{
		Domain: p.card.Domain, Also: p.card.Also, SMTP: p.card.SMTP, DNS: p.card.DNS, HTTP: p.card.HTTP,
		Anchor: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.card.Anchor.Raw})),
	}
}

// cardFrom checks a card that came over the admin socket, by the same rules as a file.
func cardFrom(w admind.Card) (config.Card, error) {
	var also []string
	for _, d := range w.Also {
		also = append(also, strconv.Quote(d.String()))
	}
	text := fmt.Sprintf("domain = %q\ndomains = [%s]\nsmtp = %q\ndns = %q\nhttp = %q\nanchor = %q\n", w.Domain.String(), strings.Join(also, ", "), w.SMTP, w.DNS, w.HTTP, w.Anchor)
	return config.ParseCard("the card", text)
}

// operator is who acts when a command does.
func operator() audit.Actor { return audit.Actor("operator:" + strconv.Itoa(os.Getuid())) }
