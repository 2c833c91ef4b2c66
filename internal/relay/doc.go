// Package relay is the outgoing side of SMTP: it finds the servers of a destination and hands a sealed message over, byte for byte.
//
// It follows RFC 5321 as a client, with §5.1 for the choice of servers and §4.5.3.2 for patience, RFC 7505 (null MX), PIPELINING
// (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152) and STARTTLS (RFC 3207), by default opportunistic (RFC 7435).
//
// A message is never changed on the way: no conversion to 7 bits (RFC 6152 §3 would allow it), no mended line ends. What a server
// cannot take as it is counts as refused. When the reply to the final dot is lost, the message is tried again later: better twice
// than lost (RFC 5321 §4.5.3.2.6, RFC 1047).
//
// It departs from RFC 5321: a 5yz greeting other than 521 and 556 only puts the host aside (as for a server that is down), a 552 to RCPT is
// temporary (§4.5.3.1.10 asks for that), QUIT is sent without awaiting its reply, and a delivery as a whole has an end
// (Timeouts.Delivery), however much patience §4.5.3.2 asks for at each step.
package relay
