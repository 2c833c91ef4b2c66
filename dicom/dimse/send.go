package dimse

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"carepost/dicom"
)

// Result is what became of an instance.
type Result struct {
	Status  Status // means something where Err is nil
	Comment string // of the other side, for people; may name patients
	Err     error  // no answer: ErrNotAccepted, ErrSource, ErrLost, ErrTimeout, a Reject or what kept the association from being
}

// Stored says that the other side has the instance.
func (r Result) Stored() bool { return r.Err == nil && r.Status.Stored() }

// Retry says that the same instance may be stored another time.
func (r Result) Retry() bool {
	var no Reject
	switch {
	case r.Err == nil:
		return r.Status.Temporary()
	case errors.As(r.Err, &no):
		return no.Temporary()
	}
	return !errors.Is(r.Err, ErrNotAccepted) && !errors.Is(r.Err, ErrSource)
}

// Store sends one instance (C-STORE): data holds its data set, without file meta information, as it is. An error other than
// ErrNotAccepted ends the link.
func (l *Link) Store(i Instance, data io.Reader) (Status, string, error) {
	id, ok := l.contexts[Context{i.SOPClass, i.TransferSyntax}]
	switch {
	case ok:
	case l.other[i.SOPClass]:
		return 0, "", fmt.Errorf("%w: its transfer syntax is not", ErrNotAccepted)
	default:
		return 0, "", fmt.Errorf("%w: its class is not", ErrNotAccepted)
	}
	c := command{field: cStore, id: l.next(), class: i.SOPClass, instance: i.SOPInstance, data: true}
	if err := l.within(l.limits.Answer, func() error { return l.send(id, c) }); err != nil {
		return 0, "", l.gone(err)
	}
	if err := l.stream(id, i.TransferSyntax, data); err != nil {
		return 0, "", l.gone(err)
	}
	var answer command
	err := l.within(l.limits.Answer, func() (err error) {
		answer, err = l.answer(id, cStore, i.SOPInstance)
		return err
	})
	if err != nil {
		return 0, "", l.gone(err)
	}
	return answer.status, answer.comment, nil
}

// gone ends the link. Where the other side broke off while we wrote, it may have said why.
func (l *Link) gone(err error) error {
	if errors.Is(err, ErrLost) {
		l.resume()
		_ = l.within(patience, func() error {
			kind, length, e := l.header()
			if e == nil && kind == pduAbort {
				err = l.aborted(length)
			}
			return e
		})
	}
	l.end(err)
	return err
}

// stream sends a data set in fragments of even length (PS3.8 Annex E.1).
func (l *Link) stream(id byte, syntax string, data io.Reader) error {
	room := min(l.room(), maxPDU)
	in := bufio.NewReaderSize(data, 4<<10)
	b := fragmentHeader(make([]byte, 0, pduHeader+pdvHeader+room), id, 0, 0)[:pduHeader+pdvHeader+room]
	for {
		n, err := io.ReadFull(in, b[pduHeader+pdvHeader:])
		if n == 0 && errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it has no data set", ErrSource)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.Join(ErrSource, err)
		}
		last := err != nil
		if !last {
			_, err = in.Peek(1)
			if err != nil && !errors.Is(err, io.EOF) {
				return errors.Join(ErrSource, err)
			}
			last = err != nil
		}
		if n%2 == 1 {
			if syntax != dicom.Deflated {
				return fmt.Errorf("%w: its data set has an odd length", ErrSource)
			}
			b[pduHeader+pdvHeader+n] = 0 // PS3.5 §A.5
			n++
		}
		var flags byte
		if last {
			flags = controlLast
		}
		fragmentHeader(b[:0], id, flags, n)
		if err := l.within(l.limits.Answer, func() error { return l.write(b[:pduHeader+pdvHeader+n]) }); err != nil || last {
			return err
		}
	}
}
