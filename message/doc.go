// Package message reads and writes internet messages and MIME entities by offsets: the source stays where it is, and what is
// signed, hashed or handed on is always the exact bytes that were transmitted.
//
// It follows RFC 5322 (fields, addresses, dates), RFC 2045 and RFC 2046 (MIME), RFC 2047 and RFC 2231 (other scripts in fields
// and parameters), RFC 2183 (Content-Disposition), RFC 6522 (multipart/report) and RFC 8551 §3.1.1 (canonical line ends).
//
// Everything read is taken for hostile: header sizes, numbers of fields and parts and the depth of the tree have hard limits
// (see Limits), the work is linear in the input and the memory does not grow with the bodies. What two readers may understand
// in two ways is refused with ErrAmbiguous, so that what was verified and what is shown cannot differ.
//
// It departs from these documents as follows.
//   - Line ends are CRLF or a bare LF, also mixed; a bare CR or a NUL in a header is an error.
//   - A field that shapes the entity (MIME-Version, Content-Type, Content-Transfer-Encoding, Content-Disposition, Content-ID)
//     may occur once, without white space before its colon; a parameter may occur once; the boundary parameter may not be
//     split or encoded in the manner of RFC 2231, nor may a comment stand in the type of a multipart. MIME-Version is not asked for.
//   - RFC 2046 §5.1.1 lets a delimiter be followed by anything on its line. Here it may be followed by white space alone; a line
//     that begins like an open delimiter and goes on otherwise is refused as ambiguous.
//   - A multipart may have no transfer encoding but 7bit, 8bit and binary (RFC 2045 §6.4), no boundary of an enclosing one, and
//     need not be closed (Part.Closed says whether it was).
//   - message/rfc822 is a leaf: its content is parsed by another call.
//   - RFC 2045 §6.8 ignores characters outside the base64 alphabet. Here only white space is, and padding must be exact.
//   - Address lists hold no routes, no domain literals and no obsolete forms; see package addr.
package message

import "errors"

// The errors that callers branch on; every error of this package wraps one of them, ErrNotReport, or what the reader or writer
// below returned.
var (
	ErrSyntax    = errors.New("message: malformed")
	ErrAmbiguous = errors.New("message: ambiguous")
	ErrLimit     = errors.New("message: over a limit")
	ErrEncoding  = errors.New("message: bad transfer encoding")
)

// fault is an error with its reason, and never with content.
type fault struct {
	is  error
	why string
}

func syntax(why string) error      { return fault{ErrSyntax, why} }
func ambiguous(why string) error   { return fault{ErrAmbiguous, why} }
func limit(why string) error       { return fault{ErrLimit, why} }
func badEncoding(why string) error { return fault{ErrEncoding, why} }

func (f fault) Error() string { return f.is.Error() + ": " + f.why }
func (f fault) Unwrap() error { return f.is }
