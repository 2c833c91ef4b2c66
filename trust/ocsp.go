package trust

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Poster is a Fetcher that can also send something. body goes to url as contentType; the answer is at most max bytes. The same guard
// and the same errors as for a Fetcher.
type Poster interface {
	Post(ctx context.Context, url, contentType string, body []byte, max int64) ([]byte, error)
}

const (
	maxResponders = 4   // OCSP URLs of one certificate that are asked
	maxRequests   = 8   // OCSP questions of one Question
	maxGET        = 255 // octets of a URL with its request (RFC 6960 A.1, RFC 5019 §5)
	nonceSize     = 32  // octets (RFC 9654 §2.1)
	noNextUpdate  = time.Hour
)

// reply is an OCSP answer about one certificate, proven.
type reply struct {
	raw        []byte
	status     state // silent: the responder does not know it
	entry      entry
	this, next time.Time
}

// about is where an OCSP answer about s is from.
func (from source) about(s subject) source {
	from.serial = string(serialOf(s.Certificate))
	return from
}

// serialOf is the serial number of c as the contents of its INTEGER.
func serialOf(c *x509.Certificate) []byte {
	var b cryptobyte.Builder
	b.AddASN1BigInt(c.SerialNumber)
	der := cryptobyte.String(b.BytesOrPanic())
	var n cryptobyte.String
	der.ReadASN1(&n, tags.INTEGER)
	return n
}

// askResponder asks the OCSP responder at u for s.
func (in *inquiry) askResponder(ctx context.Context, u string, s subject) answer {
	host := httpHost(u)
	if host == "" {
		return silence("its OCSP responder is not to be had by HTTP")
	}
	k, no := in.obtain(ctx, sourceOf(u, s.issuer).about(s), s, "its OCSP answer", &in.asked, maxRequests, func(ctx context.Context) (*kept, string) {
		r, no := in.request(ctx, u, host, s)
		if r == nil {
			return nil, no
		}
		return &kept{reply: r, subject: s.Certificate}, ""
	})
	if k == nil {
		return silence(no)
	}
	return in.consultReply(k.reply, s)
}

// consultReply reads what r says of s.
func (in *inquiry) consultReply(r *reply, s subject) answer {
	in.watch.moments(r.entry.since, r.this, r.next, r.next.Add(in.q.Revocation.Grace))
	if r.status == silent {
		return silence("the OCSP responder does not know it")
	}
	a := answer{reasons: allReasons, made: r.this}
	return in.dated(a, s, r.entry, r.status == revoked, span{r.this, r.next}, label{"OCSP", "the OCSP answer"})
}

// request sends the question, by POST with a nonce where the Fetcher can; a responder that does not take that is asked by GET without,
// which is how those answer that answer beforehand (RFC 5019 §5).
func (in *inquiry) request(ctx context.Context, u, host string, s subject) (_ *reply, no string) {
	no = "no OCSP answer could be fetched from " + host
	first := true
	if p, ok := in.Fetcher.(Poster); ok {
		first = false
		nonce := make([]byte, nonceSize)
		rand.Read(nonce)
		body, err := in.crlsBy.post(ctx, p, u, ocspRequest(s, nonce))
		if err == nil {
			var r *reply
			if r, no = in.verify(ctx, body, nonce, host, s); r != nil {
				return r, ""
			}
			return nil, no
		} else if !errors.Is(err, ErrAbsent) {
			return nil, no
		}
	}
	get := strings.TrimSuffix(u, "/") + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(ocspRequest(s, nil)))
	if len(get) > maxGET || strings.Contains(u, "?") || !first && !in.q.Budget.take() {
		return nil, no
	}
	body, err := in.crlsBy.fetch(ctx, in.Fetcher, get, maxOCSP)
	if err != nil {
		return nil, no
	}
	return in.verify(ctx, body, nil, host, s)
}

