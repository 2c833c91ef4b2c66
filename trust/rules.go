package trust

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"carepost/certificate"
	"carepost/cms"
	"carepost/trust/policy"
)

// The rules that look at one certificate. Each returns a Check; who names the certificate for people.

const dateLayout = "2006-01-02 15:04:05 UTC"

func checkDates(c *x509.Certificate, who string, now time.Time) Check {
	switch {
	case now.Before(c.NotBefore):
		return Check{"dates", Refused, clauseDates, fmt.Sprintf("%s is not valid before %s", who, c.NotBefore.UTC().Format(dateLayout))}
	case now.After(c.NotAfter):
		return Check{"dates", Refused, clauseDates, fmt.Sprintf("%s expired on %s", who, c.NotAfter.UTC().Format(dateLayout))}
	}
	return Check{"dates", Trusted, clauseDates, fmt.Sprintf("%s is valid until %s", who, c.NotAfter.UTC().Format(dateLayout))}
}

// checkForm refuses what crypto/x509 does not read, or notes what is odd about it.
func (j *Judge) checkForm(c *x509.Certificate, who string, tolerant bool) Check {
	var odd []string
	j.forms.check(nil, c.Raw, func() bool { // which reads it anew: dear beside a path that is known
		odd = certificate.Oddities(c)
		return odd == nil
	})
	switch text := strings.Join(odd, ", and "); {
	case odd == nil:
		return Check{"form", Trusted, clauseForm, who + " has the form that it must have"}
	case tolerant:
		return Check{"form", Undecided, clauseForm, fmt.Sprintf("%s is odd: %s; accepted", who, text)}
	default:
		return Check{"form", Refused, clauseForm, fmt.Sprintf("%s is odd: %s", who, text)}
	}
}

// Sizes of RSA moduli in bits. Above the greater, checking a signature costs an attacker less than us.
const (
	minRSA = 2048
	maxRSA = 8192
)

func checkKey(c *x509.Certificate, who string, p Policy) Check {
	clause := clauseKeySize
	if p == V13 {
		clause = clauseKeySize13
	}
	switch k := cms.PublicKey(c).(type) {
	case *rsa.PublicKey:
		switch n := k.N.BitLen(); {
		case n < minRSA:
			return Check{"key", Refused, clause, fmt.Sprintf("%s has an RSA key of %d bits; %d are the least", who, n, minRSA)}
		case n > maxRSA:
			return Check{"key", Refused, clause, fmt.Sprintf("%s has an RSA key of %d bits; %d are the most", who, n, maxRSA)}
		default:
			return Check{"key", Trusted, clause, fmt.Sprintf("%s has an RSA key of %d bits", who, n)}
		}
	case *ecdsa.PublicKey:
		return Check{"key", Trusted, clause, fmt.Sprintf("%s has an EC key on %s", who, k.Curve.Params().Name)}
	case ed25519.PublicKey:
		return Check{"key", Trusted, clause, who + " has an Ed25519 key"}
	case *ecdh.PublicKey: // nothing can be signed with it, so that it issues nothing
		return Check{"key", Trusted, clause, who + " has an X25519 key"}
	}
	return Check{"key", Refused, clause, who + " has a key of a kind that is not in use here"}
}

// checkUsage obeys RFC 8550 §4.4.2: a key usage extension, where there is one, must allow what the key is used for.
func checkUsage(c *x509.Certificate, use Use) Check {
	if c.KeyUsage == 0 && !has(c, oidKeyUsage) {
		return Check{"usage", Trusted, clauseKeyUsage, "the certificate does not limit the use of its key"}
	}
	if use != Encryption && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return Check{"usage", Refused, clauseKeyUsage, "the key usage allows neither digitalSignature nor nonRepudiation"}
	}
	if use != Signing {
		need, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
		switch cms.PublicKey(c).(type) {
		case *ecdsa.PublicKey, *ecdh.PublicKey: // RFC 8550 §4.4.2, RFC 5753, RFC 8410 §5: key agreement
			need, name = x509.KeyUsageKeyAgreement, "keyAgreement"
		}
		if c.KeyUsage&need == 0 {
			return Check{"usage", Refused, clauseKeyUsage, "the key usage does not allow " + name}
		}
	}
	return Check{"usage", Trusted, clauseKeyUsage, "the key usage allows what the key is used for"}
}

