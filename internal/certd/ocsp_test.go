package certd

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// OCSP over HTTP (RFC 6960 appendix A, RFC 5019 §6): what is asked comes in whole, by either method and with or without the encoding
// of URLs; what is no request, or too long a one, is told so. DIR-52, ATT-31.
func TestOCSP(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	request := "\xfb\xff\xfe request with / and + in its Base64 \xff\xff?"
	encoded := base64.StdEncoding.EncodeToString([]byte(request))
	if !strings.ContainsAny(encoded, "/+") {
		t.Fatal(encoded)
	}
	s := New(Options{Clock: func() time.Time { return now }, OCSP: func(_ context.Context, name string, got []byte) ([]byte, time.Time, bool) {
		if string(got) != request {
			return []byte("malformed"), time.Time{}, name == "pilot"
		}
		return []byte("answer"), now.Add(10 * time.Minute), name == "pilot"
	}})
	const kind = "application/ocsp-request"
	kept := "max-age=600, public, no-transform, must-revalidate"
	for name, tc := range map[string]struct {
		method, path, kind, body string
		status                   int
		answer, cache            string
	}{
		"POST":              {"POST", "/pilot.ocsp", kind, request, 200, "answer", "no-store"},
		"POST, parameters":  {"POST", "/pilot.ocsp", kind + "; x=y", request, 200, "answer", "no-store"},
		"GET":               {"GET", "/pilot.ocsp/" + url.PathEscape(encoded), "", "", 200, "answer", kept},
		"GET, query escape": {"GET", "/pilot.ocsp/" + url.QueryEscape(encoded), "", "", 200, "answer", kept},
		"GET, not escaped":  {"GET", "/pilot.ocsp/" + encoded, "", "", 200, "answer", kept},
		"GET, no padding":   {"GET", "/pilot.ocsp/" + strings.TrimRight(encoded, "="), "", "", 200, "answer", kept},
		"HEAD":              {"HEAD", "/pilot.ocsp/" + url.PathEscape(encoded), "", "", 200, "", kept},
		"malformed":         {"POST", "/pilot.ocsp", kind, "?", 200, "malformed", "no-store"},
		"GET of malformed":  {"GET", "/pilot.ocsp/AAAA", "", "", 200, "malformed", "no-store"},
		"another type":      {"POST", "/pilot.ocsp", "text/plain", request, 415, "", ""},
		"too long":          {"POST", "/pilot.ocsp", kind, strings.Repeat("x", maxRequest+1), 413, "", ""},
		"no request":        {"GET", "/pilot.ocsp", "", "", 400, "", ""},
		"no Base64":         {"GET", "/pilot.ocsp/%21", "", "", 400, "", ""},
		"POST to a GET":     {"POST", "/pilot.ocsp/" + url.PathEscape(encoded), kind, request, 405, "", ""},
		"PUT":               {"PUT", "/pilot.ocsp", kind, request, 405, "", ""},
		"another responder": {"POST", "/other.ocsp", kind, request, 404, "", ""},
		"no name":           {"POST", "/.ocsp", kind, request, 405, "", ""},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
		if tc.kind != "" {
			r.Header.Set("Content-Type", tc.kind)
		}
		s.ServeHTTP(w, r)
		h := w.Result().Header
		if w.Code != tc.status || w.Code == 200 && (w.Body.String() != tc.answer || h.Get("Cache-Control") != tc.cache || h.Get("Content-Type") != "application/ocsp-response") {
			t.Errorf("%s: %d %q, %q, %q", name, w.Code, w.Body, h.Get("Cache-Control"), h.Get("Content-Type"))
		}
		if tc.cache == kept && (h.Get("Expires") != now.Add(10*time.Minute).Format(http.TimeFormat) || h.Get("ETag") == "" || h.Get("Last-Modified") == "") {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// A bundle is served as what it is (RFC 8551 §3.8); without sources there is nothing.
func TestBundle(t *testing.T) {
	for _, tc := range []struct {
		s    *Server
		path string
		want int
	}{
		{New(Options{Bundle: func(context.Context, string) ([]byte, bool) { return []byte("bundle"), true }}), "/pilot-2.p7c", 200},
		{New(Options{}), "/pilot.p7c", 404},
		{New(Options{}), "/pilot.ocsp/AAAA", 404},
	} {
		w := httptest.NewRecorder()
		tc.s.ServeHTTP(w, httptest.NewRequest("GET", tc.path, nil))
		if w.Code != tc.want || w.Code == 200 && (w.Body.String() != "bundle" || w.Header().Get("Content-Type") != "application/pkcs7-mime; smime-type=certs-only") {
			t.Errorf("%s: %d %q %v", tc.path, w.Code, w.Body, w.Header())
		}
	}
}
