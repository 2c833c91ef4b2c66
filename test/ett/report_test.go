package ett

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
)

// status is what a report says of one recipient.
type status struct{ recipient, action string }

// readReport reads a DSN or MDN by what Go's own library has for mail.
func readReport(message []byte) (original string, out []status, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return "", nil, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return "", nil, fmt.Errorf("it is a %s, %v", kind, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		return "", nil, fmt.Errorf("the text: %w", err)
	}
	second, err := parts.NextPart()
	if err != nil {
		return "", nil, fmt.Errorf("the fields: %w", err)
	}
	groups, err := readGroups(second)
	if err != nil || len(groups) == 0 {
		return "", nil, fmt.Errorf("the fields: %v", err)
	}
	if params["report-type"] == "disposition-notification" {
		_, what, _ := strings.Cut(groups[0].Get("Disposition"), ";")
		return groups[0].Get("Original-Message-ID"), []status{{typed(groups[0].Get("Final-Recipient")), strings.TrimSpace(what)}}, nil
	}
	for _, g := range groups[1:] {
		out = append(out, status{typed(g.Get("Final-Recipient")), g.Get("Action")})
	}
	return groups[0].Get("X-Original-Message-ID"), out, nil
}

// readGroups reads groups of fields with empty lines between.
func readGroups(r io.Reader) (out []textproto.MIMEHeader, err error) {
	tr := textproto.NewReader(bufio.NewReader(r))
	for {
		h, err := tr.ReadMIMEHeader()
		if len(h) > 0 {
			out = append(out, h)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

// typed is the address behind "rfc822;".
func typed(s string) string {
	_, address, _ := strings.Cut(s, ";")
	return strings.TrimSpace(address)
}
