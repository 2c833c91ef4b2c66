package admin

import (
	"context"
	"crypto/x509"
	"slices"

	"carepost/internal/keyring"
	"carepost/trust"
)

// mostAbove is how many certificates are kept above one of ours.
const mostAbove = 8

// pathAbove finds the issuers of c among others, nearest first, whatever their order: up to a self-signed one, or as far as they go.
func pathAbove(c *x509.Certificate, others []*x509.Certificate) (path []*x509.Certificate) {
	for at := c; !selfSigned(at) && len(path) < mostAbove; {
		i := slices.IndexFunc(others, func(o *x509.Certificate) bool {
			return o.IsCA && !o.Equal(at) && !slices.ContainsFunc(path, o.Equal) && string(o.RawSubject) == string(at.RawIssuer) && at.CheckSignatureFrom(o) == nil
		})
		if i < 0 {
			return path
		}
		at = others[i]
		path = append(path, at)
	}
	return path
}

// complete fetches what is missing of a path by AIA (Direct 4.2.2). What cannot be had is missing further: partners may have it.
func complete(ctx context.Context, f trust.Fetcher, c *x509.Certificate, above []*x509.Certificate) []*x509.Certificate {
	if f == nil {
		return above
	}
	for len(above) < mostAbove {
		top := c
		if len(above) > 0 {
			top = above[len(above)-1]
		}
		if selfSigned(top) {
			return above
		}
		next := fetchIssuer(ctx, f, top)
		if next == nil || slices.ContainsFunc(above, next.Equal) {
			return above
		}
		above = append(above, next)
	}
	return above
}

// What is fetched for one path.
const (
	mostPointers = 4        // URLs of one certificate that are tried
	mostIssuer   = 64 << 10 // octets that one of them may give
)

// fetchIssuer gets the certificate above top from where top says, or nil.
func fetchIssuer(ctx context.Context, f trust.Fetcher, top *x509.Certificate) *x509.Certificate {
	for _, u := range top.IssuingCertificateURL[:min(len(top.IssuingCertificateURL), mostPointers)] {
		body, err := f.Fetch(ctx, u, mostIssuer)
		if err != nil {
			continue
		}
		list, err := keyring.ReadBundle([][]byte{body}, "")
		if err != nil {
			continue
		}
		if found := pathAbove(top, list.Certificates); len(found) > 0 {
			return found[0]
		}
	}
	return nil
}
