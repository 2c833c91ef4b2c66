// Package fetch is the one guarded way out to HTTP: for issuers, CRLs, OCSP answers and whatever else strangers name by URL.
//
// The URLs come out of certificates and messages that nobody has vouched for, so they are taken as attempts to have us talk to our
// own network (server-side request forgery) or to tie us up. A Client speaks http and https to public addresses at ports 80 and
// 443, and to others only where Options say so; the address is checked when the connection is made, after the name has been
// looked up, so a name that changes its address in between gains nothing. It follows three redirects, to the same host and never
// from https to http, uses no proxy from the environment, takes no cookies, no compression, and ends each fetch by size and by time.
//
// BUG(fetch): NAT64 is recognised by its well-known prefixes only. Where a network translates a prefix of its own (RFC 6052 §2.2),
// its router must refuse to translate to addresses inside the house.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"carepost/trust"
)

// Options are what a Client may do beyond public addresses at ports 80 and 443. The zero Options are the safe ones.
type Options struct {
	AllowPrefixes []netip.Prefix // addresses allowed although they are not public, for example 127.0.0.0/8 in a trial
	AllowPorts    []uint16       // ports allowed besides 80 and 443, at AllowPrefixes only
	// AllowPlaces are single addresses with their ports: nothing else at the address is allowed by it, nor that port elsewhere.
	AllowPlaces []netip.AddrPort
	Timeout     time.Duration // for one fetch in all, redirects included; 0 = 10 s
	Resolver    *net.Resolver // of host names; nil = the system's. What it says is not believed either: addresses are checked
}

const (
	defaultTimeout = 10 * time.Second
	maxRedirects   = 3
	maxHeader      = 64 << 10
	maxAtOnce      = 32
	maxURL         = 2048
)

// Client fetches. It is safe for concurrent use.
type Client struct {
	o      Options
	http   *http.Client
	slots  chan struct{}
	failed memory
}

// errGuard is wrapped by errors about what the guard does not let pass.
var errGuard = fmt.Errorf("not allowed: %w", trust.ErrAbsent)

// New returns a Client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	c := &Client{o: o, slots: make(chan struct{}, maxAtOnce)}
	dialer := &net.Dialer{Timeout: o.Timeout, Resolver: o.Resolver, ControlContext: c.guard}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: c.redirect,
	}
	return c
}

// Fetch returns the body at an http or https URL, at most max bytes. An error wraps trust.ErrAbsent when asking again will not
// help: not found, too large, not allowed. A URL that failed is not asked again for some seconds.
func (c *Client) Fetch(ctx context.Context, rawURL string, max int64) ([]byte, error) {
	return c.do(ctx, rawURL, question{method: http.MethodGet}, max)
}

// Post sends body to an http or https URL and returns the answer, as Fetch does. What a server says of one body is not remembered of
// others: only that it said nothing is.
func (c *Client) Post(ctx context.Context, rawURL, contentType string, body []byte, max int64) ([]byte, error) {
	return c.do(ctx, rawURL, question{http.MethodPost, contentType, body}, max)
}

// question is what is asked at a URL.
type question struct {
	method, contentType string
	body                []byte
}

func (c *Client) do(ctx context.Context, rawURL string, q question, max int64) ([]byte, error) {
	u, err := c.check(rawURL)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	key := u.String()
	if q.body != nil {
		key = "POST " + key
	}
	if err := c.failed.get(key, time.Now()); err != nil {
		return nil, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch: %w", ctx.Err())
	}
	start := time.Now()
	body, err := c.get(ctx, u, q, max)
	if err != nil {
		own := errors.Is(err, errTooLarge) || q.body != nil && errors.Is(err, errStatus) // another caller may come to another end
		err = fmt.Errorf("fetch: %s: %w", u.Hostname(), err)
		now := time.Now()
		if took := now.Sub(start); c.fair(ctx, took) && !own {
			c.failed.put(key, err, now.Add(remembered(err, took)))
		}
		return nil, err
	}
	return body, nil
}

// fair says that a failure is the server's, and worth remembering for others: the caller did not leave, nor did his time end before
// the server had some.
func (c *Client) fair(ctx context.Context, waited time.Duration) bool {
	return ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) && waited >= c.o.Timeout/4
}

// errStatus is wrapped by errors about an answer that is not 200.
var errStatus = errors.New("status")

var errRefused = errors.New("no connection: nobody listens there")

var errTooLarge = fmt.Errorf("the body is larger than allowed: %w", trust.ErrAbsent)

func (c *Client) get(ctx context.Context, u *url.URL, q question, max int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), bytes.NewReader(q.body))
	if err != nil {
		return nil, errGuard
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	req.Header.Set("User-Agent", "carepost")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	defer resp.Body.Close()
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
	case s == http.StatusNotImplemented, // of a method: servers that know GET alone say so to a POST
		s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooEarly && s != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w %d: %w", errStatus, s, trust.ErrAbsent)
	default:
		return nil, fmt.Errorf("%w %d", errStatus, s)
	}
	if resp.ContentLength > max {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	switch {
	case int64(len(body)) > max:
		return nil, errTooLarge
	case err != nil:
		return nil, errors.New("the answer broke off")
	}
	return body, nil
}

// plain takes the URL and the ports out of an error of net/http: what is left says the same thing every time.
func plain(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errGuard):
		return errGuard
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("there is no such host: %w", trust.ErrAbsent)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	if unproved := (*tls.CertificateVerificationError)(nil); errors.As(err, &unproved) {
		return errors.New("the web server's certificate is not to be believed")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errRefused
	}
	return errors.New("no connection, or no HTTP answer")
}

// check reads a URL and refuses what needs no network to be refused.
func (c *Client) check(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > maxURL || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("no URL of a host: %w", errGuard)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("neither http nor https: %w", errGuard)
	case u.User != nil:
		return nil, fmt.Errorf("a password in the URL: %w", errGuard)
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || !c.knows(uint16(n)) {
			return nil, fmt.Errorf("port %q: %w", port, errGuard)
		}
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// knows says that a URL may name this port; whether it is allowed at the address is for the guard to say.
func (c *Client) knows(port uint16) bool {
	return webPort(port) || slices.Contains(c.o.AllowPorts, port) ||
		slices.ContainsFunc(c.o.AllowPlaces, func(at netip.AddrPort) bool { return at.Port() == port })
}

func webPort(p uint16) bool { return p == 80 || p == 443 }

func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects: %w", maxRedirects, errGuard)
	}
	last := via[len(via)-1].URL
	if req.URL.Hostname() != last.Hostname() || last.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("a redirect to another host: %w", errGuard)
	}
	_, err := c.check(req.URL.String())
	return err
}
