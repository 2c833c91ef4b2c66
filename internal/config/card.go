package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"carepost/addr"
	"carepost/internal/vault"
)

// Where cards lie in the directory of an installation.
const (
	CardName = "card.toml" // our own, for partners
	Partners = "partners"  // theirs: DOMAIN.toml
)

// Card is what one installation on trial tells another: where it is reached, as long as DNS does not say so, and its authority's
// certificate. Nothing in it is secret; whoever takes one makes sure that it is the partner's (by the Fingerprint).
type Card struct {
	Domain addr.Domain
	Also   []addr.Domain // its other domains, sorted
	SMTP   string        // host:port of its mail server
	DNS    string        // host:port of its name server
	HTTP   string        // host:port where its certificate and revocation list are fetched
	Anchor *x509.Certificate
}

type cardFile struct {
	Domain  domain   `toml:"domain"`
	Domains []domain `toml:"domains"`
	SMTP    hostPort `toml:"smtp"`
	DNS     hostPort `toml:"dns"`
	HTTP    hostPort `toml:"http"`
	Anchor  anchor   `toml:"anchor"`
}

// anchor is a certificate in PEM.
type anchor struct{ *x509.Certificate }

func (a *anchor) UnmarshalText(text []byte) error {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("the anchor is not one certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return errors.New("the anchor is no X.509 certificate")
	}
	if !c.IsCA {
		return errors.New("the anchor is the certificate of no authority")
	}
	a.Certificate = c
	return nil
}

// LoadCard reads a card. *Error where something in it is wrong.
func LoadCard(path string) (Card, error) {
	text, err := read(path)
	if err != nil {
		return Card{}, err
	}
	return ParseCard(path, text)
}

// ParseCard reads the text of a card; path says where it stood.
func ParseCard(path, text string) (Card, error) {
	var f cardFile
	if err := decode(path, text, &f); err != nil {
		return Card{}, err
	}
	c := Card{Domain: addr.Domain(f.Domain), SMTP: string(f.SMTP), DNS: string(f.DNS), HTTP: string(f.HTTP), Anchor: f.Anchor.Certificate}
	if c.Domain == "" || c.SMTP == "" || c.DNS == "" || c.Anchor == nil {
		return Card{}, &Error{Path: path, Reason: "a card names domain, smtp, dns and anchor"}
	}
	var err error
	c.Also, err = others(c.Domain, f.Domains, func(key, format string, a ...any) error {
		return &Error{path, lineOf(text, []string{key}), fmt.Sprintf(format, a...)}
	})
	if err != nil {
		return Card{}, err
	}
	for key, at := range map[string]string{"smtp": c.SMTP, "dns": c.DNS, "http": c.HTTP} {
		if at != "" && !reachable(at) { // it would lead to ourselves
			return Card{}, &Error{path, lineOf(text, []string{key}), fmt.Sprintf("%q says not which host that is", at)}
		}
	}
	return c, nil
}

// Fingerprint is the SHA-256 of the anchor, as people compare it.
func (c Card) Fingerprint() string { return Fingerprint(c.Anchor) }

// Fingerprint is the SHA-256 of a certificate, in groups that can be read aloud.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	s := strings.ToUpper(hex.EncodeToString(sum[:]))
	var groups []string
	for group := range slices.Chunk([]byte(s), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// Text is the card as a file.
func (c Card) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What %s tells its partners on trial. Nothing here is secret.\n", c.Domain)
	fmt.Fprintf(&b, "# Whoever takes this card compares the fingerprint by another way, such as the telephone:\n# %s\n", c.Fingerprint())
	fmt.Fprintf(&b, "domain = %q\n", c.Domain.String())
	if len(c.Also) > 0 {
		fmt.Fprintf(&b, "domains = [%s]\n", quoted(c.Also))
	}
	fmt.Fprintf(&b, "smtp = %q\ndns = %q\nhttp = %q\n", c.SMTP, c.DNS, c.HTTP)
	fmt.Fprintf(&b, "anchor = \"\"\"\n%s\"\"\"\n", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Anchor.Raw}))
	return b.String()
}

// Domains are all that the card is for.
func (c Card) Domains() []addr.Domain { return append([]addr.Domain{c.Domain}, c.Also...) }

func quoted(all []addr.Domain) string {
	var out []string
	for _, d := range all {
		out = append(out, strconv.Quote(d.String()))
	}
	return strings.Join(out, ", ")
}

// Claimed names a domain that a card claims and that is ours, or on the card of another partner; "" where there is none.
func (c Config) Claimed(card Card) (d addr.Domain, by string) {
	for _, d := range card.Domains() {
		if d == c.Domain || slices.Contains(c.Domains, d) {
			return d, "this installation"
		}
		for _, p := range c.Partners {
			if p.Domain != card.Domain && slices.Contains(p.Domains(), d) {
				return d, p.Domain.String()
			}
		}
	}
	return "", ""
}

// cards reads the cards of a folder, which need not exist.
func cards(dir string) ([]Card, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var out []Card
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".toml") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		c, err := LoadCard(path)
		if err != nil {
			return nil, err
		}
		if e.Name() != c.Domain.String()+".toml" {
			return nil, &Error{Path: path, Reason: fmt.Sprintf("the card of %s lies under another name", c.Domain)}
		}
		out = append(out, c)
	}
	return out, nil
}

// SaveCard keeps a partner's card in the installation in dir, in place of an older one.
func SaveCard(dir string, c Card) error {
	return save(filepath.Join(dir, Partners, c.Domain.String()+".toml"), c.Text())
}

// RemoveCard forgets a partner. It is no error when there is none.
func RemoveCard(dir string, d addr.Domain) error {
	err := os.Remove(filepath.Join(dir, Partners, d.String()+".toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = vault.SyncDir(filepath.Join(dir, Partners))
	}
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// SaveOwnCard writes the installation's own card.
func SaveOwnCard(dir string, c Card) error { return save(filepath.Join(dir, CardName), c.Text()) }

// save writes a public file, durably, so that readers find the old text or the new one.
func save(path, text string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return nil
	}
	if err := write(path, text, 0o644, os.Rename); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// write brings text to the disk under a passing name, and then by place to path: no crash leaves half of it there.
func write(path, text string, mode fs.FileMode, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	if err := vault.MakeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // not there any more when it was renamed
	defer f.Close()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return vault.SyncDir(dir)
}
