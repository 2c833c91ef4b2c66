package trust

// The clauses that refuse. Direct 4 numbers the conditions of validity 1 to 5.
const (
	clauseDates      = "Direct 4 (1)"
	clauseSignature  = "Direct 4 (2)"
	clauseRevocation = "Direct 4 (3)"
	clauseBinding    = "Direct 4.1"
	clauseAddress    = "Direct 4.1.1"
	clauseOrg        = "Direct 4.1.2"
	clauseExtended   = "Direct 4.1.3"
	clauseAnchors    = "Direct 4.2.1"
	clauseAIA        = "Direct 4.2.2"
	clauseNoPath     = "Direct 4.2.3"

	clauseForm         = "RFC 5280 §4.1, §4.2"
	clauseFilter       = "policy of the installation"
	clauseNames        = "RFC 5280 §6.1.3 (b)"
	clauseExcluded     = "RFC 5280 §6.1.3 (c)"
	clausePolicies     = "RFC 5280 §6.1.3 (f)"
	clauseMapping      = "RFC 5280 §6.1.4 (a)"
	clauseNotCA        = "RFC 5280 §6.1.4 (k)"
	clausePathLength   = "RFC 5280 §6.1.4 (m)"
	clauseCertSign     = "RFC 5280 §6.1.4 (n)"
	clauseCritical     = "RFC 5280 §6.1.4 (o)"
	clauseCriticalLeaf = "RFC 5280 §6.1.5 (f)"
	clauseKeySize      = "RFC 8550 §4.3"
	clauseKeySize13    = "Direct v1.3 (RSA keys)"
	clauseKeyUsage     = "RFC 8550 §4.4.2"
)
