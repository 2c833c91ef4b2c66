package pilot

import (
	"fmt"
	"slices"
	"strings"
)

// Reason of a revocation: CRLReason of RFC 5280 §5.3.1. Zero, unspecified, is not written.
type Reason int

// Reasons that a certificate of ours can be revoked for. certificateHold is none: what may have leaked does not come back.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

// reasons by their names in RFC 5280.
func reasons() map[Reason]string {
	return map[Reason]string{Unspecified: "unspecified", KeyCompromise: "keyCompromise", AffiliationChanged: "affiliationChanged",
		Superseded: "superseded", CessationOfOperation: "cessationOfOperation", PrivilegeWithdrawn: "privilegeWithdrawn"}
}

func (r Reason) String() string { return reasons()[r] }

// ParseReason reads a name of RFC 5280 without regard to case; "" is Unspecified.
func ParseReason(s string) (Reason, error) {
	var names []string
	for r, name := range reasons() {
		if strings.EqualFold(name, s) {
			return r, nil
		}
		names = append(names, name)
	}
	if s == "" {
		return Unspecified, nil
	}
	slices.Sort(names)
	return 0, fmt.Errorf("%w: a reason is one of %s", ErrOrder, strings.Join(names, ", "))
}

// replaces says whether somebody whose certificate is revoked for that gets another at once: the others have lost their right to it.
func (r Reason) replaces() bool {
	return r == Unspecified || r == KeyCompromise || r == Superseded
}
