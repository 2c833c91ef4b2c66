package admind

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"time"

	"carepost/internal/admin"
	"carepost/internal/bundle"
)

// Bundle is a set of anchors that comes from elsewhere.
type Bundle struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Owner      string      `json:"owner"`
	Direction  string      `json:"direction"` // "inbound", "outbound", "both"
	URL        string      `json:"url"`
	Every      string      `json:"every"`             // "24h0m0s"; "0s": by hand
	Signers    []string    `json:"signers,omitempty"` // SHA-256 of the certificates of which one must sign it
	Shrink     int         `json:"shrink"`            // percent of its anchors that may go at once
	Anchors    int         `json:"anchors"`
	Expired    int         `json:"expired,omitempty"` // of them
	Taken      time.Time   `json:"taken,omitzero"`    // when its anchors changed last
	Seen       time.Time   `json:"seen,omitzero"`     // when it was last found good
	Next       time.Time   `json:"next,omitzero"`
	Alarm      string      `json:"alarm,omitempty"` // why what came last was not taken
	Metadata   string      `json:"metadata,omitempty"`
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// NewBundle is a bundle to be taken on.
type NewBundle struct {
	Name       string      `json:"name"`
	Owner      string      `json:"owner,omitempty"`
	Direction  string      `json:"direction,omitempty"`
	URL        string      `json:"url"`
	Seconds    int64       `json:"seconds,omitempty"` // between fetches; 0: by hand
	Signers    []string    `json:"signers,omitempty"` // PEM
	Shrink     int         `json:"shrink,omitempty"`  // percent; 0: a third
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// BundleChange is what a fetch of a bundle did.
type BundleChange struct {
	Name       string   `json:"name"`
	Same       bool     `json:"same"`
	Added      []string `json:"added,omitempty"` // SHA-256
	Removed    []string `json:"removed,omitempty"`
	Anchors    int      `json:"anchors"`
	Expired    int      `json:"expired,omitempty"`
	Unreadable int      `json:"unreadable,omitempty"`
}

// Bundles lists the trust bundles.
func (c *Client) Bundles(ctx context.Context) (out []Bundle, err error) {
	return out, c.ask(ctx, path("bundles"), &out)
}

// AddBundle takes a bundle on, without fetching it.
func (c *Client) AddBundle(ctx context.Context, b NewBundle) error {
	return c.call(ctx, http.MethodPost, path("bundles"), b, nil)
}

// RemoveBundle gives a bundle up, with its anchors.
func (c *Client) RemoveBundle(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, path("bundles", name), nil, nil)
}

// RefreshBundle fetches a bundle now.
func (c *Client) RefreshBundle(ctx context.Context, name string, acceptShrink bool) (out BundleChange, err error) {
	u := path("bundles", name, "refresh")
	if acceptShrink {
		u += "?" + url.Values{"accept-shrink": {"true"}}.Encode()
	}
	return out, c.call(ctx, http.MethodPost, u, nil, &out)
}

// EvaluateBundle writes down what was found about who gives a bundle out.
func (c *Client) EvaluateBundle(ctx context.Context, name string, e Evaluation) error {
	return c.call(ctx, http.MethodPost, path("bundles", name, "evaluate"), e, nil)
}

func (s *Server) bundles(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Bundles.List(r.Context(), actor(r))
	out := []Bundle{}
	for _, b := range all {
		d := b.Detail
		v := Bundle{ID: b.ID, Name: b.Name, Owner: ownerName(b.Owner), Direction: admin.DirectionWord(b.Direction), URL: d.URL, Every: d.Every.String(), Shrink: d.Shrink,
			Anchors: b.Anchors, Expired: b.Expired, Taken: d.Taken, Seen: d.Seen, Alarm: d.Alarm, Metadata: d.Metadata, Evaluation: evaluationOf(d.Evaluation)}
		if d.Every > 0 {
			v.Next = d.Next
		}
		for _, der := range d.Signers {
			v.Signers = append(v.Signers, fingerprint(der))
		}
		out = append(out, v)
	}
	s.answer(w, out, err)
}

func (s *Server) addBundle(w http.ResponseWriter, r *http.Request) {
	var in NewBundle
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	n, err := s.wanted(r.Context(), in)
	if err == nil {
		_, err = s.o.Bundles.Add(r.Context(), actor(r), n)
	}
	s.done(w, err)
}

func (s *Server) wanted(ctx context.Context, in NewBundle) (n bundle.Wanted, err error) {
	n = bundle.Wanted{Name: in.Name, URL: in.URL, Every: time.Duration(in.Seconds) * time.Second, Shrink: in.Shrink}
	if in.Seconds < 0 || in.Seconds > int64(time.Duration(1<<62)/time.Second) {
		return n, wrong("seconds: no interval")
	}
	o, err := owner(in.Owner)
	if err != nil {
		return n, err
	}
	if n.Owner, err = s.o.Admin.Resolve(ctx, o); err != nil {
		return n, err
	}
	if n.Direction, err = direction(in.Direction); err != nil {
		return n, err
	}
	if n.Evaluation, err = s.o.Admin.Evaluated(in.Evaluation.said()); err != nil {
		return n, err
	}
	for _, text := range in.Signers {
		var c *x509.Certificate
		if c, err = oneCertificate(text); err != nil {
			return n, err
		}
		n.Signers = append(n.Signers, c)
	}
	return n, nil
}

func (s *Server) removeBundle(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Bundles.Remove(r.Context(), actor(r), r.PathValue("name")))
}

func (s *Server) refreshBundle(w http.ResponseWriter, r *http.Request) {
	c, err := s.o.Bundles.Refresh(r.Context(), actor(r), r.PathValue("name"), r.URL.Query().Get("accept-shrink") == "true")
	s.answer(w, BundleChange(c), err)
}

func (s *Server) evaluateBundle(w http.ResponseWriter, r *http.Request) {
	var in Evaluation
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	e, err := s.o.Admin.Evaluated(in.said())
	if err == nil {
		err = s.o.Bundles.Evaluate(r.Context(), actor(r), r.PathValue("name"), *e)
	}
	s.done(w, err)
}
