package dicomweb

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"carepost/addr"
	"carepost/dicom"
	"carepost/dicom/dimse"
	"carepost/internal/intake"
)

// ServeHTTP answers one request. What is refused before its body is read ends the connection: nobody waits for the rest.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	called, study, ok := target(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "nothing is here: objects are stored at /NAME/studies")
		return
	}
	from, status := s.caller(r)
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Add("WWW-Authenticate", `Basic realm="carepost", charset="UTF-8"`)
			w.Header().Add("WWW-Authenticate", "Bearer")
		}
		refuse(w, status, "who stores here signs in")
		return
	}
	if r.Method != http.MethodPost { // who asks whether we are there learns first whether he is known
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "objects are stored here, by POST; nothing is searched for or retrieved")
		return
	}
	from.Called, from.Via = called, Via
	if reason := wishes(r, &from); reason != "" {
		refuse(w, http.StatusBadRequest, reason)
		return
	}
	s.store(w, r, from, study)
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}

// target reads /NAME/studies and /NAME/studies/STUDY.
func target(path string) (called, study string, ok bool) {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(parts) < 3 || len(parts) > 4 || parts[0] != "" || parts[2] != "studies" {
		return "", "", false
	}
	if len(parts) == 4 {
		if study = parts[3]; !dicom.ValidUID(study) {
			return "", "", false
		}
	}
	title, err := dimse.ParseAETitle(parts[1])
	return string(title), study, err == nil
}

// caller says who stores. A status other than 0 says that it is nobody who may.
func (s *Server) caller(r *http.Request) (o intake.Origin, status int) {
	if user, password, ok := r.BasicAuth(); ok {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || s.o.SignIn == nil {
			return o, http.StatusUnauthorized
		}
		account, err := s.o.SignIn(r.Context(), peer.Addr(), user, password)
		switch {
		case errors.Is(err, ErrCredentials):
			return o, http.StatusUnauthorized
		case errors.Is(err, ErrTooMany):
			return o, http.StatusTooManyRequests
		case err != nil:
			return o, http.StatusServiceUnavailable
		}
		return intake.Origin{Calling: account.String(), From: account}, 0
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		if c := s.client(token); c != nil {
			return intake.Origin{Calling: c.Name, From: c.From}, 0
		}
		return o, http.StatusUnauthorized
	}
	if r.Header.Get("Authorization") == "" && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c := r.TLS.VerifiedChains[0][0]
		o.Calling = c.Subject.CommonName
		if len(c.DNSNames) > 0 {
			o.Calling = c.DNSNames[0]
		}
		return o, 0
	}
	return o, http.StatusUnauthorized
}

// wishes reads to whom the objects go, where the request says so.
func wishes(r *http.Request, o *intake.Origin) (reason string) {
	q := r.URL.Query()
	for _, text := range q["to"] {
		a, err := addr.Parse(text)
		if err != nil {
			return "to is no address"
		}
		o.To = append(o.To, a)
	}
	switch {
	case len(o.To) > maxTo:
		return "too many recipients"
	case len(o.To) > 0 && o.From.IsZero():
		return "recipients are named by who signs in as an account"
	}
	o.Subject = q.Get("subject")
	if len(o.Subject) > maxSubject || strings.ContainsFunc(o.Subject, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\ufffd' }) {
		return "subject is no line of text"
	}
	return ""
}
