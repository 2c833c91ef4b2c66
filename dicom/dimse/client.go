package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"carepost/dicom"
	"carepost/smtp"
)

// Dialer makes connections; a net.Dialer does.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks for associations with one application entity.
type Client struct {
	Address string // host:port
	Calling AETitle
	Called  AETitle
	Dialer  Dialer
	TLS     *tls.Config // authorities, and a certificate of ours where the other side wants one; nil = no TLS. PS3.15 §B.12 comes on top
	Limits  Limits
}

// Context is what a Client proposes: one class in one transfer syntax.
type Context struct{ SOPClass, TransferSyntax string }

// Link is an association of a Client. It is for one goroutine, and ends with Release or Abort.
type Link struct {
	*link
	limits   Limits
	contexts map[Context]byte // those that were accepted
	other    map[string]bool  // classes of which something was accepted, not what was wanted
	message  uint16
	stop     func() bool
}

// Associate asks for an association with contexts, 128 at most (PS3.8 §9.3.2). It lasts no longer than ctx. A refusal is a Reject.
func (c *Client) Associate(ctx context.Context, contexts []Context) (*Link, error) {
	limits := c.Limits.defaulted()
	if len(contexts) == 0 || len(contexts) > maxContexts {
		return nil, fmt.Errorf("dimse: an association has 1 to %d presentation contexts", maxContexts)
	}
	conn, err := c.connect(ctx, limits)
	if err != nil {
		return nil, err
	}
	l := &Link{link: newLink(conn, limits.PDU), limits: limits, contexts: map[Context]byte{}, other: map[string]bool{}}
	l.stop = l.until(ctx)
	if err := l.open(c, contexts); err != nil {
		l.end(err)
		return nil, err
	}
	return l, nil
}

// connect makes the transport connection. Its errors are those of the network, addresses and all, for the caller to cut.
func (c *Client) connect(ctx context.Context, limits Limits) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Artim)
	defer cancel()
	conn, err := c.Dialer.DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("dimse: no connection: %w", err)
	}
	if c.TLS == nil {
		return conn, nil
	}
	config := smtp.HardenTLS(c.TLS)
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(c.Address)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("dimse: no TLS: %w", err)
	}
	return secure, nil
}

// open negotiates.
func (l *Link) open(c *Client, contexts []Context) error {
	a := associate{called: string(c.Called), calling: string(c.Calling), length: uint32(l.limits.PDU)}
	ids := map[byte]Context{}
	for i, x := range contexts {
		id := byte(2*i + 1)
		ids[id] = x
		a.offers = append(a.offers, offer{id, x.SOPClass, []string{x.TransferSyntax}})
	}
	var ac associate
	err := l.within(l.limits.Artim, func() error {
		if err := l.write(a.compose(pduRequest)); err != nil {
			return err
		}
		return l.accepted(&ac)
	})
	if err != nil {
		return err
	}
	if ac.length != 0 && ac.length < minPeerPDU {
		return broken(invalidParam, "a maximum length of next to nothing")
	}
	l.peer = agreed(ac.length)
	for _, n := range ac.answers {
		x, asked := ids[n.id]
		switch {
		case !asked:
			return broken(invalidParam, "an answer to a presentation context that was not offered")
		case n.result == accepted && n.syntax == x.TransferSyntax:
			l.contexts[x] = n.id
			l.other[x.SOPClass] = true
		case n.result == noSyntax:
			l.other[x.SOPClass] = true
		}
	}
	return nil
}

// accepted reads the answer to an A-ASSOCIATE-RQ.
func (l *Link) accepted(ac *associate) error {
	kind, length, err := l.header()
	if err != nil {
		return err
	}
	switch kind {
	case pduAbort:
		return l.aborted(length)
	case pduAccept, pduReject:
	default:
		return broken(unexpectedPDU, "no answer to an association")
	}
	b, err := l.body(length, maxRequest)
	switch {
	case err != nil:
		return err
	case kind == pduAccept:
		return ac.read(b)
	case len(b) < 4:
		return broken(invalidParam, "a refusal is cut")
	}
	return Reject(b[1])<<16 | Reject(b[2])<<8 | Reject(b[3])
}

// Echo asks whether anybody is there (C-ECHO). The link must have been asked for with Verification.
func (l *Link) Echo() error {
	id, ok := l.contexts[Context{Verification, dicom.ImplicitLittle}]
	if !ok {
		return ErrNotAccepted
	}
	var answer command
	err := l.within(l.limits.Answer, func() (err error) {
		if err = l.send(id, command{field: cEcho, id: l.next(), class: Verification}); err == nil {
			answer, err = l.answer(id, cEcho, "")
		}
		return err
	})
	if err != nil {
		return err
	}
	if answer.status != Success {
		return fmt.Errorf("dimse: C-ECHO was answered %v", answer.status)
	}
	return nil
}

// next is the next Message ID, never 0 (PS3.7 §9.3.1.1 wants it distinct; some peers take 0 for none).
func (l *Link) next() uint16 {
	if l.message++; l.message == 0 {
		l.message = 1
	}
	return l.message
}

// answer reads the response to the operation under way, which is about an instance or none.
func (l *Link) answer(id byte, field uint16, instance string) (command, error) {
	if err := l.fragment(); err != nil {
		return command{}, unfinished(err)
	}
	if l.id != id {
		return command{}, broken(unexpectedParam, "an answer in another presentation context")
	}
	c, err := l.order()
	if err == nil && (c.field != field|response || c.id != l.message || c.data || c.instance != "" && c.instance != instance) {
		err = broken(unexpectedParam, "an answer to something else")
	}
	return c, err
}

// Release ends the association in order (PS3.8 §9.2). Whatever comes of it, the link is closed.
func (l *Link) Release() error {
	err := l.within(l.limits.Artim, func() error {
		if err := l.write(pdu(pduRelease, make([]byte, 4))); err != nil {
			return err
		}
		return l.released()
	})
	l.end(err)
	return err
}

// released waits for the A-RELEASE-RP. Where both ask at once (PS3.8 §9.2, states 9 and 11), the other's request is answered, once.
func (l *Link) released() error {
	for collided := false; ; collided = true {
		kind, length, err := l.header()
		switch {
		case err != nil:
			return err
		case kind == pduAbort:
			return l.aborted(length)
		case kind != pduReleased && (kind != pduRelease || collided):
			return broken(unexpectedPDU, "no answer to a release")
		}
		if _, err := l.body(length, maxComment); err != nil || kind == pduReleased {
			return err
		}
		if err := l.write(pdu(pduReleased, make([]byte, 4))); err != nil {
			return err
		}
	}
}

// Abort breaks the association off.
func (l *Link) Abort() { l.end(errAborted) }

var errAborted = errors.New("dimse: aborted")

// end closes the link, with a last word where err wants one.
func (l *Link) end(err error) {
	l.stop()
	var r Reject
	if err == nil || errors.As(err, &r) {
		l.conn.Close()
		return
	}
	l.part(err, min(patience, l.limits.Artim))
}

// Echo asks whether the application entity is there and speaks with us: an association, C-ECHO, release.
func (c *Client) Echo(ctx context.Context) error {
	l, err := c.Associate(ctx, []Context{{Verification, dicom.ImplicitLittle}})
	if err != nil {
		return err
	}
	if err := l.Echo(); err != nil {
		l.end(err)
		return err
	}
	return l.Release()
}