// checkExtendedUsage only notes what it sees: Direct 4.1.3 leaves the restriction to policy.
func checkExtendedUsage(c *x509.Certificate) Check {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return Check{"extended usage", Trusted, clauseExtended, "the certificate has no extended key usage"}
	}
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageEmailProtection || u == x509.ExtKeyUsageAny {
			return Check{"extended usage", Trusted, clauseExtended, "the extended key usage allows e-mail"}
		}
	}
	return Check{"extended usage", Undecided, clauseExtended, "the extended key usage does not name e-mail; accepted"}
}

// checkFilter asks what the policy of the address demands besides.
func checkFilter(c *x509.Certificate, filter *policy.Expression) Check {
	switch holds, why := filter.Holds(c); {
	case filter == nil:
		return Check{"filter", Trusted, clauseFilter, "nothing else is demanded of the certificate"}
	case !holds:
		return Check{"filter", Refused, clauseFilter, "the certificate is not what is demanded: " + why}
	}
	return Check{"filter", Trusted, clauseFilter, "the certificate is what is demanded of it"}
}

// checkCritical obeys RFC 5280 §4.2: an extension that is critical and not understood refuses the certificate.
func checkCritical(c *x509.Certificate, who string, leaf bool) Check {
	clause := clauseCritical
	if leaf {
		clause = clauseCriticalLeaf
	}
	for _, id := range c.UnhandledCriticalExtensions {
		if id.Equal(oidConstraints) || id.Equal(oidAltName) && knownNames(c) {
			continue // crypto/x509 does not know some kinds of names; they are looked at here
		}
		return Check{"extensions", Refused, clause, fmt.Sprintf("%s has the critical extension %v, which is not understood", who, id)}
	}
	return Check{"extensions", Trusted, clause, who + " has no critical extension that is not understood"}
}

// sound are the algorithms whose signatures count on certificates and CRLs. MD5 never (Direct 2.6); SHA-1 not either: collisions in
// certificates are made to order, whatever may still be tolerated on a message.
var sound = [...]x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519,
}

func soundAlgorithm(a x509.SignatureAlgorithm) bool {
	for _, s := range sound {
		if a == s {
			return true
		}
	}
	return false
}

func checkAlgorithm(c *x509.Certificate, who string) Check {
	if !soundAlgorithm(c.SignatureAlgorithm) {
		return Check{"algorithm", Refused, clauseSignature,
			fmt.Sprintf("%s is signed with %v, which no longer proves anything", who, algorithmName(c.SignatureAlgorithm))}
	}
	return Check{"algorithm", Trusted, clauseSignature, fmt.Sprintf("%s is signed with %v", who, c.SignatureAlgorithm)}
}

func algorithmName(a x509.SignatureAlgorithm) string {
	if a == x509.UnknownSignatureAlgorithm {
		return "an unknown algorithm"
	}
	return a.String()
}

// checkAuthority asks whether c may issue. below counts the authorities under it in the path that are not self-issued.
func checkAuthority(c *x509.Certificate, who string, below int) Check {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return Check{"authority", Refused, clauseNotCA, who + " is no certification authority"}
	case (c.MaxPathLen > 0 || c.MaxPathLenZero) && below > c.MaxPathLen:
		return Check{"authority", Refused, clausePathLength,
			fmt.Sprintf("%s allows %d authorities below it; the path has %d", who, c.MaxPathLen, below)}
	case has(c, oidKeyUsage) && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return Check{"authority", Refused, clauseCertSign, who + " may not sign certificates"}
	}
	return Check{"authority", Trusted, clauseNotCA, who + " may issue certificates"}
}

// selfIssued is RFC 5280 §6.1: the same name in Subject and Issuer. It says nothing of the signature.
func selfIssued(c *x509.Certificate) bool { return sameName(c.RawSubject, c.RawIssuer) }
