package admind

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
)

// Publication is what a domain publishes, and where.
type Publication struct {
	Domain       addr.Domain            `json:"domain"`
	Certificates []PublishedCertificate `json:"certificates"`
	Records      string                 `json:"records"`             // of the zone, to paste
	Zone         string                 `json:"zone"`                // the whole zone, SOA and NS included
	LDIF         string                 `json:"ldif,omitempty"`      // entries to load
	Directory    string                 `json:"directory,omitempty"` // host:port that the SRV record leads to, where it is ours
	Listens      []string               `json:"listens"`             // listeners of ours that serve it: dns, ldap
	Warnings     []string               `json:"warnings"`            // for people
}

// PublishedCertificate is one of an address or of the domain.
type PublishedCertificate struct {
	Owner    string    `json:"owner"`
	Name     string    `json:"name,omitempty"` // of its CERT record
	URL      string    `json:"url,omitempty"`  // where that leads to
	DN       string    `json:"dn,omitempty"`   // of its entry
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
}

// Publication tells what is published of a domain, the first one where none is named; with check the warnings say what DNS lacks of that.
func (c *Client) Publication(ctx context.Context, of addr.Domain, check bool) (out Publication, err error) {
	query := url.Values{"check": {strconv.FormatBool(check)}, "domain": {of.String()}}
	return out, c.call(ctx, http.MethodGet, path("publication")+"?"+query.Encode(), nil, &out)
}

func (s *Server) publication(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Publication == nil {
		s.absent(w)
		return
	}
	p, err := s.o.Host.Publication(r.Context(), addr.Domain(strings.ToLower(r.URL.Query().Get("domain"))), r.URL.Query().Get("check") == "true")
	s.answer(w, p, err)
}
