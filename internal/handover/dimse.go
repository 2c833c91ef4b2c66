package handover

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
)

// DIMSE gives to a C-STORE SCP. An instance is offered in its own transfer syntax alone: nothing is converted.
type DIMSE struct{ Client *dimse.Client }

// Give sends all by as few associations as can be. Where none can be had, nothing is known of those that remain.
func (t DIMSE) Give(ctx context.Context, all []fileset.Content, told func(int, Outcome) error, moved func() error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var ended error
	end := func(err error) error {
		if err != nil && ended == nil {
			ended = err
			stop(err)
		}
		return err
	}
	var items []dimse.Item
	for _, x := range all {
		items = append(items, dimse.Item{
			Instance: dimse.Instance{SOPClass: x.SOPClass, SOPInstance: x.SOPInstance, TransferSyntax: x.TransferSyntax},
			Open: func() (io.ReadCloser, error) {
				f, err := x.Open()
				return &telling{f, func() error { return end(moved()) }}, err
			}})
	}
	t.Client.Store(ctx, items, func(i int, r dimse.Result) {
		switch {
		case ended != nil, ctx.Err() != nil:
		case nowhere(r.Err):
			end(plain(r.Err))
		default:
			end(told(i, result(r)))
		}
	})
	if ended != nil {
		return ended
	}
	return ctx.Err()
}

// nowhere says that there is no association, and so nothing to know of any instance that remains.
func nowhere(err error) bool {
	refused := dimse.Reject(0)
	return err != nil && (errors.As(err, &refused) || !errors.Is(err, dimse.ErrNotAccepted) && !errors.Is(err, dimse.ErrSource) &&
		!errors.Is(err, dimse.ErrLost) && !errors.Is(err, dimse.ErrTimeout) && !errors.Is(err, dimse.ErrProtocol))
}

// result is what became of one instance. The comment of the other side is left out: it may name patients.
func result(r dimse.Result) Outcome {
	switch {
	case errors.Is(r.Err, dimse.ErrSource), r.Err != nil && r.Retry(): // what we cannot read now nobody has refused
		return Outcome{Later, plain(r.Err).Error()}
	case r.Err != nil:
		return Outcome{Refused, plain(r.Err).Error()}
	case r.Status == dimse.Success:
		return Outcome{Fate: Taken}
	case r.Status.Stored(), r.Status == dimse.DuplicateInstance: // it has it
		return Outcome{Warned, r.Status.String()}
	case r.Retry():
		return Outcome{Later, r.Status.String()}
	}
	return Outcome{Refused, r.Status.String()}
}

// plain leaves places out of an error of the network.
func plain(err error) error {
	var at *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return errors.New("dimse: there is no such host, or nobody knows it now")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("dimse: no connection: nobody listens there")
	case errors.As(err, &at) && at.Timeout():
		return dimse.ErrTimeout
	case errors.As(err, &at):
		return errors.New("dimse: " + at.Op + ": " + reason(at.Err))
	}
	return err
}

func reason(err error) string {
	if no := syscall.Errno(0); errors.As(err, &no) {
		return no.Error()
	}
	return "no connection, or it broke off"
}

// Reach asks by C-ECHO.
func (t DIMSE) Reach(ctx context.Context) error {
	if err := t.Client.Echo(ctx); err != nil {
		return plain(err)
	}
	return nil
}

// telling says of each read that there is one.
type telling struct {
	io.ReadCloser
	moved func() error
}

func (t *telling) Read(p []byte) (int, error) {
	if err := t.moved(); err != nil {
		return 0, err
	}
	return t.ReadCloser.Read(p)
}
