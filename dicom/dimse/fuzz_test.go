package dimse

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// tape is a connection whose other side says what is on it and listens to nothing.
type tape struct {
	io.Reader
	said int
}

func (c *tape) Write(b []byte) (int, error)      { c.said += len(b); return len(b), nil }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

func (c *tape) DialContext(context.Context, string, string) (net.Conn, error) { return c, nil }

// ATT-38: whatever a caller says: no more is stored than was sent, what is answered is bounded by it, and it ends.
func FuzzServer(f *testing.F) {
	echo := command{field: cEcho, id: 1, class: Verification}
	f.Add(joined(request(), fragmented(3, 3, echo.compose()), pdu(pduRelease, make([]byte, 4))))
	f.Add(joined(request(), storeRequest(1), fragmented(1, 0, make([]byte, 40)), fragmented(1, 2, make([]byte, 40)), storeRequest(2)))
	wide := associate{called: "A", calling: "B", window: true, roles: []roles{{testClass, 1, 1}}, storage: []string{testClass},
		offers: []offer{{1, testClass, []string{"1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"}}, {255, "1.2.3", nil}}}
	f.Add(wide.compose(pduRequest))
	f.Fuzz(func(t *testing.T, b []byte) {
		stored := 0
		s := &Server{Handler: storeFunc(func(i Instance, r io.Reader) Status {
			n, err := io.Copy(io.Discard, r)
			if err == nil {
				stored += int(n) - len(metaHeader(i, "ODD"))
			}
			return Success
		})}
		c := &tape{Reader: bytes.NewReader(b)}
		s.one(t.Context(), t.Context(), c, netip.Addr{}, true, s.Limits.defaulted())
		if stored > len(b) || c.said > 1000+20*len(b) {
			t.Errorf("of %d octets %d were stored, and %d answered", len(b), stored, c.said)
		}
	})
}

// ATT-38: whatever an archive answers: a Client comes to an end, and takes nothing for stored without an answer that says so.
func FuzzClient(f *testing.F) {
	i := Instance{testClass, testInstance, explicit}
	file := append(metaHeader(i, "X"), make([]byte, 64)...)
	ac := associate{answers: []answer{{1, 0, explicit}}, length: 1 << 14}
	yes := command{field: cStore | response, id: 1, class: testClass, instance: testInstance}
	f.Add(joined(ac.compose(pduAccept), fragmented(1, 3, yes.compose()), pdu(pduReleased, make([]byte, 4))))
	f.Add(pdu(pduReject, []byte{0, 1, 1, 7}))
	f.Add(joined(ac.compose(pduAccept), pdu(pduAbort, []byte{0, 0, 2, 6})))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Client{Address: "192.0.2.1:104", Calling: "A", Called: "B", Dialer: &tape{Reader: bytes.NewReader(b)}}
		r := c.Store(t.Context(), []Item{item10(file), item10(file)}, nil)
		if r[0].Stored() && len(b) < 100 {
			t.Errorf("stored: %v", r)
		}
		c.Dialer = &tape{Reader: bytes.NewReader(b)}
		if err := c.Echo(t.Context()); err == nil && len(b) < 100 {
			t.Error("an echo")
		}
	})
}

// Whatever is to be sent: its file meta information is read without a length that is not there.
func FuzzOpenPart10(f *testing.F) {
	f.Add(append(metaHeader(Instance{testClass, testInstance, explicit}, "X"), 8, 0))
	for _, path := range files(f) {
		if b := readFile(f, path); len(b) < 10000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, r, err := OpenPart10(bytes.NewReader(b)); err == nil {
			if n, _ := io.Copy(io.Discard, r); n > int64(len(b)) {
				t.Error("more than there is")
			}
		}
	})
}
