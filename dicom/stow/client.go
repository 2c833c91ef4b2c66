package stow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Doer sends a request: *http.Client is one. What it may reach, by which certificates, and for how long is its own matter.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client stores instances at one server.
type Client struct {
	HTTP   Doer
	URL    string      // of the service: https://pacs.north.example/dicom-web, to which /studies is added
	Header http.Header // sent with each request: Authorization, for one
}

// StatusError is the answer of a server that took nothing and says nothing of single instances.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("stow: status %d: the server does not know us, or does not let us store", e.Status)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Sprintf("stow: status %d: nothing is stored at this URL", e.Status)
	case http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("stow: status %d: too much at once for the server", e.Status)
	}
	return fmt.Sprintf("stow: status %d", e.Status)
}

// Lasting says that the same request will be answered so again until a person changes something.
func (e *StatusError) Lasting() bool {
	return e.Status/100 == 4 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusTooEarly && e.Status != http.StatusTooManyRequests
}

// Store gives objects to the server in one request and returns what became of each, in their order. *StatusError where the server says
// nothing of them; any other error may have left some of them stored. moved (may be nil) is told of octets sent; its error ends the request.
func (c *Client) Store(ctx context.Context, objects []Object, moved func(n int) error) ([]Outcome, error) {
	b := newBody(objects, moved)
	defer b.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/studies", b)
	if err != nil {
		return nil, errors.New("stow: the URL is none")
	}
	for k, v := range c.Header {
		req.Header[k] = v
	}
	req.ContentLength = b.size
	req.Header.Set("Content-Type", mime.FormatMediaType("multipart/related", map[string]string{"type": TypeDICOM, "boundary": b.boundary}))
	req.Header.Set("Accept", TypeJSON)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		if own := b.failed(); own != nil {
			return nil, fmt.Errorf("stow: reading what is to be stored: %w", own)
		}
		return nil, fmt.Errorf("stow: %w", plain(err))
	}
	defer resp.Body.Close()
	return outcomes(objects, resp)
}

// Reach asks the server for its studies, without wanting any, to see that it is there and knows us. A status that does not say otherwise is
// good enough: servers that only store refuse to search.
func (c *Client) Reach(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.URL, "/")+"/studies?limit=1", nil)
	if err != nil {
		return errors.New("stow: the URL is none")
	}
	for k, v := range c.Header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", TypeJSON)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("stow: %w", plain(err))
	}
	resp.Body.Close()
	switch s := resp.StatusCode; s {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return &StatusError{s}
	default:
		if s/100 == 3 || s/100 == 5 && s != http.StatusNotImplemented {
			return &StatusError{s}
		}
	}
	return nil
}

// plain leaves the URL, which may hold a secret, and places out of an error of net/http.
func plain(err error) error {
	unproved := (*tls.CertificateVerificationError)(nil)
	timeout := (net.Error)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &unproved):
		return errors.New("the server's certificate is not to be believed")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("no connection: nobody listens there")
	}
	return errors.New("no connection, or no HTTP answer")
}

// outcomes reads an answer. Only its lists are believed: what was stored stands in one (Table I.2-1), and a status alone may be that of anybody
// on the way.
func outcomes(objects []Object, resp *http.Response) ([]Outcome, error) {
	a, err := read(resp, maxAnswer+int64(len(objects))*maxAnswerItem)
	switch {
	case resp.StatusCode/100 == 2, resp.StatusCode == http.StatusConflict && len(a.Stored)+len(a.Failed) > 0:
	default:
		return nil, &StatusError{resp.StatusCode}
	}
	if err != nil {
		return nil, err
	}
	out := make([]Outcome, len(objects))
	by := make(map[string]Outcome, len(objects))
	for _, i := range a.Stored {
		by[i.SOPInstance] = Outcome{Fate: Stored, Reason: i.Reason}
	}
	for _, i := range a.Failed { // who stands in both lists is not safe
		by[i.SOPInstance] = of(i.Reason)
	}
	for i, o := range objects {
		out[i] = by[o.SOPInstance]
	}
	return out, nil
}

// read reads the answer in whichever form it has. An empty one is an empty Answer.
func read(resp *http.Response, most int64) (Answer, error) {
	body := io.LimitReader(resp.Body, most)
	b := make([]byte, 1)
	if _, err := io.ReadFull(body, b); err != nil {
		if err == io.EOF {
			return Answer{}, nil
		}
		return Answer{}, errors.New("stow: the answer broke off")
	}
	body = io.MultiReader(strings.NewReader(string(b)), body)
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err == nil && strings.HasSuffix(kind, "json"):
		return ReadJSON(body)
	case err == nil && strings.HasSuffix(kind, "xml"):
		return ReadXML(body)
	case b[0] == '{', b[0] == '[':
		return ReadJSON(body)
	case b[0] == '<':
		return ReadXML(body)
	}
	return Answer{}, errors.New("stow: the answer is in no form of PS3.18 §10.5.3")
}
