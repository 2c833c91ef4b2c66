package certtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Post sends body to url, whatever server that is of, unguarded, as a trust.Poster.
func (s *Server) Post(ctx context.Context, url, contentType string, body []byte, max int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("certtest: status %d", resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if int64(len(answer)) > max {
		return nil, fmt.Errorf("certtest: more than %d bytes", max)
	}
	return answer, err
}
