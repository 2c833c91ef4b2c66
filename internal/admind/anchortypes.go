package admind

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Anchor is a certificate that an owner trusts (Direct 4.2.1).
type Anchor struct {
	ID         string      `json:"id"`
	Owner      string      `json:"owner"`     // a domain or an address of ours
	Direction  string      `json:"direction"` // "inbound", "outbound"
	Kind       string      `json:"kind"`      // "authority", "intermediate", "self-signed", "leaf"
	Subject    string      `json:"subject"`
	SHA256     string      `json:"sha256"` // of the certificate, hex
	NotAfter   time.Time   `json:"not_after"`
	Source     string      `json:"source,omitempty"` // where it came from, in the operator's words
	Bundle     string      `json:"bundle,omitempty"` // name of the bundle that brings it
	Evaluation *Evaluation `json:"evaluation,omitempty"`
	PEM        string      `json:"pem,omitempty"`
}

// Evaluation is what somebody found who looked at how certificates are issued (DIR-59).
type Evaluation struct {
	Assured  string    `json:"assured"`
	Policies []string  `json:"policies,omitempty"` // object identifiers
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Review   time.Time `json:"review,omitzero"`
}

// NewAnchor is an anchor to be added.
type NewAnchor struct {
	Owner      string      `json:"owner,omitempty"`     // a domain or an address of ours; empty: the only domain
	PEM        string      `json:"pem"`                 // one certificate
	Direction  string      `json:"direction,omitempty"` // "inbound", "outbound"; empty: both
	Source     string      `json:"source,omitempty"`
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// Anchors lists who is trusted by an owner, a domain or an address of ours; "" = by all.
func (c *Client) Anchors(ctx context.Context, owner string) (out []Anchor, err error) {
	return out, c.ask(ctx, path("anchors")+query("owner", owner), &out)
}

// AddAnchor trusts a certificate. One that is there already stays, but for the evaluation where one is given.
func (c *Client) AddAnchor(ctx context.Context, a NewAnchor) (out []Anchor, err error) {
	return out, c.call(ctx, http.MethodPost, path("anchors"), a, &out)
}

// RemoveAnchor trusts it no longer, in one direction or, when that is empty, in both.
func (c *Client) RemoveAnchor(ctx context.Context, id, direction string) error {
	return c.call(ctx, http.MethodDelete, path("anchors", id)+query("direction", direction), nil, nil)
}

// query is one parameter of a URL, if it has a value.
func query(name, value string) string {
	if value == "" {
		return ""
	}
	return "?" + url.Values{name: {value}}.Encode()
}
