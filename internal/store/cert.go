package store

import (
	"time"

	"carepost/addr"
	"carepost/internal/transit"
)

// Owner is whom a certificate or anchor belongs to: an address, or a whole domain when Address is zero.
type Owner struct {
	Address addr.Address
	Domain  addr.Domain // set without Address; with it, it may be empty
}

// Cert is a certificate of our own.
type Cert struct {
	ID                  string // made by InsertCert when empty
	Owner               Owner
	Key                 string // handle in the keyring
	DER                 []byte // sealed: it names its owner
	Chain               []byte // intermediates up to the anchor, concatenated DER; sealed
	NotBefore, NotAfter time.Time
}

// InsertCert adds c. *Duplicate if the owner has that certificate.
func (tx *Tx) InsertCert(c *Cert) error { panic("unimplemented") }

// Certs lists the certificates of exactly this owner, newest NotBefore first. Callers ask for the address first, then for its domain.
func (tx *Tx) Certs(o Owner) ([]Cert, error) { panic("unimplemented") }

// AllCerts lists every certificate of our own, oldest first.
func (tx *Tx) AllCerts() ([]Cert, error) { panic("unimplemented") }

// Anchor is a certificate trusted by an owner, for mail of one direction.
type Anchor struct {
	ID        string // made by InsertAnchor when empty
	Owner     Owner
	Direction transit.Direction // Inbound: whose signatures are believed. Outbound: who may be sent to
	DER       []byte
	Source    string // where it came from, for people
	Added     time.Time
}

// InsertAnchor adds a. *Duplicate if the owner trusts it already in that direction.
func (tx *Tx) InsertAnchor(a *Anchor) error { panic("unimplemented") }

// Anchors lists what exactly this owner trusts.
func (tx *Tx) Anchors(o Owner, d transit.Direction) ([]Anchor, error) { panic("unimplemented") }

// RemoveAnchor takes trust away. ErrNotFound.
func (tx *Tx) RemoveAnchor(id string) error { panic("unimplemented") }

// CRL is a revocation list as fetched from one place.
type CRL struct {
	URL                    string
	Issuer                 []byte // raw DER name of the issuer
	DER                    []byte
	ThisUpdate, NextUpdate time.Time
	Fetched                time.Time
}

// PutCRL keeps the list of that URL, over the one before.
func (tx *Tx) PutCRL(c CRL) error { panic("unimplemented") }

// CRL reads the list of that URL. ErrNotFound.
func (tx *Tx) CRL(url string) (CRL, error) { panic("unimplemented") }

// CRLs lists those of an issuer.
func (tx *Tx) CRLs(issuer []byte) ([]CRL, error) { panic("unimplemented") }

// PrivateKey is the row of a private key. Only the keyring can open it.
type PrivateKey struct {
	ID      string
	Public  []byte // SubjectPublicKeyInfo
	Wrapped []byte // PKCS #8, sealed by the keyring
	Created time.Time
}

// InsertPrivateKey adds k.
func (tx *Tx) InsertPrivateKey(k PrivateKey) error { panic("unimplemented") }

// PrivateKey reads one. ErrNotFound.
func (tx *Tx) PrivateKey(id string) (PrivateKey, error) { panic("unimplemented") }
