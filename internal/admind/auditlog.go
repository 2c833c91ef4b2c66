package admind

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carepost/internal/audit"
)

// AuditHost is what the audit log offers. Everything but the head is noted in the log itself.
type AuditHost struct {
	List   func(ctx context.Context, by audit.Actor, f audit.Filter) ([]audit.Record, error)
	Verify func(ctx context.Context, by audit.Actor, o audit.VerifyOptions) (audit.Verified, error)
	Export func(ctx context.Context, by audit.Actor, o audit.ExportOptions, w io.Writer) error
	Erase  func(ctx context.Context, by audit.Actor, id string) error
	Head   func(ctx context.Context) (audit.Signed, error)
}

// AuditEntry is one entry of the audit log.
type AuditEntry struct {
	Seq    int64             `json:"seq,omitempty"` // place in the log; none yet
	ID     string            `json:"id"`
	At     time.Time         `json:"at"`
	Actor  string            `json:"actor"`
	Action string            `json:"action"`
	Object string            `json:"object"`
	Detail map[string]string `json:"detail,omitempty"`
	State  string            `json:"state"` // "whole", "erased", "broken"
}

// AuditHead is the signed head of the log.
type AuditHead struct {
	Origin  string    `json:"origin"`
	Entries int64     `json:"entries"`
	At      time.Time `json:"at"`
	Note    string    `json:"note"` // what is kept elsewhere
	Key     string    `json:"key"`
}

// mostAudited is how many entries one answer lists.
const mostAudited = 1000

// keptRequest holds what was kept elsewhere.
type keptRequest struct {
	Heads []string `json:"heads,omitempty"`
	Key   string   `json:"key,omitempty"`
}

// mostKept is the size of the greatest request with heads, in bytes: of more than three years, one each hour.
const mostKept = 9 << 20

func (s *Server) auditRoutes(m *http.ServeMux) {
	m.HandleFunc("GET /v1/audit", s.auditList)
	m.HandleFunc("GET /v1/audit/head", s.auditHead)
	m.HandleFunc("POST /v1/audit/verify", s.auditVerify)
	m.HandleFunc("GET /v1/audit/export", s.auditExport)
	m.HandleFunc("POST /v1/audit/{id}/erase", s.auditErase)
}

func (s *Server) auditList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := audit.Filter{Actor: audit.Actor(q.Get("actor")), Action: q.Get("action"), Object: q.Get("object"), After: q.Get("after"), Latest: q.Get("latest") != ""}
	var err, bad error
	f.Limit, err = number(q.Get("limit"), mostAudited)
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(name); text != "" {
			if *at, bad = time.Parse(time.RFC3339, text); bad != nil {
				err = wrong(name + ": not a time (RFC 3339)")
			}
		}
	}
	if err == nil && s.o.Host.Audit.List == nil {
		err = notFound("this installation has no answer to that")
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	list, err := s.o.Host.Audit.List(r.Context(), actor(r), f)
	out := make([]AuditEntry, len(list))
	for i, e := range list {
		out[i] = AuditEntry{e.Seq, e.ID, e.At, string(e.Actor), e.Action, e.Object, e.Detail, e.State.String()}
	}
	s.answer(w, out, err)
}

func (s *Server) auditHead(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Audit.Head == nil {
		s.absent(w)
		return
	}
	h, err := s.o.Host.Audit.Head(r.Context())
	s.answer(w, AuditHead{h.Head.Origin, h.Head.Size, h.Head.At, h.Note, h.Key}, err)
}

func (s *Server) auditVerify(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Audit.Verify == nil {
		s.absent(w)
		return
	}
	var in keptRequest
	if err := readUpTo(r, &in, mostKept); err != nil {
		s.fail(w, err)
		return
	}
	s.long(w, func(progress func(done, total int64)) (any, error) {
		return s.o.Host.Audit.Verify(r.Context(), actor(r), audit.VerifyOptions{Heads: in.Heads, Key: in.Key, Progress: progress})
	})
}

func (s *Server) auditExport(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Audit.Export == nil {
		s.absent(w)
		return
	}
	q := r.URL.Query()
	o := audit.ExportOptions{Object: q.Get("object"), Clear: q.Get("clear") != ""}
	for name, n := range map[string]*int64{"from": &o.From, "to": &o.To} {
		if text := q.Get(name); text != "" {
			v, err := strconv.ParseInt(text, 10, 64)
			if err != nil || v < 1 {
				s.fail(w, wrong(name+": not a place in the log"))
				return
			}
			*n = v
		}
	}
	begun := &begunWriter{w: w}
	err := s.o.Host.Audit.Export(r.Context(), actor(r), o, begun)
	switch {
	case err == nil:
	case begun.yes: // the last line is missing, and the connection says so
		s.note(s.known(err), err)
		panic(http.ErrAbortHandler)
	default:
		s.fail(w, err)
	}
}

// begunWriter knows whether an answer has begun.
type begunWriter struct {
	w   http.ResponseWriter
	yes bool
}

func (b *begunWriter) Write(p []byte) (int, error) {
	if !b.yes {
		b.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	b.yes = true
	return b.w.Write(p)
}

func (s *Server) auditErase(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Audit.Erase == nil {
		s.absent(w)
		return
	}
	s.done(w, s.o.Host.Audit.Erase(r.Context(), actor(r), r.PathValue("id")))
}

// AuditQuery chooses entries; zero fields choose all.
type AuditQuery struct {
	Actor, Action, Object string
	Since, Until          time.Time
	After                 string // id
	Limit                 int    // 0: 1000
	Latest                bool   // of more than Limit, the last ones
}

// Audit lists entries of the audit log, oldest first.
func (c *Client) Audit(ctx context.Context, f AuditQuery) (out []AuditEntry, err error) {
	q := url.Values{"actor": {f.Actor}, "action": {f.Action}, "object": {f.Object}, "after": {f.After}, "limit": {strconv.Itoa(f.Limit)}}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339))
	}
	if !f.Until.IsZero() {
		q.Set("until", f.Until.Format(time.RFC3339))
	}
	if f.Latest {
		q.Set("latest", "1")
	}
	return out, c.ask(ctx, path("audit")+"?"+q.Encode(), &out)
}

// AuditHead is the last signed head of the log.
func (c *Client) AuditHead(ctx context.Context) (out AuditHead, err error) {
	return out, c.ask(ctx, path("audit", "head"), &out)
}

// VerifyAudit compares the whole log with its heads, those kept elsewhere, and the key kept elsewhere. progress (nil: none) is told in entries.
func (c *Client) VerifyAudit(ctx context.Context, heads []string, key string, progress func(done, total int64)) (out audit.Verified, err error) {
	return out, c.long(ctx, path("audit", "verify"), keptRequest{heads, key}, progress, &out)
}

// ExportAudit streams the log, or a part of it: lines of JSON. An answer that was cut off lacks its last line.
func (c *Client) ExportAudit(ctx context.Context, o audit.ExportOptions, w io.Writer) error {
	q := url.Values{"object": {o.Object}}
	for name, n := range map[string]int64{"from": o.From, "to": o.To} {
		if n > 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
	if o.Clear {
		q.Set("clear", "1")
	}
	body, _, err := c.stream(ctx, path("audit", "export")+"?"+q.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err = io.Copy(w, body); errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("admind: the export was cut short: see the gateway's log")
	}
	return err
}

// EraseAudit takes the detail out of an entry, for good.
func (c *Client) EraseAudit(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("audit", id, "erase"), nil, nil)
}
