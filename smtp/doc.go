// Package smtp is the wire layer of SMTP for both sides: lines, replies, commands, and the framing of content.
//
// It follows RFC 5321 (SMTP), RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 2920 (PIPELINING), RFC 2034 and 3463 (enhanced status
// codes), RFC 3030 (CHUNKING), RFC 3461 (DSN parameters, xtext), RFC 3207 (STARTTLS), RFC 4954 (AUTH) and RFC 4616 (PLAIN).
//
// It is stricter than RFC 5321 where servers that read the same bytes differently have let messages be smuggled in: only CR LF
// ends a line; a CR or LF alone, or a NUL, in a command, a reply or in content ends the session, and nothing is kept (§2.3.8
// forbids sending them, §4.1.1.4 forbids to take them for an end of data). Content passes byte for byte; what cannot be sent as it
// stands is refused, never repaired.
//
// It departs from RFC 5321: source routes, address literals and domains of one label are refused (package addr), lines of
// content may be of any length, SMTPUTF8 and BINARYMIME are not taken. There is no I/O of its own, no clock and no state outside
// the values made by the caller.
package smtp
