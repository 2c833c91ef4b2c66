package fetch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
)

// Send posts body, with these header fields, to a URL that our own operator has named, and returns the status of the answer, of which nothing is
// read. No redirect is followed, and no failure remembered: whoever sends has a back-off of his own. Its errors name no more than the host.
func (c *Client) Send(ctx context.Context, rawURL string, header map[string]string, body []byte) (status int, err error) {
	u, err := c.check(rawURL)
	if err != nil {
		return 0, fmt.Errorf("fetch: %w", err)
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return 0, fmt.Errorf("fetch: %w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("fetch: %w", errGuard)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "carepost")
	once := *c.http
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(req)
	if err != nil {
		return 0, fmt.Errorf("fetch: %s: %w", u.Hostname(), plain(err))
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}
