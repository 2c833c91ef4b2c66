package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// maxKnownSignatures bounds the signature cache: 32 bytes each.
const maxKnownSignatures = 16384

// signatureCache remembers signatures that were found good. A signature once good is good for ever, so nothing here depends on
// time or policy; bad ones are not kept.
type signatureCache struct {
	mu   sync.Mutex
	good map[[32]byte]struct{}
}

// check says whether verify holds for this key and these signed bytes, and asks it only if that is not known.
func (s *signatureCache) check(spki, signed []byte, verify func() bool) bool {
	h := sha256.New()
	h.Write(spki) // DER: it tells its own length
	h.Write(signed)
	key := [32]byte(h.Sum(nil))
	s.mu.Lock()
	_, ok := s.good[key]
	s.mu.Unlock()
	if ok {
		return true
	}
	if !verify() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good == nil || len(s.good) >= maxKnownSignatures {
		s.good = map[[32]byte]struct{}{} // start afresh: dearer than eviction once in a long while, and simpler
	}
	s.good[key] = struct{}{}
	return true
}

// Fetched issuers are kept for an hour, up to 256 URLs and 256 KiB in all. Certificates that are made to be dear take a hundred times
// their size once they are read.
const (
	issuerAge      = time.Hour
	maxIssuing     = 256
	maxIssuerBytes = 256 << 10
)

// issuerCache keeps what caIssuers URLs gave. The certificates are candidates and no more, so an old one does no harm.
type issuerCache struct {
	mu    sync.Mutex
	m     map[string]issued
	bytes int
}

type issued struct {
	certs []*x509.Certificate
	size  int // of the body
	at    time.Time
}

func (i *issuerCache) get(url string, now time.Time) ([]*x509.Certificate, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	e, ok := i.m[url]
	return e.certs, ok && now.Sub(e.at).Abs() < issuerAge
}

func (i *issuerCache) put(url string, certs []*x509.Certificate, size int, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bytes += size - i.m[url].size
	if i.m == nil || len(i.m) >= maxIssuing || i.bytes > maxIssuerBytes {
		i.m, i.bytes = map[string]issued{}, size
	}
	i.m[url] = issued{certs, size, now}
}
