package admind

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/message"
)

// mostMails is how many one answer lists.
const mostMails = 1000

// place is a folder of an account, and perhaps one mail in it.
type place struct {
	of     addr.Address
	folder string
	uid    uint32
}

// where reads the path of a request.
func where(r *http.Request) (p place, err error) {
	if p.of, err = addr.Parse(r.PathValue("addr")); err != nil {
		return p, wrong("not an address")
	}
	if p.folder = r.URL.Query().Get("folder"); p.folder == "" {
		p.folder = mailbox.Inbox
	}
	if text := r.PathValue("uid"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || n == 0 {
			return p, wrong("not the number of a mail")
		}
		p.uid = uint32(n)
	}
	return p, nil
}

func (s *Server) mails(w http.ResponseWriter, r *http.Request) {
	p, err := where(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	q := r.URL.Query()
	limit, err := number(q.Get("limit"), mostMails)
	if err != nil {
		s.fail(w, err)
		return
	}
	after := uint64(0)
	if text := q.Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 32); err != nil {
			s.fail(w, wrong("after: not the number of a mail"))
			return
		}
	}
	rows, err := s.o.Mailboxes.List(r.Context(), actor(r), p.of, p.folder, uint32(after), limit)
	out := []Mail{}
	for _, m := range rows {
		out = append(out, Mail{UID: m.UID, Message: m.Message, At: m.At, Size: m.Size, From: m.Sender, Subject: m.Subject, Flags: m.Flags})
	}
	s.answer(w, out, err)
}

// open opens the mail that a request names, and tells the row.
func (s *Server) open(ctx context.Context, by audit.Actor, p place) (m Mail, body *blob.Body, err error) {
	rows, err := s.o.Mailboxes.List(ctx, by, p.of, p.folder, p.uid-1, 1)
	if err != nil {
		return m, nil, err
	}
	if len(rows) == 0 || rows[0].UID != p.uid {
		return m, nil, noMail()
	}
	row := rows[0]
	body, err = s.o.Mailboxes.Open(ctx, by, row)
	return Mail{UID: row.UID, Message: row.Message, At: row.At, Size: row.Size, From: row.Sender, Subject: row.Subject, Flags: row.Flags}, body, err
}

// with runs fn on the mail that a request names. fn answers itself unless it returns an error.
func (s *Server) with(w http.ResponseWriter, r *http.Request, fn func(Mail, *blob.Body) error) {
	p, err := where(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	m, body, err := s.open(r.Context(), actor(r), p)
	if err != nil {
		s.fail(w, err)
		return
	}
	defer body.Close()
	if err := fn(m, body); err != nil {
		s.fail(w, err)
	}
}

func (s *Server) mail(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		s.stream(w, "message/rfc822", b.Size(), io.NewSectionReader(b, 0, b.Size()))
		return nil
	})
}

// stream writes a body. What goes wrong in the middle cuts the connection: a body that ends early must not look whole. A size
// of -1 is not known.
func (s *Server) stream(w http.ResponseWriter, media string, size int64, body io.Reader) {
	w.Header().Set("Content-Type", media)
	if size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, body, make([]byte, 256<<10)); err != nil {
		s.o.Log.Error("admin request: a body ended early", "error", err)
		http.NewResponseController(w).Flush() // else a short body would be no answer at all
		panic(http.ErrAbortHandler)           // net/http's word for it
	}
}

// deleteMail takes a mail out of its folder, for ever.
func (s *Server) deleteMail(w http.ResponseWriter, r *http.Request) {
	p, err := where(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Mailboxes.List(r.Context(), actor(r), p.of, p.folder, p.uid-1, 1)
	if err == nil && (len(rows) == 0 || rows[0].UID != p.uid) {
		err = noMail()
	}
	if err == nil {
		err = s.o.Mailboxes.Delete(r.Context(), actor(r), rows[0])
	}
	s.done(w, err)
}

func noMail() error { return notFound("there is no mail of that number in that folder") }

func (s *Server) folders(w http.ResponseWriter, r *http.Request) {
	p, err := where(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Mailboxes.Folders(r.Context(), actor(r), p.of)
	out := []string{}
	for _, f := range rows {
		out = append(out, f.Name)
	}
	s.answer(w, out, err)
}

// study streams the DICOM.ZIP of a mail, as it is.
func (s *Server) study(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		root, err := message.Parse(b, b.Size(), message.Limits{})
		if err != nil {
			return unreadable(err)
		}
		found, err := mailbox.FindStudy(root, b)
		if err != nil {
			return err
		}
		if found.Archive == nil {
			return notFound("the mail has no archive: its objects are attached one by one")
		}
		s.stream(w, "application/zip", -1, found.Archive.Open(b))
		return nil
	})
}

// studyReport judges the DICOM.ZIP of a mail, or the objects that it carries otherwise.
func (s *Server) studyReport(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		set, err := mailbox.Study(s.o.Mailboxes.Blobs, b)
		if errors.Is(err, message.ErrEncoding) {
			return &Error{Status: http.StatusUnprocessableEntity, Code: Damaged, Reason: "the attachment is cut or damaged: its encoding is broken"}
		}
		if err != nil {
			return err
		}
		defer set.Close()
		report, err := set.Check(r.Context(), fileset.CheckOptions{})
		if err != nil {
			return err
		}
		report.Add(set.Doubts()...)
		s.answer(w, judged(report, set.Findings), nil)
		return nil
	})
}

// judged is a report in our words. What was found about the form of the mail alone is told beside it.
func judged(r *fileset.Report, mail []fileset.Finding) StudyReport {
	out := StudyReport{
		Verdict: r.Verdict.String(), Patients: r.Patients, Studies: r.Studies, Series: r.Series, Instances: r.Instances, Found: r.Found,
		Bytes: r.Bytes, Hashed: r.Hashed, Missing: r.Missing, Tree: r.Tree,
	}
	found := slices.Clone(r.Findings)
	for _, f := range mail {
		if !zipmail.Doubt(f) {
			found = append(found, f)
		}
	}
	for _, f := range found {
		out.Findings = append(out.Findings, StudyFinding{Severity: f.Severity.String(), Rule: f.Rule, Source: f.Source, Where: f.Where, Text: f.Text})
	}
	return out
}
