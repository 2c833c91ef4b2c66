// Package smtpd is the MX listener and, with Options.Auth, the submission listener: it takes mail from other servers, or from the mail
// programs of our own accounts, and hands it to Options.Accept.
//
// It follows RFC 5321 as a receiver, with PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SIZE (RFC 1870), ENHANCEDSTATUSCODES
// (RFC 2034), STARTTLS (RFC 3207) and CHUNKING (RFC 3030); RFC 3848 names the protocol in the Received field. Submission is RFC 6409 with
// AUTH PLAIN (RFC 4954, RFC 4616) under TLS alone, by STARTTLS or from the first byte (RFC 8314). Who has signed in sends as himself: DIR-46.
//
// A message is ours when Accept has returned without an error, and only then is 250 said; when that reply cannot be written any
// more, nothing is undone (RFC 5321 §6.1: better twice than lost). What package smtp refuses as a line end closes the session.
//
// What a sender wishes to be told (NOTIFY, ORCPT, RET and ENVID of RFC 3461) is handed on with the envelope by a submission server, which
// announces DSN.
//
// It departs from its documents: an MX reads the parameters of RFC 3461, hands on ENVID alone and does not announce DSN, for it owes strangers
// no report in clear (Direct 3); text sent ahead of the replies to EHLO, STARTTLS, AUTH and DATA closes the session (RFC 2920 §3.1 has these end a
// group); HELP and VRFY say nothing of use (RFC 5321 §7.3), EXPN is not there; a header that is none, with octets over 127 or with two From
// fields is refused here, since servers further on would read it each in its own way; the Received field has no "for" (RFC 5321
// §7.2).
package smtpd
