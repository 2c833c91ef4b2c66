// Package trust judges certificates: may this certificate speak for this address, in the eyes of someone who keeps these
// anchors, at this moment?
//
// It follows Direct 4 (what is checked, and that a path ends at any anchor of the address, an intermediate one too), Direct 4.1
// (binding), Direct 4.2.2 (missing issuers are fetched by AIA before a path is given up), RFC 5280 §6 (path validation) and §5,
// §6.3 (CRLs), and RFC 8550 §4.4.2 (key usage). The answer is a Verdict: Trusted, Refused with the clause that refuses, or
// Undecided when there is no answer yet. A Verdict is no error, and neither Refused nor Undecided is ever trust.
//
// # Policies
//
//	rule                                        v1.2           v1.3           lenient
//	RSA key below 2048 bits in the path         refused        refused        refused
//	certificate signed with SHA-1 or MD5        refused        refused        refused
//	legacy emailAddress in the Subject differs  refused        ignored        refused
//	no revocation pointer in the certificate    a finding      a finding      a finding
//	pointer, but no fresh CRL or OCSP answer    by Revocation  by Revocation  by Revocation
//	extended key usage without emailProtection  a finding      a finding      a finding
//
// The column v1.3 is known at second hand only. What lenient adds (opaque and unwrapped messages, SHA-1 digests of messages) is
// decided where messages are read, not here.
//
// # Departures
//
// Stricter than RFC 5280: the anchor is itself checked for dates, signature and revocation (Direct 4.2.3), and above others must
// say that it is a CA (so no version 1 roots); SHA-1 signatures and short RSA keys are refused; name constraints compare local
// parts without regard to case (Direct 4.1.1), bind the legacy emailAddress of a Subject always, and refuse names of kinds that are not
// known here whether they are critical or not.
//
// Wider: a CRL made after the moment asked about answers for that moment too, while the certificate would still be on it; a CRL
// that is out of date still revokes.
//
// Narrower than RFC 5280: a CRL counts only when it is not indirect and signed by the very key that signed the certificate in question;
// removeFromCRL in a complete list revokes. An authority that signs its lists with another key than its certificates (RFC 5280 §6.3.3 (f))
// is one whose status is not known: that costs trust, and gives none. OCSP follows RFC 6960, with a nonce by POST (RFC 9654), else by GET
// without (RFC 5019): a responder that knows GET alone costs two fetches, once for as long as its answer is kept. An answer without our nonce
// counts by its dates. A status past its nextUpdate counts for the grace that the question gives, as a finding, where nobody at all has a newer
// one: everybody whom the certificate names is asked before. Extended key usage is not enforced (Direct 4.1.3 leaves it to policy). Names are compared by RFC 5280 §7.1 with Unicode's
// own case folding and compatibility forms; of RFC 4518 the rest, prohibited and unassigned characters, is not looked at. SmtpUTF8Mailbox
// (RFC 9598) is read for name constraints; no address with a local part beyond ASCII is a Direct address, so it binds to none.
//
// # Odd certificates
//
// Certificates that crypto/x509 refuses and package certificate reads are refused, with what is odd about them as the reason, or judged
// like others where a Question is Tolerant, with the oddity as a finding.
//
// # Hostile input
//
// A path has at most 8 certificates, a question costs at most 100 signature checks, 8 fetched issuers of 64 KiB each in 12 seconds,
// and 8 fetched CRLs of 32 MiB each in 24 seconds. URLs to fetch come from certificates that nobody has vouched for yet: the Fetcher must be guarded, and a
// caller judges a signer only after the signature over the message has been found good under the certificate's key.
//
// # What is remembered
//
// A Judge remembers good signatures, fetched issuers and CRLs for an hour, and for ten minutes paths that were found good. Time is that
// of the questions. A remembered path answers the same question alone, as long as no date in it has passed and every list and issuer
// in it is the one that would be used now: the verdict is the one that a new search would come to, evidence included.
package trust
