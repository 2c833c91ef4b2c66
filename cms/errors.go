package cms

import (
	"errors"
	"fmt"
)

// What callers branch on. Every other error comes from the reader or writer that was passed in, and is wrapped.
var (
	// ErrSyntax: no CMS, cut, malformed, bytes after the end, or BER where DER is required.
	ErrSyntax = errors.New("cms: malformed")
	// ErrLimit: well-formed as far as read, and over a limit of type Limits.
	ErrLimit = errors.New("cms: over a limit")
	// ErrContentType: CMS, but not of the type asked for.
	ErrContentType = errors.New("cms: other content type")
	// ErrEmbedded: SignedData that carries its content inside (DIR-15).
	ErrEmbedded = errors.New("cms: the signature carries its own content")
	// ErrDetached: SignedData that was to carry its content inside, and does not.
	ErrDetached = errors.New("cms: the content is not inside the signature")
	// ErrCertificates: SignedData that only transports certificates: nobody signs anything (RFC 8551 §3.2.2, certs-only).
	ErrCertificates = errors.New("cms: certificates alone")
	// ErrAlgorithm: an algorithm, parameter or key size that is not accepted here.
	ErrAlgorithm = errors.New("cms: algorithm not accepted")

	// ErrAttributes: the attributes of a signer break RFC 5652 §5.3, §11 or RFC 6211.
	ErrAttributes = errors.New("cms: signed attributes")
	// ErrDigest: the content is not what was signed.
	ErrDigest = errors.New("cms: message digest differs")
	// ErrSignature: the signature was not made by this certificate's key over these attributes.
	ErrSignature = errors.New("cms: signature does not verify")

	// ErrNoKey: no RecipientInfo names one of the certificates given.
	ErrNoKey = errors.New("cms: no key for this message")
	// ErrDecrypt is the one answer to a wrong key, bad padding, a cut and everything else that goes wrong after the first
	// byte of ciphertext. It is never wrapped, so that it says nothing more (RFC 3218 §2.3).
	ErrDecrypt = errors.New("cms: the message does not decrypt")
	// ErrUnavailable is for the Key of a Recipient to wrap when it cannot be used at the moment: ReadEnveloped hands it on, and
	// the message can be tried again later. Every other error of a Key ends as ErrDecrypt.
	ErrUnavailable = errors.New("cms: private key unavailable")
)

// syntax, limit and the like say what was being read. No text from the input is ever repeated.
func syntax(what string) error     { return fmt.Errorf("%w: %s", ErrSyntax, what) }
func limit(what string) error      { return fmt.Errorf("%w: %s", ErrLimit, what) }
func algorithm(what string) error  { return fmt.Errorf("%w: %s", ErrAlgorithm, what) }
func attributes(what string) error { return fmt.Errorf("%w: %s", ErrAttributes, what) }
