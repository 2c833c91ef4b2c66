// Package admind is the one way into an installation for those who run it: HTTP/1.1 with JSON over the unix socket
// data/admin.sock, and the Go client that the commands use. Where no gateway runs the same handler serves the command's own
// process over a socket pair (Pair), so that there is one code path and one set of answers.
//
// Who asks is told by the kernel (SO_PEERCRED): root and the user that the gateway runs as are served, nobody else. Every act
// is audited under "operator:UID" by the service that does it. Bodies stream both ways; what takes long answers with one JSON
// value a line, progress first, the result last.
//
// It follows RFC 9110 and RFC 9112 (HTTP), RFC 8259 (JSON), RFC 9457 in spirit: an error is one object with a code for
// programs, the clause that refuses, and a reason for people. It departs from them in that errors have the type
// application/json, and that there is no content negotiation.
package admind
