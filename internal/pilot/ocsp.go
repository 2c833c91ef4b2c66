package pilot

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"carepost/internal/store"
)

const (
	ocspLife   = 12 * time.Hour   // of an answer
	ocspWait   = 2 * time.Second  // for a turn to sign
	ocspKeep   = 10 * time.Minute // how long those on the way may keep an answer: a revocation is not to be hidden for long
	signers    = 2                // answers signed at once: each costs an RSA signature
	maxOCSP    = 16 << 10         // bytes of a request
	maxSingles = 16               // certificates that one request asks about
	maxNonce   = 128              // octets (RFC 9654 §2.1)
)

// Answer is what the OCSP responder says.
type Answer struct {
	DER   []byte
	Until time.Time // others may keep it until then; zero: for nobody but who asked
}

// OCSP answers a request (RFC 6960), signed by the key of the authority itself that issued what is asked about (§2.2: no delegation,
// so nothing has to be proven of the responder). Every request has an answer: what is malformed, asks for too much or about
// certificates of others is told so, unsigned. Status comes from what was issued and revoked by now, not from the last list. A
// certificate that was never issued is unknown. The signature on a request, which nobody needs, is not looked at.
func (a *Authority) OCSP(ctx context.Context, request []byte, now time.Time) Answer {
	r, err := parseOCSP(request)
	if err != nil {
		return failure(malformedRequest)
	}
	by, ok := a.asked(r)
	if !ok {
		return failure(unauthorized) // RFC 5019 §2.2.3
	}
	select {
	case a.turns <- struct{}{}:
		defer func() { <-a.turns }()
	case <-time.After(ocspWait):
		return failure(tryLater)
	case <-ctx.Done():
		return failure(tryLater)
	}
	der, err := a.respond(ctx, r, by, now)
	if err != nil {
		return failure(internalError)
	}
	answer := Answer{DER: der}
	if r.nonce == nil {
		answer.Until = now.Add(ocspKeep)
	}
	return answer
}

// asked finds whom the request takes for the issuer of the first certificate: the key that answers for all.
func (a *Authority) asked(r ocspRequest) (generation, bool) {
	for _, id := range r.ids {
		for _, g := range a.generations() {
			if names(id, g) {
				return g, true
			}
		}
	}
	return generation{}, false
}

// names says whether a CertID names that key as the issuer (RFC 6960 §4.1.1).
func names(id certID, g generation) bool {
	hash, ok := hashOf(id.Algorithm.Algorithm)
	if !ok {
		return false
	}
	return bytes.Equal(id.NameHash, digest(hash, g.certificate.RawSubject)) && bytes.Equal(id.KeyHash, digest(hash, publicBits(g.certificate)))
}

func (a *Authority) respond(ctx context.Context, r ocspRequest, by generation, now time.Time) (der []byte, err error) {
	var singles []singleResponse
	err = a.store.View(ctx, func(tx *store.Tx) error {
		st, _, err := a.read(tx)
		if err != nil {
			return err
		}
		singles = nil
		for _, id := range r.ids {
			s, err := a.single(tx, st, id, now)
			if err != nil {
				return err
			}
			singles = append(singles, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sign(by, singles, r.nonce, now)
}

// single is the status of one certificate.
func (a *Authority) single(tx *store.Tx, st state, id certID, now time.Time) (s singleResponse, err error) {
	// Clocks of partners may be behind by a little.
	s = singleResponse{ID: asn1.RawValue{FullBytes: id.Raw}, This: now.Add(-skew).UTC().Truncate(time.Second), Next: now.Add(ocspLife).UTC().Truncate(time.Second)}
	s.Status = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2} // unknown
	by, ours := a.asked(ocspRequest{ids: []certID{id}})
	if !ours {
		return s, nil
	}
	if r, ok := st.revocation(id.Serial); ok {
		s.Status, err = revokedInfo(r)
		return s, err
	}
	der, err := tx.Issued(a.Domain, id.Serial)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return s, err
	}
	if !bytes.Equal(c.AuthorityKeyId, by.certificate.SubjectKeyId) {
		return s, nil // another key of ours issued it: of this one's it is none
	}
	s.Status = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0} // good
	return s, nil
}

// revokedInfo is RFC 6960 §4.2.1: [1] IMPLICIT { time, [0] EXPLICIT reason }.
func revokedInfo(r revoked) (out asn1.RawValue, err error) {
	body, err := asn1.MarshalWithParams(r.At.UTC().Truncate(time.Second), "generalized")
	if err != nil {
		return out, err
	}
	if r.Reason != Unspecified {
		reason, err := asn1.MarshalWithParams(asn1.Enumerated(r.Reason), "explicit,tag:0")
		if err != nil {
			return out, err
		}
		body = append(body, reason...)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: body}, nil
}

// sign makes a BasicOCSPResponse of a successful OCSPResponse; the responder names itself by its key.
func sign(by generation, singles []singleResponse, nonce []byte, now time.Time) ([]byte, error) {
	data := responseData{Responder: digest(crypto.SHA1, publicBits(by.certificate)), Produced: now.UTC().Truncate(time.Second), Responses: singles}
	if nonce != nil {
		value, err := asn1.Marshal(nonce)
		if err != nil {
			return nil, err
		}
		data.Extensions = []pkix.Extension{{Id: oidNonce(), Value: value}}
	}
	tbs, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	signature, err := by.key.Sign(rand.Reader, digest(crypto.SHA256, tbs), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	basic, err := asn1.Marshal(basicResponse{
		Data:      asn1.RawValue{FullBytes: tbs},
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidSHA256WithRSA(), Parameters: asn1.NullRawValue}, // the authority's keys are RSA
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(ocspResponse{Status: successful, Bytes: responseBytes{Type: oidBasic(), Response: basic}})
}

// failure is an answer without a status of certificates (RFC 6960 §4.2.1).
func failure(status asn1.Enumerated) Answer {
	der, err := asn1.Marshal(struct{ Status asn1.Enumerated }{status})
	if err != nil {
		panic(err) // a number always encodes
	}
	return Answer{DER: der}
}

// parseOCSP reads a request.
func parseOCSP(der []byte) (r ocspRequest, err error) {
	if len(der) > maxOCSP {
		return r, errors.New("pilot: the request is too long")
	}
	var outer struct {
		Request   tbsRequest
		Signature asn1.RawValue `asn1:"optional,explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 {
		return r, fmt.Errorf("pilot: not a request: %v", err)
	}
	list := outer.Request.List
	if outer.Request.Version != 0 || len(list) == 0 || len(list) > maxSingles {
		return r, errors.New("pilot: another version, or more certificates than one request may ask about")
	}
	for _, single := range list {
		id := single.ID
		if id.Serial == nil || id.Serial.Sign() <= 0 || id.Serial.BitLen() > 160 {
			id.Serial = new(big.Int) // none of ours
		}
		for _, e := range single.Extensions {
			if e.Critical {
				return r, errors.New("pilot: a critical extension that nothing is known of")
			}
		}
		r.ids = append(r.ids, id)
	}
	for _, e := range outer.Request.Extensions {
		switch {
		case e.Id.Equal(oidNonce()):
			// RFC 9654 §2.1: an OCTET STRING of 1 to 128 octets, else the request is malformed.
			if rest, err := asn1.Unmarshal(e.Value, &r.nonce); err != nil || len(rest) > 0 || len(r.nonce) == 0 || len(r.nonce) > maxNonce {
				return r, errors.New("pilot: a nonce that is none")
			}
		case e.Critical:
			return r, errors.New("pilot: a critical extension that nothing is known of")
		}
	}
	return r, nil
}
