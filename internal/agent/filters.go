package agent

import "carepost/trust/policy"

// Filters are what an installation demands of certificates (package policy); nil demands nothing.
type Filters struct {
	Trust   *policy.Expression // of those of others, whatever they are used for
	Sign    *policy.Expression // of our own, to sign with
	Encrypt *policy.Expression // of recipients', to encrypt to
}
