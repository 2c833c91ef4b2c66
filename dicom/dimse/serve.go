package dimse

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"carepost/dicom"
)

// patience is how long a last word may take, where nothing hangs on it.
const patience = 5 * time.Second

// session is an association that the Server serves.
type session struct {
	*link
	s      *Server
	limits Limits
	who    Association
	open   map[byte]pcontext
	late   context.Context // ends what ctx leaves time to end
}

// one serves one connection to its end.
func (s *Server) one(ctx, late context.Context, conn net.Conn, addr netip.Addr, room bool, limits Limits) {
	x := &session{link: newLink(conn, limits.PDU), s: s, limits: limits, who: Association{RemoteIP: addr}, late: late}
	stop := x.until(late)
	defer stop()
	err := x.establish(room)
	if err == nil {
		err = x.messages(ctx)
	}
	var no *refusal
	switch {
	case errors.Is(err, errReleased):
		x.farewell(pdu(pduReleased, make([]byte, 4)), min(patience, limits.Artim))
		x.conn.Close()
		err = nil
	case errors.As(err, &no):
		x.conn.Close()
		err = no.error
	default:
		x.part(err, min(patience, limits.Artim))
	}
	if s.Ended != nil {
		s.Ended(x.who, err)
	}
}

// establish reads the A-ASSOCIATE-RQ and answers it (PS3.8 §9.2, AE-5 to AE-8).
func (x *session) establish(room bool) error {
	var a associate
	err := x.within(x.limits.Artim, func() error {
		if err := x.secure(); err != nil {
			return err
		}
		return x.request(&a)
	})
	if err != nil {
		return err
	}
	if err := x.judge(&a, room); err != nil {
		x.farewell(pdu(pduReject, []byte{0, byte(err.reject >> 16), byte(err.reject >> 8), byte(err.reject)}), min(patience, x.limits.Artim))
		return err
	}
	x.peer = agreed(a.length)
	answers, open := x.s.negotiate(&a)
	x.open = open
	return x.within(x.limits.Artim, func() error { return x.write(x.s.accept(&a, answers, open, x.limits.PDU)) })
}

// secure does the handshake of TLS, where there is TLS. What keeps it from being is told without names of certificates.
func (x *session) secure() error {
	c, ok := x.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	err := c.Handshake()
	var plain tls.RecordHeaderError
	var op *net.OpError
	switch unknown, invalid := (x509.UnknownAuthorityError{}), (x509.CertificateInvalidError{}); {
	case err == nil:
		return nil
	case errors.As(err, &plain):
		return fmt.Errorf("%w: the caller does not speak TLS", ErrTLS)
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		return fmt.Errorf("%w: the caller refused: %v", ErrTLS, op.Err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: the caller's certificate is of an authority that is not named", ErrTLS)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: the caller's certificate has expired, or is not valid yet", ErrTLS)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("%w: the caller's certificate is not valid for this", ErrTLS)
	case strings.HasPrefix(err.Error(), "tls: "):
		return fmt.Errorf("%w: %v", ErrTLS, err)
	}
	return err
}

// agreed is how long PDUs to a peer may be. Whoever takes any length (0) gets no endless ones.
func agreed(length uint32) int {
	if length == 0 || length > maxPDU {
		return maxPDU
	}
	return int(length)
}

func (x *session) request(a *associate) error {
	kind, length, err := x.header()
	switch {
	case err != nil:
		return err
	case kind == pduAbort:
		return x.aborted(length)
	case kind > pduAbort, kind == 0:
		return broken(unrecognizedPDU, "no association was asked for")
	case kind != pduRequest:
		return broken(unexpectedPDU, "no association was asked for")
	}
	b, err := x.body(length, maxRequest)
	if err != nil {
		return err
	}
	if err := a.read(b); err != nil {
		return err
	}
	if a.length != 0 && a.length < minPeerPDU {
		return broken(invalidParam, "a maximum length of next to nothing")
	}
	return nil
}

// refusal is an association that was refused, and why.
type refusal struct {
	reject Reject
	error
}

func (r *refusal) Unwrap() error { return r.error }

// judge says whether the association may be.
func (x *session) judge(a *associate, room bool) *refusal {
	no := func(r Reject) *refusal { return &refusal{r, r} }
	if a.version&1 == 0 {
		return no(UnknownVersion)
	}
	if a.application != applicationContext {
		return no(UnknownContext)
	}
	if !room {
		return no(TooMany)
	}
	calling, err := ParseAETitle(a.calling)
	if err != nil {
		return no(UnknownCalling)
	}
	called, err := ParseAETitle(a.called)
	if err != nil || x.s.AETitle != "" && x.s.AETitle != called {
		return no(UnknownCalled)
	}
	x.who.Calling, x.who.Called = calling, called
	if c, ok := x.conn.(*tls.Conn); ok {
		if chains := c.ConnectionState().VerifiedChains; len(chains) > 0 {
			x.who.Certificate = chains[0][0]
		}
	}
	if x.s.Admit == nil {
		return nil
	}
	err = x.s.Admit(x.who)
	if err == nil {
		return nil
	}
	r := NoReason
	errors.As(err, &r)
	return &refusal{r, err}
}

// messages serves one message after the other until the association ends.
func (x *session) messages(ctx context.Context) error {
	for {
		if err := x.await(ctx); err != nil {
			return err
		}
		var c command
		err := x.within(x.limits.Idle, func() (err error) {
			c, err = x.order()
			return err
		})
		if err != nil {
			return err
		}
		if err := x.serve(c); err != nil {
			return err
		}
	}
}

// await waits for the first fragment of a message. Here, and only here, the Server's end is an end at once.
func (x *session) await(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { x.interrupt(errStopping) })
	err := x.within(x.limits.Idle, x.fragment)
	if !stop() && err == nil { // it began in the last moment
		return errStopping
	}
	return err
}

