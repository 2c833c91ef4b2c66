package pilot_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"carepost/addr"
	"carepost/internal/store"
)

// Fetch serves what certd would.
func (h *host) Fetch(ctx context.Context, at string, _ int64) ([]byte, error) {
	path, ok := strings.CutPrefix(at, h.URL+"/")
	h.fetched = append(h.fetched, path)
	name, kind, _ := strings.Cut(path, ".")
	kind, request, _ := strings.Cut(kind, "/")
	var der []byte
	var err error
	switch kind {
	case "cer":
		der, ok = h.Certificate(name)
	case "p7c":
		der, ok = h.Bundle(name, h.now)
	case "crl":
		der, err = h.CRL(ctx, name, h.now)
	case "ocsp":
		var asked []byte
		if request, err = url.PathUnescape(request); err == nil {
			asked, err = base64.StdEncoding.DecodeString(request)
		}
		der, ok = h.OCSP(ctx, asked, h.now).DER, name == h.Responder() && !h.silent
	default:
		ok = false
	}
	if !ok || err != nil {
		return nil, errors.New("not found")
	}
	return der, nil
}

// owner is a domain or an address, as the store knows it.
func owner(name string) (o store.Owner) {
	if strings.Contains(name, "@") {
		o.Address, _ = addr.Parse(name)
		return o
	}
	o.Domain = addr.Domain(name)
	return o
}
