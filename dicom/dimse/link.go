package dimse

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is one end of a transport connection. It is for one goroutine, but for interrupt.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	own  int // longest P-DATA-TF that we take
	peer int // longest one that the other side takes

	left  uint32 // octets of the P-DATA-TF under way that follow
	value uint32 // of these, octets of the fragment under way
	id    byte   // its presentation context
	flags byte   // its message control header
	empty int    // fragments in a row that carried nothing

	mu   sync.Mutex
	why  error // what interrupted
	torn bool  // a PDU was begun and not ended: nothing more can be said
}

func newLink(conn net.Conn, own int) *link {
	return &link{conn: conn, in: bufio.NewReaderSize(conn, segment), own: own}
}

// interrupt ends what blocks, with err.
func (l *link) interrupt(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == nil {
		l.why = err
		l.conn.SetDeadline(time.Unix(1, 0)) // long past
	}
}

// resume lets the connection be used again after an interruption, for the last word.
func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = nil
	l.conn.SetDeadline(time.Time{})
}

// within does f, which reads or writes, and interrupts it after d.
func (l *link) within(d time.Duration, f func() error) error {
	timer := time.AfterFunc(d, func() { l.interrupt(ErrTimeout) })
	err := f()
	timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil { // also where f was faster by a hair: the connection is of no more use
		return l.why
	}
	return lost(err)
}

// until interrupts when ctx ends; stop ends the watch.
func (l *link) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { l.interrupt(context.Cause(ctx)) })
}

// lost makes the errors of a network what callers branch on. What the network says names addresses, so it is not repeated.
func lost(err error) error {
	var no Reject
	if err == nil || errors.As(err, &no) || errors.Is(err, ErrProtocol) || errors.Is(err, ErrTLS) || errors.Is(err, ErrLost) || errors.Is(err, errReleased) {
		return err
	}
	return ErrLost
}

// errReleased is an A-RELEASE-RQ where a message could have come.
var errReleased = errors.New("dimse: release")

// write writes one PDU.
func (l *link) write(b []byte) error {
	n, err := l.conn.Write(b)
	if n < len(b) {
		l.torn = true
	}
	return err
}

// header reads the header of a PDU.
func (l *link) header() (kind byte, length uint32, err error) {
	var h [pduHeader]byte
	if _, err := io.ReadFull(l.in, h[:]); err != nil {
		return 0, 0, err
	}
	return h[0], binary.BigEndian.Uint32(h[2:]), nil
}

// body reads what a PDU holds. Memory grows with what is there.
func (l *link) body(length uint32, most int) ([]byte, error) {
	if int64(length) > int64(most) {
		return nil, broken(invalidParam, "a PDU longer than anybody needs")
	}
	b, err := io.ReadAll(io.LimitReader(l.in, int64(length)))
	if err == nil && uint32(len(b)) < length {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// fragment moves on to the next fragment of a message (PS3.8 §9.3.5.1). A release or an abort in its place is an error.
func (l *link) fragment() error {
	if l.left == 0 {
		if err := l.data(); err != nil {
			return err
		}
	}
	var h [pdvHeader]byte
	if l.left < pdvHeader {
		return broken(invalidParam, "a fragment is cut")
	}
	if _, err := io.ReadFull(l.in, h[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < 2 || n > l.left-4 {
		return broken(invalidParam, "a fragment is longer than what holds it")
	}
	l.left -= 4 + n
	l.value, l.id, l.flags = n-2, h[4], h[5]
	if l.empty++; l.value > 0 {
		l.empty = 0
	} else if l.empty > maxEmpty {
		return broken(invalidParam, "fragments that carry nothing")
	}
	return nil
}

// data reads the header of the next P-DATA-TF.
func (l *link) data() error {
	kind, length, err := l.header()
	if err != nil {
		return err
	}
	switch kind {
	case pduData:
		if int64(length) > int64(l.own) {
			return broken(invalidParam, "a PDU longer than was agreed")
		}
		l.left = length
		return nil
	case pduRelease:
		if _, err := l.body(length, maxComment); err != nil {
			return err
		}
		return errReleased
	case pduAbort:
		return l.aborted(length)
	case pduRequest, pduAccept, pduReject, pduReleased:
		return broken(unexpectedPDU, "a PDU out of turn")
	}
	return broken(unrecognizedPDU, "a PDU of no known type")
}

// aborted reads an A-ABORT.
func (l *link) aborted(length uint32) error {
	b, err := l.body(length, maxComment)
	if err != nil || len(b) < 4 {
		return ErrLost
	}
	return Abort{b[2], b[3]}
}

// order reads a command set whole, the first fragment of which is under way.
func (l *link) order() (command, error) {
	var b []byte
	for id := l.id; ; {
		if l.flags&controlOrder == 0 || l.id != id {
			return command{}, broken(unexpectedParam, "data where a command should be")
		}
		if len(b)+int(l.value) > maxCommand {
			return command{}, broken(invalidParam, "a command longer than anybody needs")
		}
		at := len(b)
		b = append(b, make([]byte, l.value)...)
		if _, err := io.ReadFull(l.in, b[at:]); err != nil {
			return command{}, err
		}
		if l.flags&controlLast != 0 {
			return readCommand(b)
		}
		if err := l.fragment(); err != nil {
			return command{}, unfinished(err)
		}
	}
}

// unfinished makes a release in the middle of a message what it is.
func unfinished(err error) error {
	if errors.Is(err, errReleased) {
		return broken(unexpectedPDU, "a release in the middle of a message")
	}
	return err
}

// send writes a command set in fragments.
func (l *link) send(id byte, c command) error {
	b := c.compose()
	for first := true; first || len(b) > 0; first = false {
		n := min(len(b), l.room())
		flags := controlOrder
		if n == len(b) {
			flags |= controlLast
		}
		if err := l.write(append(fragmentHeader(make([]byte, 0, n+pduHeader+pdvHeader), id, flags, n), b[:n]...)); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// room is what one fragment carries: an even number of octets (PS3.8 Annex E.1), as many as the other side takes.
func (l *link) room() int { return (l.peer - pdvHeader) &^ 1 }

// fragmentHeader begins a P-DATA-TF that holds one fragment of n octets.
func fragmentHeader(b []byte, id, flags byte, n int) []byte {
	b = append(b, pduData, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(n+pdvHeader))
	b = binary.BigEndian.AppendUint32(b, uint32(n+2))
	return append(b, id, flags)
}

// part ends the association from our side where err asks for it: with an A-ABORT, unless the other side is gone.
func (l *link) part(err error, patience time.Duration) {
	var b *breach
	var a Abort
	switch {
	case errors.As(err, &a), errors.Is(err, ErrLost), errors.Is(err, ErrTLS), l.torn:
	case errors.As(err, &b):
		l.farewell(pdu(pduAbort, []byte{0, 0, byProvider, b.reason}), patience)
	default:
		l.farewell(pdu(pduAbort, []byte{0, 0, byUser, 0}), patience)
	}
	l.conn.Close()
}

// farewell says the last word and waits until the other side has closed (PS3.8 §9.1.5, state 13), so that it can be read.
func (l *link) farewell(b []byte, patience time.Duration) {
	l.resume()
	_ = l.within(patience, func() error {
		if err := l.write(b); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, l.in, maxDrained)
		return err
	})
}