// serve does what a command asks for.
func (x *session) serve(c command) error {
	at, ok := x.open[x.id]
	switch {
	case !ok:
		return broken(unexpectedParam, "a presentation context that was not accepted")
	case c.field&response != 0:
		return broken(unexpectedParam, "an answer to nothing")
	case c.field == cCancel && !c.data:
		return nil // PS3.7 §9.3.2.3: what it names is over
	}
	reply := command{field: c.field | response, id: c.id, class: c.class, instance: c.instance}
	id := x.id
	var data *dataReader
	if c.data {
		data = &dataReader{x: x, id: id}
	}
	switch {
	case c.field == cEcho && at.class == Verification && !c.data:
	case c.field == cStore && at.class != Verification && c.data:
		reply.status = x.store(c, at, data)
	default:
		reply.status = UnrecognizedOperation
	}
	if data != nil {
		if err := data.drain(); err != nil {
			return err
		}
	}
	return x.within(x.limits.Idle, func() error { return x.send(id, reply) })
}

// store gives an instance to the Handler.
func (x *session) store(c command, at pcontext, data *dataReader) Status {
	switch {
	case c.class != at.class:
		return ClassNotSupported
	case !dicom.ValidUID(c.instance):
		return InvalidInstance
	}
	i := Instance{c.class, c.instance, at.syntax}
	r := bufio.NewReaderSize(data, segment)
	return x.s.Handler.Store(x.late, x.who, i, io.MultiReader(bytes.NewReader(metaHeader(i, x.who.Calling)), r))
}

// dataReader reads the data set of a message. Each Read fills what it is given, or ends: so one silence is bounded, and a trickle too.
type dataReader struct {
	x     *session
	id    byte
	begun bool
	err   error // io.EOF after the last fragment
}

func (d *dataReader) Read(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	err = d.x.within(d.x.limits.Idle, func() error {
		for n < len(p) && d.err == nil {
			m, err := d.more(p[n:])
			n += m
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.err = err
	}
	if n > 0 && d.err == io.EOF {
		return n, nil
	}
	return n, d.err
}

// more reads from the fragment under way, or moves on to the next.
func (d *dataReader) more(p []byte) (int, error) {
	x := d.x
	if d.begun && x.value > 0 {
		n, err := x.in.Read(p[:min(uint32(len(p)), x.value)])
		x.value -= uint32(n)
		return n, err
	}
	if d.begun && x.flags&controlLast != 0 {
		d.err = io.EOF
		return 0, nil
	}
	if err := x.fragment(); err != nil {
		return 0, unfinished(err)
	}
	d.begun = true
	if x.flags&controlOrder != 0 || x.id != d.id {
		return 0, broken(unexpectedParam, "a command where data should be")
	}
	return 0, nil
}

// drain reads what the Handler left.
func (d *dataReader) drain() error {
	b := make([]byte, segment)
	for d.err == nil {
		_, _ = d.Read(b)
	}
	if d.err == io.EOF {
		return nil
	}
	return d.err
}
