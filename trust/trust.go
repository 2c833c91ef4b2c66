package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"carepost/addr"
	"carepost/trust/policy"
)

// Status is the state of a Verdict or of one Check.
type Status uint8

const (
	Undecided Status = iota // no answer yet; a zero Verdict trusts nobody
	Trusted
	Refused
)

// String returns "undecided", "trusted" or "refused".
func (s Status) String() string {
	switch s {
	case Trusted:
		return "trusted"
	case Refused:
		return "refused"
	}
	return "undecided"
}

// MarshalText writes the word of String.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Status) UnmarshalText(text []byte) error {
	return readWord(s, text, Undecided, Trusted, Refused)
}

// Binding says how a certificate is tied to an address (Direct 1.4, 4.1).
type Binding uint8

const (
	Unbound      Binding = iota
	AddressBound         // by rfc822Name, Direct 4.1.1
	OrgBound             // by dNSName, Direct 4.1.2
)

// String returns "unbound", "address-bound" or "organizationally-bound".
func (b Binding) String() string {
	switch b {
	case AddressBound:
		return "address-bound"
	case OrgBound:
		return "organizationally-bound"
	}
	return "unbound"
}

// MarshalText writes the word of String.
func (b Binding) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (b *Binding) UnmarshalText(text []byte) error {
	return readWord(b, text, Unbound, AddressBound, OrgBound)
}

// readWord sets v to the value whose word is text.
func readWord[T fmt.Stringer](v *T, text []byte, values ...T) error {
	for _, w := range values {
		if w.String() == string(text) {
			*v = w
			return nil
		}
	}
	return errors.New("trust: an unknown word in a stored verdict")
}

// Use is what the certificate's key did or is to do.
type Use uint8

const (
	AnyUse     Use = iota // both of the following: the zero Use asks for the most
	Signing               // it signed a message
	Encryption            // a message is to be encrypted to it
)

// Policy is a column of the table in the package comment.
type Policy uint8

const (
	V12     Policy = iota // the source document
	V13                   // Direct 2021, second-hand
	Lenient               // partners of PS3.15 B.8
)

// Check is one thing that was looked at, in the order of looking. A check that is Undecided in a Trusted verdict is a finding:
// accepted, but worth knowing.
type Check struct {
	Name     string `json:"name"` // "binding", "dates", "signature", …
	Status   Status `json:"status"`
	Clause   string `json:"clause"`
	Evidence string `json:"evidence"` // one sentence; never an address
}

// Verdict is the answer to a Question. Clause and Reason say why it is not Trusted, or what Trusted rests on.
type Verdict struct {
	Status      Status
	Clause      string // "Direct 4.2.3", "RFC 5280 §6.1.4 (m)", …
	Reason      string // one sentence for people; never an address
	Certificate *x509.Certificate
	Path        []*x509.Certificate // from the certificate to the anchor; the path that was refused, if one was found
	Anchor      *x509.Certificate   // nil unless Trusted
	Binding     Binding
	Checks      []Check
}

// Question asks whether Certificate may act for Address at the moment Now, for someone who holds Anchors.
type Question struct {
	Certificate   *x509.Certificate
	Address       addr.Address
	Anchors       []*x509.Certificate // of the address on our side (Direct 4.2.1)
	Intermediates []*x509.Certificate // candidates without any trust: from a message, from a store
	CRLs          []*x509.RevocationList
	Use           Use
	Now           time.Time
	Policy        Policy
	Policies      PolicyInput        // the certificate policies that are asked for (RFC 5280 §6.1.1)
	Filter        *policy.Expression // what is demanded of Certificate besides; nil: nothing
	Tolerant      bool               // certificates that strict parsing refuses are judged, and their oddities noted
	Revocation    Revocation         // what is done where the status of a certificate is not known
	Budget        *Budget            // of fetches, shared by the questions about one message; nil: this question has its own
	Trace         func(Event)        // told of each step as it is taken; nil: nobody
}

// Event is one step on the way to a verdict, for a person who asks how it was reached.
type Event struct {
	Kind    string `json:"kind"`    // "candidate", "fetch", "path", "status", …
	Subject string `json:"subject"` // the quoted name of a certificate, or a host; never an address
	Clause  string `json:"clause,omitempty"`
	Outcome string `json:"outcome"` // a clause without a full stop
}

// Revocation says what is done where nobody says whether a certificate of the path is revoked (Direct 4: unknown is not good).
type Revocation struct {
	Unknown Unknown
	Grace   time.Duration // how long after its nextUpdate a list still counts
}

// Unknown is what becomes of a certificate whose status is not known.
type Unknown uint8

const (
	Await  Unknown = iota // undecided: asked again later
	Accept                // a finding
	Demand                // as Await; a certificate that names no place to ask is refused
)

// Fetcher brings the network: the body behind an http or https URL, at most max bytes. It must be guarded against URLs that point
// inside the house. An error that wraps ErrAbsent says that asking again will not help.
type Fetcher interface {
	Fetch(ctx context.Context, url string, max int64) ([]byte, error)
}

// ErrAbsent is wrapped by a Fetcher's error when there is nothing to be had at a URL, now or later: not found, too large, not
// allowed. Any other error of a Fetcher is taken to pass.
var ErrAbsent = errors.New("trust: nothing to be had there")
