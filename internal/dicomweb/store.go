package dicomweb

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"carepost/dicom"
	"carepost/dicom/stow"
	"carepost/internal/intake"
)

const (
	tagClass    dicom.Tag = 0x00080016
	tagInstance dicom.Tag = 0x00080018
	tagStudy    dicom.Tag = 0x0020000D
)

const brokenOff = "the body is cut, or no multipart: what came before that may be stored"

// store reads a request object by object and answers when all are durable or refused.
func (s *Server) store(w http.ResponseWriter, r *http.Request, from intake.Origin, study string) {
	body := &awake{r: r.Body, c: http.NewResponseController(w)}
	parts, err := stow.NewReader(r.Header.Get("Content-Type"), body)
	if err != nil {
		refuse(w, http.StatusUnsupportedMediaType, "multipart/related of application/dicom is stored here (PS3.18 10.5.1)")
		return
	}
	var a stow.Answer
	room := true
	for {
		part, object, err := parts.Next()
		if err == io.EOF {
			break
		}
		if err == nil && len(a.Stored)+len(a.Failed)+a.Other >= maxParts || a.Other > maxUnreadable {
			refuse(w, http.StatusRequestEntityTooLarge, "too many parts for one request: what came before them may be stored")
			return
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, brokenOff)
			return
		}
		if !object {
			a.Other++
			continue
		}
		if full := s.one(r, &a, part, from, study); full {
			room = false
		}
		if body.err != nil { // who half closed still listens, and a handler that says nothing says 200
			refuse(w, http.StatusBadRequest, brokenOff)
			return
		}
	}
	s.answer(w, r, a, room)
}

// one takes an object and adds to the answer what became of it. full says that there was no room.
func (s *Server) one(r *http.Request, a *stow.Answer, part io.Reader, from intake.Origin, study string) (full bool) {
	item, of, whole, ok := peek(part)
	if !ok {
		a.Other++
		s.refused.Add(1)
		return false
	}
	if item.Reason = stow.DataSetMismatch; study == "" || of == study {
		item.Reason = 0
		if _, err := s.o.Intake.Store(r.Context(), from, whole); err != nil {
			item.Reason = reason(err)
			s.o.Log.Warn("an object that a program handed in was not taken", "status", item.Reason, "error", err)
		}
	}
	if item.Reason != 0 {
		a.Failed = append(a.Failed, item)
		s.refused.Add(1)
		return item.Reason == stow.OutOfResources
	}
	a.Stored = append(a.Stored, item)
	s.stored.Add(1)
	return false
}

// peek reads which instance it is, of which study, and gives the object from its beginning.
func peek(part io.Reader) (item stow.Item, study string, whole io.Reader, ok bool) {
	var seen bytes.Buffer
	f, err := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{tagClass, tagInstance, tagStudy}}).Scan(io.TeeReader(io.LimitReader(part, maxPeek), &seen))
	if err != nil {
		return item, "", nil, false
	}
	item = stow.Item{SOPClass: f.Data.String(tagClass), SOPInstance: f.Data.String(tagInstance)}
	return item, f.Data.String(tagStudy), io.MultiReader(&seen, part), dicom.ValidUID(item.SOPInstance)
}

// reason is the status for what package intake says. What is not known may be tried again.
func reason(err error) uint16 {
	for _, x := range failures() {
		if errors.Is(err, x.is) {
			return x.status
		}
	}
	return stow.ProcessingFailure
}

// answer says what became of each: 200 for all, 202 for some, 409 for none (PS3.18 §10.5.3.2).
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a stow.Answer, room bool) {
	status := http.StatusOK
	switch failed := len(a.Failed) + a.Other; {
	case len(a.Stored)+failed == 0:
		refuse(w, http.StatusBadRequest, "the request has no objects")
		return
	case len(a.Stored) == 0 && !room:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "300")
	case len(a.Stored) == 0:
		status = http.StatusConflict
	case failed > 0:
		status = http.StatusAccepted
	}
	write, kind := a.JSON, stow.TypeJSON
	if accepts := strings.Join(r.Header.Values("Accept"), ","); strings.Contains(accepts, stow.TypeXML) && !strings.Contains(accepts, "json") {
		write, kind = a.XML, stow.TypeXML
	}
	w.Header().Set("Content-Type", kind)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(silence)) // who does not read what he asked for
	w.WriteHeader(status)
	_ = write(w) // who asked has gone: it will ask again
}

// awake lets a body take its time, as long as something comes.
type awake struct {
	r   io.Reader
	c   *http.ResponseController
	err error // but io.EOF
}

func (a *awake) Read(p []byte) (int, error) {
	_ = a.c.SetReadDeadline(time.Now().Add(silence))
	n, err := a.r.Read(p)
	if err == io.EOF {
		_ = a.c.SetReadDeadline(time.Time{})
	} else if err != nil {
		a.err = err
	}
	return n, err
}
