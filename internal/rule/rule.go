// Package rule holds what the operator of an installation demands besides the standards: for which of our addresses, with whom, which
// way. A Rule says nothing about what it leaves at its zero value, and Rules.Of puts together what all that fit say.
package rule

import (
	"regexp"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/trust"
)

// Who is a set of addresses and of whole domains. The zero one is everybody.
type Who struct {
	Addresses map[string]bool // by their keys (addr.Address.Key)
	Domains   map[addr.Domain]bool
}

// Has says whether a is meant. A domain without endpoint is meant where it is named as a whole.
func (w Who) Has(a addr.Address) bool {
	if len(w.Addresses)+len(w.Domains) == 0 {
		return true
	}
	return w.Addresses[a.Key()] || w.Domains[a.Domain]
}

// Notices says whether a partner answers as Direct 3.2 asks.
type Notices uint8

const (
	Expected Notices = iota + 1 // the processed notice is awaited
	Never                       // none is sent: what was handed over is not said to have failed (PS3.12 Z.2.1, DCM-17)
)

// Failures says by which report a partner is told that his message was not delivered, or is of no use as it is (Direct 3.3).
type Failures uint8

const (
	ByDSN Failures = iota + 1 // a failed DSN: every other side understands it
	ByMDN                     // a failed MDN
)

// Sets says what is done with File-sets that mail programs attach.
type Sets uint8

const (
	Exact     Sets = iota + 1 // they leave as PS3.11 X.3.2 has them, or not at all; so without a rule
	AsTheyAre                 // nobody looks at them
)

// Rule is one [[rule]] of carepost.toml.
type Rule struct {
	For, With Who               // of ours; of the other side
	Direction transit.Direction // zero: both

	Form     Form          // how mail is packed; zero: as Direct has it
	Subject  Subject       // of mail in the form SMIME
	Profile  *trust.Policy // by which both are judged
	Notices  Notices
	Patience time.Duration // how long a notice is awaited
	Failures Failures      // zero: by DSN

	Refuse    string           // nothing passes, for this reason
	Accept    []string         // media types that may be in it: "application/pdf", "image/*"; nil: any
	Size      int64            // bytes, most, of a message as its sender wrote it
	Fragment  int64            // bytes, most, of a sealed message, else it goes in fragments; never to partners of the form Direct
	Instead   addr.Address     // takes what an address named here does not (Direct 2.1)
	Readable  *bool            // what is structured comes with a text for people (Direct 2.1)
	Hold      *bool            // a person releases it
	Sets      Sets             // File-sets that leave
	Statement string           // stands in the body of every mail that leaves (PS3.15 B.8 note 2)
	Prohibit  []*regexp.Regexp // mail in whose subject or texts one of these is found does not pass

	Watch []*regexp.Regexp // and mail in whose subject or texts one of these is found (Direct 6.1)
}

// Rules of an installation, in the order of the file.
type Rules []Rule

// fits says whether a rule speaks of mail between ours and theirs.
func (r Rule) fits(ours, theirs addr.Address, d transit.Direction) bool {
	return (r.Direction == 0 || r.Direction == d) && r.For.Has(ours) && r.With.Has(theirs)
}

// Of is what is demanded of mail between an address of ours and one of others: for each key what the first rule says that fits and
// speaks of it.
func (rs Rules) Of(ours, theirs addr.Address, d transit.Direction) (out Rule) {
	for _, r := range rs {
		if !r.fits(ours, theirs, d) {
			continue
		}
		first(&out.Form, r.Form)
		first(&out.Subject, r.Subject)
		first(&out.Profile, r.Profile)
		first(&out.Notices, r.Notices)
		first(&out.Patience, r.Patience)
		first(&out.Failures, r.Failures)
		first(&out.Refuse, r.Refuse)
		first(&out.Size, r.Size)
		first(&out.Fragment, r.Fragment)
		first(&out.Instead, r.Instead)
		first(&out.Readable, r.Readable)
		first(&out.Hold, r.Hold)
		if out.Accept == nil {
			out.Accept = r.Accept
		}
		first(&out.Sets, r.Sets)
		first(&out.Statement, r.Statement)
		if out.Prohibit == nil {
			out.Prohibit = r.Prohibit
		}
		if out.Watch == nil {
			out.Watch = r.Watch
		}
	}
	return out
}

// first keeps what was said before.
func first[T comparable](have *T, said T) {
	var nothing T
	if *have == nothing {
		*have = said
	}
}
