// Package fetch is the one guarded way out to HTTP: for issuers, CRLs and whatever else strangers name by URL.
package fetch

import (
	"context"
	"net/netip"
	"time"
)

// Options are what a Client may do beyond public addresses at ports 80 and 443. The zero Options are the safe ones.
type Options struct {
	AllowPrefixes []netip.Prefix // addresses allowed although they are not public, for example 127.0.0.0/8 in a trial
	AllowPorts    []uint16       // ports allowed besides 80 and 443, at AllowPrefixes only
	Timeout       time.Duration  // for one fetch in all, redirects included; 0 = 10 s
}

// Client fetches. It is safe for concurrent use.
type Client struct{}

// New returns a Client.
func New(o Options) *Client { panic("unimplemented") }

// Fetch returns the body at url, at most max bytes.
func (c *Client) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	panic("unimplemented")
}