// ocspRequest is an OCSPRequest about s (RFC 6960 §4.1.1). The certID is by SHA-1, which every responder knows (RFC 5019 §2.1.1).
func ocspRequest(s subject, nonce []byte) []byte {
	name, key := sha1.Sum(s.issuer.RawSubject), sha1.Sum(keyBits(s.issuer))
	seq := func(b *cryptobyte.Builder, f func(*cryptobyte.Builder)) { b.AddASN1(tags.SEQUENCE, f) }
	var b cryptobyte.Builder
	seq(&b, func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) {
			seq(b, func(b *cryptobyte.Builder) {
				seq(b, func(b *cryptobyte.Builder) {
					seq(b, func(b *cryptobyte.Builder) {
						seq(b, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26})
							b.AddASN1NULL()
						})
						b.AddASN1OctetString(name[:])
						b.AddASN1OctetString(key[:])
						b.AddASN1BigInt(s.SerialNumber)
					})
				})
			})
			if nonce == nil {
				return
			}
			b.AddASN1(inside(2), func(b *cryptobyte.Builder) {
				seq(b, func(b *cryptobyte.Builder) {
					seq(b, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidOCSPNonce)
						b.AddASN1(tags.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// verify reads raw as an answer about s and proves it (RFC 6960 §3.2). A nonce that was sent must come back, if any does: responders that
// answer beforehand have none, and their dates must do (RFC 9654 §2.1).
func (in *inquiry) verify(ctx context.Context, raw, nonce []byte, host string, s subject) (_ *reply, no string) {
	said := func(what string) (*reply, string) { return nil, "the OCSP answer from " + host + " " + what }
	r, err := parseOCSP(raw)
	switch {
	case errors.Is(err, errOCSPRefused):
		return nil, "the OCSP responder " + host + " gave no answer"
	case err != nil:
		return nil, "what " + host + " calls an OCSP answer is none"
	case r.strange:
		return said("has a critical extension that is not understood")
	case nonce != nil && r.nonce != nil && !bytes.Equal(nonce, r.nonce):
		return said("belongs to another question")
	case !soundAlgorithm(r.algorithm):
		return said("is signed by an algorithm that is not accepted")
	}
	one, ok := r.about(s)
	if !ok {
		return said("is about another certificate")
	}
	signer, no := in.responder(ctx, r, s)
	if no != "" {
		return said(no)
	}
	out := &reply{raw: raw, status: one.status, entry: one.entry, this: one.thisUpdate, next: one.expiry}
	if out.next.IsZero() { // newer information is to be had at any time (RFC 6960 §4.2.2.1)
		out.next = out.this.Add(noNextUpdate)
	}
	if signer != s.issuer && signer.NotAfter.Before(out.next) {
		out.next = signer.NotAfter
	}
	return out, ""
}

// about is what r says of s. Of several answers one that revokes counts, else the latest.
func (r *response) about(s subject) (found single, ok bool) {
	serial := serialOf(s.Certificate)
	for _, one := range r.singles {
		if !one.about(s, serial) {
			continue
		}
		if !ok || found.status != revoked && (one.status == revoked || one.thisUpdate.After(found.thisUpdate)) {
			found, ok = one, true
		}
	}
	return found, ok
}

// responder finds who signed r and says why he may not, if so (RFC 6960 §4.2.2.2): the issuer of s himself, or somebody with a
// certificate for that, straight from him.
func (in *inquiry) responder(ctx context.Context, r *response, s subject) (_ *x509.Certificate, no string) {
	if r.names(s.issuer) && in.provesOCSP(s.issuer, r) {
		return s.issuer, ""
	}
	no = "is signed by nobody who may"
	for _, der := range r.certs {
		c, err := x509.ParseCertificate(der)
		if err != nil || !r.names(c) {
			continue
		}
		if no = in.delegated(ctx, c, r, s); no == "" {
			return c, ""
		}
	}
	return nil, no
}

// names says that c is whom the responderID means.
func (r *response) names(c *x509.Certificate) bool {
	if r.name != nil {
		return sameName(r.name, c.RawSubject)
	}
	hash := sha1.Sum(keyBits(c))
	return bytes.Equal(r.keyHash, hash[:])
}

// delegated says why c, a responder's certificate, does not let it answer for s; "" if it does.
func (in *inquiry) delegated(ctx context.Context, c *x509.Certificate, r *response, s subject) (no string) {
	const who = "the OCSP responder"
	purpose := false
	for _, u := range c.ExtKeyUsage {
		purpose = purpose || u == x509.ExtKeyUsageOCSPSigning // "any" is not enough (RFC 6960 §4.2.2.2)
	}
	switch {
	case !sameName(c.RawIssuer, s.issuer.RawSubject):
		return "is signed by a responder of another issuer"
	case !purpose:
		return "is signed by a certificate that is not for OCSP"
	case r.produced.Before(c.NotBefore), r.produced.After(c.NotAfter), in.q.Now.After(c.NotAfter):
		return "is signed by a responder whose certificate is out of its dates"
	case has(c, oidKeyUsage) && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return "is signed by a key that may not sign"
	case checkKey(c, who, in.q.Policy).Status != Trusted, checkCritical(c, who, true).Status != Trusted, checkAlgorithm(c, who).Status != Trusted:
		return "is signed by a responder whose certificate is not accepted"
	case !in.proves(s.issuer, c):
		return "is signed by a responder whose certificate does not bear the issuer's signature"
	case !in.provesOCSP(c, r):
		return "does not bear the responder's signature"
	case has(c, oidOCSPNoCheck):
		return ""
	}
	// Its status is asked by list alone: it would itself say that it is good.
	check, blocks := in.revocation(ctx, subject{c, s.issuer, who, true})
	if check.Status == Refused || blocks {
		return "is signed by a responder of whom this is said: " + check.Evidence
	}
	return ""
}

func (in *inquiry) provesOCSP(c *x509.Certificate, r *response) bool {
	return c.CheckSignature(r.algorithm, r.signed, r.signature) == nil
}
