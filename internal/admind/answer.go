package admind

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"syscall"

	"carepost/internal/admin"
	"carepost/internal/blob"
	"carepost/internal/bundle"
	"carepost/internal/flow"
	"carepost/internal/intake"
	"carepost/internal/mailbox"
)

// The sizes of requests that are values, in bytes.
const (
	mostJSON     = 1 << 20
	mostDelivery = 8 << 20 // files of certificates
)

// answer writes a value.
func (s *Server) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // who asked has gone: nobody is left to tell
}

// done answers what has no value.
func (s *Server) done(w http.ResponseWriter, err error) {
	if err != nil {
		s.fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail writes an error.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e := s.known(err)
	s.note(e, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(e)
}

// note logs what somebody may have to look at. Who asked and has gone is no error of ours.
func (s *Server) note(e *Error, err error) {
	switch {
	case errors.Is(err, context.Canceled):
		s.o.Log.Debug("admin request: who asked has gone", "error", err)
	case e.Code == NotNow, e.Code == Damaged:
		s.o.Log.Error("admin request", "error", err)
	}
}

// known is the one table from errors to answers; what it does not know is temporary.
func (s *Server) known(err error) *Error {
	var e *Error
	var refusal *flow.Refusal
	var invalid *admin.Invalid
	var bad *bundle.Invalid
	var untaken *bundle.Refused
	var unfit *admin.Refusal
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &refusal):
		return &Error{Status: http.StatusUnprocessableEntity, Code: Refused, Clause: refusal.Clause, Reason: refusal.Reason}
	case errors.As(err, &unfit):
		return &Error{Status: http.StatusUnprocessableEntity, Code: Refused, Clause: unfit.Clause, Reason: unfit.Reason}
	case errors.As(err, &invalid):
		return wrong(invalid.Reason)
	case errors.As(err, &bad):
		return wrong(bad.Reason)
	case errors.As(err, &untaken):
		e := &Error{Status: http.StatusUnprocessableEntity, Code: Refused, Reason: "the bundle was not taken, the anchors before stay: " + untaken.Reason}
		if errors.Is(err, bundle.ErrUnreached) {
			e.Status, e.Code = http.StatusServiceUnavailable, NotNow
		}
		return e
	case errors.Is(err, bundle.ErrNoBundle):
		return notFound("there is no bundle of that name")
	case errors.Is(err, bundle.ErrTaken):
		return &Error{Status: http.StatusConflict, Code: Conflict, Reason: "there is a bundle of that name already: remove it first"}
	case errors.Is(err, admin.ErrNoPin):
		return notFound("there is no such pin")
	case errors.Is(err, admin.ErrNoDomain):
		return notFound("that domain is none of this installation")
	case errors.Is(err, admin.ErrNoCertificate):
		return notFound("there is no such certificate or request; carepost cert list shows those there are")
	case errors.Is(err, admin.ErrNoAnchor):
		return notFound("there is no such anchor")
	case errors.Is(err, admin.ErrOpen):
		return &Error{Status: http.StatusConflict, Code: Conflict, Reason: "there is an open account of that address already"}
	case errors.Is(err, mailbox.ErrNoAccount), errors.Is(err, admin.ErrNoAccount):
		return notFound("there is no such account here")
	case errors.Is(err, intake.ErrUnknown):
		return notFound("there is no such study; carepost dicom intake list shows those there are")
	case errors.Is(err, intake.ErrState):
		return &Error{Status: http.StatusConflict, Code: Conflict, Reason: "that study does not wait for a person"}
	case errors.Is(err, intake.ErrRoute):
		return notFound("there is no [[dicom.route]] of that name that sends studies")
	case errors.Is(err, mailbox.ErrNoFileSet):
		return notFound("the message carries no DICOM.ZIP")
	case errors.Is(err, blob.ErrDamaged):
		return &Error{Status: http.StatusInternalServerError, Code: Damaged, Reason: "what was kept is not what was written: " + err.Error()}
	case errors.Is(err, syscall.ENOSPC):
		return &Error{Status: http.StatusInsufficientStorage, Code: NotNow, Reason: "there is no room left on the disk"}
	}
	if s.o.Host.Code != nil {
		switch s.o.Host.Code(err) {
		case NotFound:
			return notFound("there is nothing of that name here")
		case Conflict:
			return &Error{Status: http.StatusConflict, Code: Conflict, Reason: "its state does not allow that now: " + err.Error()}
		case Damaged:
			return &Error{Status: http.StatusInternalServerError, Code: Damaged, Reason: err.Error()}
		case Usage:
			return wrong(err.Error())
		case Refused:
			return &Error{Status: http.StatusUnprocessableEntity, Code: Refused, Reason: err.Error()}
		}
	}
	return &Error{Status: http.StatusServiceUnavailable, Code: NotNow, Reason: err.Error()}
}

func notFound(reason string) *Error {
	return &Error{Status: http.StatusNotFound, Code: NotFound, Reason: reason}
}

func wrong(reason string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: Usage, Reason: reason}
}

// read reads the value of a request. An unknown member is an error: a newer command must not believe that an older gateway has
// understood it.
func read(r *http.Request, v any) error { return readUpTo(r, v, mostJSON) }

// readUpTo is read of a value of so many bytes at most.
func readUpTo(r *http.Request, v any, most int64) error {
	d := json.NewDecoder(io.LimitReader(r.Body, most))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return wrong("the request is not the JSON that this route wants")
	}
	return nil
}

// long answers what takes a while: one JSON value a line, progress first, the result or the error last.
func (s *Server) long(w http.ResponseWriter, do func(progress func(done, total int64)) (any, error)) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	e := json.NewEncoder(w)
	last := int64(-1)
	result, err := do(func(done, total int64) {
		if step := total / 1000; total > 0 && done != total && done-last < step {
			return
		}
		last = done
		e.Encode(map[string]any{"progress": map[string]int64{"done": done, "total": total}})
		flush.Flush()
	})
	if err != nil {
		answer := s.known(err)
		s.note(answer, err)
		e.Encode(map[string]any{"error": answer})
		return
	}
	e.Encode(map[string]any{"result": result})
}
