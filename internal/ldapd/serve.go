package ldapd

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// Operations: the tags of requests and of their responses (RFC 4511 §4.2 to §4.12).
const (
	bindRequest     = 0x60
	bindResponse    = 0x61
	unbindRequest   = 0x42
	searchRequest   = 0x63
	searchEntry     = 0x64
	searchDone      = 0x65
	modifyRequest   = 0x66
	addRequest      = 0x68
	delRequest      = 0x4a
	modDNRequest    = 0x6c
	compareRequest  = 0x6e
	abandonRequest  = 0x50
	extendedRequest = 0x77
	extendedAnswer  = 0x78
	tagControls     = 0xa0
)

const (
	startTLS              = "1.3.6.1.4.1.1466.20037"
	noticeOfDisconnection = "1.3.6.1.4.1.1466.20036"
)

// message is an LDAPMessage (RFC 4511 §4.1.1).
type message struct {
	id       int
	op       byte
	content  body
	critical bool // a control is there that must not be passed over
}

// converse answers the requests of one connection, one after the other, until it idles, errs or has lasted long enough. wait returns
// when so many more operations are due.
func (s *Server) converse(ctx context.Context, conn net.Conn, wait func(n int)) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	end := time.Now().Add(s.options.Lifetime)
	in, out := bufio.NewReaderSize(conn, 1<<10), bufio.NewWriterSize(conn, 4<<10)
	var buf [maxMessage]byte
	for {
		next := time.Now().Add(s.options.Idle)
		if next.After(end) {
			next = end
		}
		conn.SetDeadline(next) // for the request, and the writing of its answer
		raw, err := readMessage(in, &buf)
		var m message
		if err == nil {
			m, err = parseMessage(raw)
		}
		if errors.Is(err, errSyntax) { // RFC 4511 §4.1.1
			out.Write(notice())
			out.Flush()
		}
		if err != nil || m.op == unbindRequest || ctx.Err() != nil {
			return
		}
		wait(1)
		conn.SetDeadline(time.Now().Add(s.options.Idle))
		if err := s.answer(m, out, wait); err != nil {
			out.Write(notice())
			out.Flush()
			return
		}
		if out.Flush() != nil {
			return
		}
	}
}

// parseMessage reads the frame of a request.
func parseMessage(b body) (m message, err error) {
	if m.id, err = b.number(tagInteger); err != nil {
		return m, err
	}
	if m.op, m.content, err = b.next(); err != nil {
		return m, err
	}
	if len(b) > 0 {
		controls, err := b.want(tagControls)
		if err != nil {
			return m, err
		}
		for len(controls) > 0 {
			c, err := controls.want(tagSequence)
			if err != nil {
				return m, err
			}
			if _, err := c.text(); err != nil {
				return m, err
			}
			if len(c) > 0 && c[0] == tagBoolean {
				critical, err := c.boolean()
				if err != nil {
					return m, err
				}
				m.critical = m.critical || critical
			}
		}
	}
	return m, nil
}

// answer carries m out. An error ends the connection. wait is asked for what a search costs besides one operation.
func (s *Server) answer(m message, out *bufio.Writer, wait func(n int)) error {
	say := func(op byte, r result, more ...[]byte) {
		out.Write(m.reply(encode(op, append(r.encode(), more...)...)))
	}
	if m.critical && m.op != abandonRequest {
		if done, ok := responses[m.op]; ok {
			say(done, result{code: unavailableCriticalExtension})
			return nil
		}
	}
	switch m.op {
	case bindRequest:
		r, err := bind(m.content)
		if err != nil {
			return err
		}
		say(bindResponse, r)
	case searchRequest:
		q, err := parseSearch(m.content)
		if errors.Is(err, errLimit) {
			say(searchDone, result{code: adminLimitExceeded})
			return nil
		} else if err != nil {
			return err
		}
		if n := len(q.named); n > 1 { // or a filter of many addresses would guess faster than the rate
			wait(n - 1)
		}
		r := s.tree.Load().search(q, func(n *node) { out.Write(m.reply(q.entry(n))) })
		say(searchDone, r)
	case modifyRequest, addRequest, delRequest, modDNRequest, compareRequest:
		say(responses[m.op], result{code: unwillingToPerform, text: "this directory is read only"})
	case abandonRequest: // what was asked before has been answered before
	case extendedRequest:
		oid, err := m.content.want(0x80)
		if err != nil {
			return err
		}
		r := result{code: protocolError, text: "no extended operation is known here"}
		if string(oid) == startTLS { // RFC 4511 §4.14.2: not recognised
			r.text = "TLS is not offered: everything here is public and signed"
		}
		say(extendedAnswer, r)
	default:
		return errSyntax
	}
	return nil
}

var responses = map[byte]byte{
	bindRequest: bindResponse, searchRequest: searchDone, modifyRequest: 0x67, addRequest: 0x69, delRequest: 0x6b, modDNRequest: 0x6d,
	compareRequest: 0x6f, extendedRequest: extendedAnswer,
}

// bind knows nobody, and so lets nobody in but those without a name (RFC 4513 §5.1).
func bind(b body) (result, error) {
	version, err := b.number(tagInteger)
	if err != nil {
		return result{}, err
	}
	who, err := b.text()
	if err != nil {
		return result{}, err
	}
	how, secret, err := b.next()
	switch {
	case err != nil || len(b) > 0:
		return result{}, errSyntax
	case version != 3:
		return result{code: protocolError, text: "LDAP version 3, please"}, nil
	case how != 0x80:
		return result{code: authMethodNotSupported, text: "anonymous simple bind only"}, nil
	case len(secret) > 0:
		return result{code: invalidCredentials}, nil
	case strings.TrimSpace(who) != "": // RFC 4513 §5.1.2: a name without a password proves nothing
		return result{code: unwillingToPerform, text: "a bind without password is anonymous, without a name"}, nil
	}
	return result{}, nil
}

// reply puts an operation into a message.
func (m message) reply(op []byte) []byte { return encode(tagSequence, integer(tagInteger, m.id), op) }

// encode writes an LDAPResult.
func (r result) encode() [][]byte {
	return [][]byte{integer(tagEnum, r.code), octets(r.matched), octets(r.text)}
}

// entry writes a SearchResultEntry.
func (s search) entry(n *node) []byte {
	var list [][]byte
	for _, a := range s.selected(n) {
		var values [][]byte
		for _, v := range a.values {
			if !s.typesOnly {
				values = append(values, octets(v))
			}
		}
		list = append(list, encode(tagSequence, octets(a.name), encode(tagSet, values...)))
	}
	return encode(searchEntry, octets(n.dn), encode(tagSequence, list...))
}

// notice says that the connection ends (RFC 4511 §4.4.1).
func notice() []byte {
	r := result{code: protocolError, text: "that is no LDAP request"}
	return message{}.reply(encode(extendedAnswer, append(r.encode(), encode(0x8a, []byte(noticeOfDisconnection)))...))
}
