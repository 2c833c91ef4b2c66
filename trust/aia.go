package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// fetchIssuers follows caIssuers pointers (RFC 5280 §4.2.2.1), those of the certificates without an issuer at hand first, until one
// brings something new.
func (in *inquiry) fetchIssuers(ctx context.Context, ends []*x509.Certificate) (news bool) {
	for _, c := range ends {
		for _, u := range c.IssuingCertificateURL {
			host := httpHost(u)
			if host == "" || selfIssued(c) || slices.Contains(in.fetched, u) {
				continue
			}
			if in.Fetcher == nil {
				in.turn(Check{"issuer", Refused, clauseNoPath,
					"no path leads to an anchor of this address; a pointer to an issuer is there, but nothing may be fetched"})
				return false
			}
			if in.issuersFetched++; in.issuersFetched > maxIssuers {
				in.watch.fleeting = true
				in.turn(Check{"issuer", Refused, clauseNoPath, fmt.Sprintf("no path was found after %d issuers had been fetched", maxIssuers)})
				return false
			}
			in.fetched = append(in.fetched, u)
			for _, issuer := range in.fetchIssuer(ctx, c, u, host) {
				news = in.pool.add(issuer) || news
			}
			if news {
				return true
			}
		}
	}
	return false
}

// fetchIssuer gets what u, a pointer of c, says is c's issuer. What was kept counts if it is: plain HTTP brings anything, once.
func (in *inquiry) fetchIssuer(ctx context.Context, c *x509.Certificate, u, host string) []*x509.Certificate {
	if certs, ok := in.issuers.get(u, in.q.Now); ok && slices.ContainsFunc(certs, func(issuer *x509.Certificate) bool { return in.issued(issuer, c) }) {
		in.watch.issuers = append(in.watch.issuers, keptIssuers{u, certs})
		return certs
	}
	fleeting := in.watch.fleeting
	in.watch.fleeting = true
	body, err := in.issuersBy.fetch(ctx, in.Fetcher, u, maxIssuer)
	switch {
	case err == nil:
	case errors.Is(err, ErrAbsent):
		in.turn(Check{"issuer", Refused, clauseAIA, "the issuer that the certificate points to is not to be had from " + host})
		return nil
	default:
		in.unsure = Check{"issuer", Undecided, clauseAIA, "the issuer that the certificate points to could not be fetched from " + host}
		return nil
	}
	certs, err := parseIssuers(body)
	if err != nil {
		in.turn(Check{"issuer", Refused, clauseAIA, "what " + host + " calls an issuer's certificate is none"})
		return nil
	}
	in.issuers.put(u, certs, len(body), in.q.Now)
	in.watch.issuers, in.watch.fleeting = append(in.watch.issuers, keptIssuers{u, certs}), fleeting
	return certs
}

// issued says whether issuer signed c, as long as signatures are checked at all.
func (in *inquiry) issued(issuer, c *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, c.RawIssuer) {
		return false
	}
	in.signed++
	return in.signed <= maxSignatures && in.proves(issuer, c)
}

// httpHost is the host of an http or https URL, quoted if it needs to be; "" for any other.
func httpHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return ""
	}
	host := u.Hostname()
	if len(host) > 64 {
		host = host[:64] + "…"
	}
	if q := fmt.Sprintf("%+q", host); q[1:len(q)-1] != host {
		return q
	}
	return host
}

// maxBundle bounds the certificates of one fetched body.
const maxBundle = 16

var errIssuers = errors.New("trust: neither a certificate nor a bundle of certificates")

// parseIssuers reads what a caIssuers URL gives: one DER certificate, or a certs-only PKCS#7 message (RFC 5280 §4.2.2.1). PEM of
// either is read too, because it is found in the wild. A bundle is read up to its 16th certificate.
func parseIssuers(body []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(body, []byte("-----BEGIN ")) {
		return parseIssuersDER(body)
	}
	var certs []*x509.Certificate
	for len(certs) < maxBundle {
		var block *pem.Block
		if block, body = pem.Decode(body); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "CMS":
			more, err := parseIssuersDER(block.Bytes)
			if err != nil {
				return nil, err
			}
			certs = append(certs, more...)
		}
	}
	if len(certs) == 0 {
		return nil, errIssuers
	}
	return certs[:min(len(certs), maxBundle)], nil
}

func parseIssuersDER(der []byte) ([]*x509.Certificate, error) {
	if c, err := x509.ParseCertificate(der); err == nil {
		return []*x509.Certificate{c}, nil
	}
	bag, ok := certsOnly(der)
	if !ok {
		return nil, errIssuers
	}
	var certs []*x509.Certificate
	for !bag.Empty() && len(certs) < maxBundle {
		var one cryptobyte.String
		var tag asn1.Tag
		if !bag.ReadAnyASN1Element(&one, &tag) {
			return nil, errIssuers
		}
		// RFC 5652 §10.2.2: other kinds of certificate, and one that is broken, are passed over.
		if c, err := x509.ParseCertificate(one); err == nil {
			certs = append(certs, c)
		}
	}
	if len(certs) == 0 {
		return nil, errIssuers
	}
	return certs, nil
}

// certsOnly finds the certificates field of a DER SignedData (RFC 5652 §5.1); what else is in it is not looked at.
func certsOnly(der []byte) (bag cryptobyte.String, ok bool) {
	in := cryptobyte.String(der)
	var info, content, signed cryptobyte.String
	oidSignedData := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	var kind cryptobyte.String
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1(&kind, asn1.OBJECT_IDENTIFIER) || !bytes.Equal(kind, oidSignedData) ||
		!info.ReadASN1(&content, asn1.Tag(0).Constructed().ContextSpecific()) ||
		!content.ReadASN1(&signed, asn1.SEQUENCE) ||
		!signed.SkipASN1(asn1.INTEGER) || !signed.SkipASN1(asn1.SET) || !signed.SkipASN1(asn1.SEQUENCE) {
		return nil, false
	}
	return bag, signed.ReadASN1(&bag, asn1.Tag(0).Constructed().ContextSpecific())
}
