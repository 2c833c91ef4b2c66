package certd

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Media types of RFC 6960 appendix C.
const (
	ocspRequest  = "application/ocsp-request"
	ocspResponse = "application/ocsp-response"
)

// responder reads "/NAME.ocsp" and "/NAME.ocsp/REQUEST" (RFC 6960 A.1); the request is Base64 yet.
func responder(path string) (name, request string, ok bool) {
	name, request, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, ok = strings.CutSuffix(name, ".ocsp")
	return name, request, ok && strings.HasPrefix(path, "/") && plain(name)
}

// ocsp answers one request.
func (s *Server) ocsp(w http.ResponseWriter, r *http.Request, name, encoded string) {
	var request []byte
	switch {
	case r.Method == http.MethodPost && encoded == "":
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != ocspRequest {
			w.Header().Set("Connection", "close")
			http.Error(w, "a request of the type "+ocspRequest+" is wanted", http.StatusUnsupportedMediaType)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the request is too long", http.StatusRequestEntityTooLarge)
			return
		}
		request = body
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		// A.1: "url-encoding of base-64 encoding". Without the encoding of URLs it is read too, also without padding.
		body, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil || encoded == "" {
			http.Error(w, "the request is not Base64", http.StatusBadRequest)
			return
		}
		request = body
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		w.Header().Set("Connection", "close")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	der, until, ok := s.o.OCSP(r.Context(), name, request)
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	s.cache(w, r, der, until)
	w.Header().Set("Content-Type", ocspResponse)
	w.Header().Set("Content-Length", strconv.Itoa(len(der)))
	if r.Method != http.MethodHead {
		w.Write(der)
	}
}

// cache says who may keep an answer: those on the way of a GET, until then (RFC 5019 §6.2).
func (s *Server) cache(w http.ResponseWriter, r *http.Request, der []byte, until time.Time) {
	left := int(until.Sub(s.o.Clock()).Seconds())
	if r.Method == http.MethodPost || until.IsZero() || left <= 0 {
		w.Header().Set("Cache-Control", "no-store")
		return
	}
	sum := sha256.Sum256(der)
	w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(left)+", public, no-transform, must-revalidate")
	w.Header().Set("Last-Modified", s.o.Clock().UTC().Format(http.TimeFormat))
	w.Header().Set("Expires", until.UTC().Format(http.TimeFormat))
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
}
