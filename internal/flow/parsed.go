package flow

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"

	"carepost/certificate"
)

// maxParsed is how many anchors and pinned certificates are kept as they were read: a bundle has some hundred, the same ones for every
// recipient. About 5 KiB each.
const maxParsed = 4096

// parsed remembers certificates by their bytes. It decides nothing: which of them count is asked of the store every time.
type parsed struct {
	mu sync.Mutex
	m  map[[32]byte]*x509.Certificate
}

// read is certificate.Parse, and the hash of der. What it returns is shared, and not to be changed.
func (p *parsed) read(der []byte) (*x509.Certificate, [32]byte, error) {
	hash := sha256.Sum256(der)
	p.mu.Lock()
	c := p.m[hash]
	p.mu.Unlock()
	if c != nil {
		return c, hash, nil
	}
	c, err := certificate.Parse(der)
	if err != nil {
		return nil, hash, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil || len(p.m) >= maxParsed {
		p.m = map[[32]byte]*x509.Certificate{}
	}
	p.m[hash] = c
	return c, hash, nil
}
