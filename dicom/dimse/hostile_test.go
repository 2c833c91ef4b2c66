package dimse

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testClass    = "1.2.840.10008.5.1.4.1.1.7"
	testInstance = "1.2.3.4"
	explicit     = "1.2.840.10008.1.2.1"
)

// request is an A-ASSOCIATE-RQ that any server takes.
func request() []byte {
	a := associate{called: "ARCHIVE", calling: "ODD", length: 1 << 14, offers: []offer{{1, testClass, []string{explicit}}, {3, Verification, []string{"1.2.840.10008.1.2"}}}}
	return a.compose(pduRequest)
}

// fragmented is a message of one P-DATA-TF for each of parts.
func fragmented(id, flags byte, value []byte) []byte {
	return append(fragmentHeader(nil, id, flags, len(value)), value...)
}

func storeRequest(id uint16) []byte {
	c := command{field: cStore, id: id, class: testClass, instance: testInstance, data: true}
	return fragmented(1, controlOrder|controlLast, c.compose())
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// played sends b to a server and returns what it answers until it closes, what it spooled, and why the association ended.
func played(t testing.TB, s *Server, b []byte) (answer []byte, ended error) {
	t.Helper()
	ends := make(chan error, 1)
	s.Ended = func(_ Association, err error) { ends <- err }
	ours, theirs := net.Pipe()
	go func() {
		theirs.Write(b)
	}()
	go func() {
		s.one(context.Background(), context.Background(), ours, remote(ours), true, s.Limits.defaulted())
	}()
	answer, _ = io.ReadAll(theirs)
	theirs.Close()
	return answer, <-ends
}

// last returns the last PDU of an answer.
func last(t testing.TB, b []byte) (kind byte, body []byte) {
	t.Helper()
	for len(b) >= pduHeader {
		n := int(binary.BigEndian.Uint32(b[2:])) + pduHeader
		if n > len(b) {
			t.Fatal("a PDU of ours is cut")
		}
		kind, body, b = b[0], b[pduHeader:n], b[n:]
	}
	return kind, body
}

// ATT-38, PS3.8 §9.2.3, §9.3: whatever breaks the protocol is answered with an A-ABORT of its reason, and nothing of it reaches the Handler whole.
func TestBreaches(t *testing.T) {
	long := pdu(pduData, nil)
	binary.BigEndian.PutUint32(long[2:], 131073)
	huge := pdu(pduRequest, nil)
	binary.BigEndian.PutUint32(huge[2:], 0xFFFFFFFF)
	even := associate{called: "A", calling: "B", offers: []offer{{2, testClass, []string{explicit}}}}
	twice := associate{called: "A", calling: "B", offers: []offer{{1, testClass, []string{explicit}}, {1, testClass, []string{explicit}}}}
	tiny := associate{called: "A", calling: "B", length: 10, offers: []offer{{1, testClass, []string{explicit}}}}
	cut := request()
	cut = pdu(pduRequest, cut[pduHeader:len(cut)-3])
	noFields := fragmented(1, 3, []byte{0, 0, 2, 0, 2, 0, 0, 0, '1', 0})
	empty := bytes.Repeat(fragmented(1, 0, nil), maxEmpty+2)
	endless := bytes.Repeat(fragmented(1, controlOrder, make([]byte, 8000)), 3)
	echo := command{field: cEcho, id: 1, class: Verification}
	response := command{field: cEcho | response, id: 1, class: Verification}
	for name, tc := range map[string]struct {
		send   []byte
		reason byte
	}{
		"no DICOM":                       {[]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), unrecognizedPDU},
		"data first":                     {storeRequest(1), unexpectedPDU},
		"release first":                  {pdu(pduRelease, make([]byte, 4)), unexpectedPDU},
		"a request without end":          {huge, invalidParam},
		"a request cut":                  {cut, invalidParam},
		"a request of nothing":           {pdu(pduRequest, nil), invalidParam},
		"an even context":                {even.compose(pduRequest), invalidParam},
		"a context twice":                {twice.compose(pduRequest), invalidParam},
		"PDUs of ten octets":             {tiny.compose(pduRequest), invalidParam},
		"two requests":                   {joined(request(), request()), unexpectedPDU},
		"an unknown PDU":                 {joined(request(), pdu(99, nil)), unrecognizedPDU},
		"too long a PDU":                 {joined(request(), long), invalidParam},
		"an empty PDU":                   {joined(request(), pdu(pduData, nil)), invalidParam},
		"a fragment longer than its PDU": {joined(request(), pdu(pduData, []byte{0, 0, 1, 0, 1, 3})), invalidParam},
		"a fragment of no length":        {joined(request(), pdu(pduData, []byte{0, 0, 0, 0, 1, 3})), invalidParam},
		"data without a command":         {joined(request(), fragmented(1, 2, make([]byte, 8))), unexpectedParam},
		"a context nobody accepted":      {joined(request(), fragmented(5, 3, echo.compose())), unexpectedParam},
		"an answer to nothing":           {joined(request(), fragmented(3, 3, response.compose())), unexpectedParam},
		"a command without fields":       {joined(request(), noFields), invalidParam},
		"a command of rubbish":           {joined(request(), fragmented(1, 3, []byte("rubbish"))), invalidParam},
		"a command without end":          {joined(request(), endless), invalidParam},
		"a command in two contexts":      {joined(request(), fragmented(1, 1, echo.compose()[:12]), fragmented(3, 3, echo.compose()[12:])), unexpectedParam},
		"a release within a message":     {joined(request(), storeRequest(1), pdu(pduRelease, make([]byte, 4))), unexpectedPDU},
		"a command within a message":     {joined(request(), storeRequest(1), fragmented(3, 3, echo.compose())), unexpectedParam},
		"data of another context":        {joined(request(), storeRequest(1), fragmented(3, 2, make([]byte, 8))), unexpectedParam},
		"fragments of nothing":           {joined(request(), storeRequest(1), empty), invalidParam},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &spool{}
			answer, err := played(t, &Server{Handler: s}, tc.send)
			kind, body := last(t, answer)
			if !errors.Is(err, ErrProtocol) || kind != pduAbort || len(body) != 4 || body[2] != byProvider || body[3] != tc.reason {
				t.Errorf("%s: answered % X % X, ended with %v", name, kind, body, err)
			}
			if len(s.list()) > 0 {
				t.Errorf("%s: something was taken for an instance", name)
			}
		})
	}
}

// ATT-38, PS3.8 §9.3.4, PS3.7 Annex C: what is no breach, but cannot be had.
func TestDeclined(t *testing.T) { synctest.Test(t, declined) }

func declined(t *testing.T) {
	old := associate{called: "A", calling: "B"}
	version := old.compose(pduRequest)
	version[7] = 2
	application := bytes.Replace(request(), []byte(applicationContext), []byte("1.2.840.10008.3.1.1.9"), 1)
	nobody := associate{called: "A", calling: "  "}
	for name, tc := range map[string]struct {
		send []byte
		want Reject
	}{
		"a protocol to come":  {version, UnknownVersion},
		"another application": {application, UnknownContext},
		"nobody":              {nobody.compose(pduRequest), UnknownCalling},
		"somebody else":       {request(), UnknownCalled},
	} {
		answer, err := played(t, &Server{AETitle: "OURS", Handler: &spool{}}, tc.send)
		kind, body := last(t, answer)
		if kind != pduReject || Reject(body[1])<<16|Reject(body[2])<<8|Reject(body[3]) != tc.want || !errors.Is(err, tc.want) {
			t.Errorf("%s: % X % X, %v", name, kind, body, err)
		}
	}
	find := command{field: 0x0020, id: 7, class: testClass, data: true}
	other := command{field: cStore, id: 7, class: "1.2.840.10008.5.1.4.1.1.2", instance: testInstance, data: true}
	odd := command{field: cStore, id: 7, class: testClass, instance: "no/uid", data: true}
	zero := command{field: cStore, id: 0, class: testClass, instance: testInstance, data: true}
	for name, tc := range map[string]struct {
		c    command
		want Status
	}{
		"a query":       {find, UnrecognizedOperation},
		"another class": {other, ClassNotSupported},
		"no instance":   {odd, InvalidInstance},
		"Message ID 0":  {zero, Success},
	} {
		s := &spool{}
		answer, err := played(t, &Server{Handler: s},
			joined(request(), fragmented(1, 3, tc.c.compose()), fragmented(1, 0, make([]byte, 100)), fragmented(1, 2, make([]byte, 8)), pdu(pduAbort, make([]byte, 4))))
		_, body := last(t, answer)
		c, e := readCommand(body[pdvHeader:])
		if e != nil || c.status != tc.want || c.id != tc.c.id || c.field != tc.c.field|response || !errors.Is(err, Abort{}) {
			t.Errorf("%s: %v %+v, %v", name, e, c, err)
		}
		if (len(s.list()) == 1) != (tc.want == Success) {
			t.Errorf("%s: %d instances", name, len(s.list()))
		}
	}
}

// partial is a Handler that says how what it read ended.
type partial struct{ ended chan error }

func (p partial) Store(_ context.Context, _ Association, _ Instance, r io.Reader) Status {
	_, err := io.Copy(io.Discard, r)
	p.ended <- err
	return Success
}

// ATT-38: an instance that ends with its association is no whole one: an A-ABORT, a lost connection and a silence all say so.
func TestHalfAnInstance(t *testing.T) {
	begun := joined(request(), storeRequest(1), fragmented(1, 0, make([]byte, 1000)))
	synctest.Test(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			send []byte
			want error
		}{
			"aborted": {joined(begun, pdu(pduAbort, []byte{0, 0, 2, 6})), Abort{2, 6}},
			"silent":  {begun, ErrTimeout},
			"torn":    {joined(begun, []byte{pduData, 0, 0}), ErrTimeout},
		} {
			p := partial{make(chan error, 1)}
			_, err := played(t, &Server{Handler: p}, tc.send)
			if got := <-p.ended; !errors.Is(got, tc.want) || !errors.Is(err, tc.want) {
				t.Errorf("%s: the handler saw %v, the server %v", name, got, err)
			}
		}
		p := partial{make(chan error, 1)}
		s := &Server{Handler: p}
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(request())
			theirs.Read(make([]byte, 1<<10)) // it is accepted
			theirs.Write(begun[len(request()):])
			theirs.Close()
		}()
		s.one(t.Context(), t.Context(), ours, remote(ours), true, s.Limits.defaulted())
		if got := <-p.ended; !errors.Is(got, ErrLost) {
			t.Errorf("lost: %v", got)
		}
	})
}

// ATT-38: a trickle does not hold an association: each piece has its time, however it comes.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, b := range map[string][]byte{
			"negotiating": request(),
			"sending":     joined(request(), storeRequest(1), bytes.Repeat(fragmented(1, 0, make([]byte, 2)), 10000)),
		} {
			s := &Server{Handler: &spool{}}
			ours, theirs := net.Pipe()
			go io.Copy(io.Discard, theirs)
			go func() {
				for i := range b {
					if _, err := theirs.Write(b[i : i+1]); err != nil {
						return
					}
					if i > 600 || name == "negotiating" {
						time.Sleep(time.Second)
					}
				}
			}()
			began := time.Now()
			var ended error
			s.Ended = func(_ Association, err error) { ended = err }
			s.one(t.Context(), t.Context(), ours, remote(ours), true, s.Limits.defaulted())
			if d := time.Since(began); !errors.Is(ended, ErrTimeout) || d > 2*time.Minute {
				t.Errorf("%s: ended after %v with %v", name, d, ended)
			}
			theirs.Close()
			time.Sleep(2 * time.Second) // the sender sees it
		}
	})
}

// ATT-38: more callers than there is room for are told to come back; a crowd of one address leaves room for others.
func TestCrowd(t *testing.T) {
	address := serve(t, &Server{Handler: &spool{}, Limits: Limits{Associations: 4}})
	ctx, contexts := deadline(t), []Context{{Verification, "1.2.840.10008.1.2"}}
	var links []*Link
	for range 2 {
		l, err := client(address).Associate(ctx, contexts)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	if err := client(address).Echo(ctx); !errors.Is(err, TooMany) || !TooMany.Temporary() {
		t.Errorf("the third of one address: %v", err)
	}
	for _, l := range links {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
	for {
		err := client(address).Echo(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, TooMany) && !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Every class and transfer syntax that a peer may have: more than one association can name, PDUs of the smallest size, odd ones of
// any size, and Message IDs beyond 65535.
func TestManyContexts(t *testing.T) {
	s := &spool{}
	associations := make(chan error, 100)
	address := serve(t, &Server{Handler: s, Limits: Limits{PDU: 4099}, Ended: func(_ Association, err error) { associations <- err }})
	sent := map[string][]byte{}
	var items []Item
	for n := range 300 {
		i := Instance{fmt.Sprintf("1.2.840.10008.5.1.4.1.1.9999.%d", n), fmt.Sprintf("1.2.3.%d", n), explicit}
		data := make([]byte, 2*n*17)
		rand.Read(data)
		b := append(metaHeader(i, "X"), append([]byte{8, 0, 5, 0, 'C', 'S', 0, 0}, data...)...)
		sent[i.SOPInstance] = b
		items = append(items, item10(b))
	}
	for i, r := range client(address).Store(deadline(t), items, nil) {
		if !r.Stored() {
			t.Errorf("%d: %v", i, r)
		}
	}
	same(t, sent, s.list())
	for range 3 {
		if err := <-associations; err != nil {
			t.Error(err)
		}
	}
	l := &Link{message: 65535}
	if l.next() != 1 {
		t.Error("Message ID 0")
	}
}

// A server that stops lets the instance under way end, and says goodbye to who waits.
func TestStop(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := &Server{Handler: handler(func(r io.Reader) Status {
		close(begun)
		<-goOn
		if _, err := io.Copy(io.Discard, r); err != nil {
			return ProcessingFailure
		}
		return Success
	}), Limits: Limits{Grace: time.Minute}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	idle, err := client(l.Addr().String()).Associate(deadline(t), []Context{{Verification, "1.2.840.10008.1.2"}})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan []Result)
	items := []Item{item10(append(metaHeader(Instance{testClass, testInstance, explicit}, "X"), make([]byte, 1<<20)...))}
	go func() { results <- client(l.Addr().String()).Store(deadline(t), items, nil) }()
	<-begun
	cancel()
	if err := idle.Echo(); err == nil {
		t.Error("an echo from a server that stops")
	}
	idle.Abort()
	close(goOn)
	if r := (<-results)[0]; !r.Stored() {
		t.Errorf("the instance under way: %v", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type handler func(io.Reader) Status

func (h handler) Store(_ context.Context, _ Association, _ Instance, r io.Reader) Status { return h(r) }

// lastConn is a listener that knows who came last.
type lastConn struct {
	net.Listener
	conn atomic.Value // net.Conn
}

func (l *lastConn) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.conn.Store(conn)
	}
	return conn, err
}

// A peer that breaks off at one instance, or an instance of ours that cannot be read, does not keep us from the others; a peer that
// always breaks off is given up.
func TestPoison(t *testing.T) {
	disk := errors.New("disk")
	var items []Item
	for n := range 10 {
		i := Instance{testClass, fmt.Sprintf("1.2.3.%d", n), explicit}
		items = append(items, item10(append(metaHeader(i, "X"), make([]byte, 64)...)))
	}
	items[5].Open = func() (io.ReadCloser, error) {
		head := metaHeader(Instance{testClass, "1.2.3.5", explicit}, "X")
		return io.NopCloser(io.MultiReader(bytes.NewReader(head), bytes.NewReader(make([]byte, 1<<18)), errReader{disk})), nil
	}
	items[6] = item10(append(metaHeader(Instance{testClass, "1.2.3.6", explicit}, "X"), 1, 2, 3))
	for _, always := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		guest := &lastConn{Listener: l}
		s := &Server{Handler: storeFunc(func(i Instance, r io.Reader) Status {
			if always || i.SOPInstance == "1.2.3.2" {
				guest.conn.Load().(net.Conn).Close()
			}
			_, _ = io.Copy(io.Discard, r)
			return Success
		})}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, guest) }()
		for n, r := range client(l.Addr().String()).Store(deadline(t), items, nil) {
			switch {
			case n == 5 && !always:
				if !errors.Is(r.Err, ErrSource) || !errors.Is(r.Err, disk) {
					t.Errorf("what cannot be read: %v", r)
				}
			case n == 6 && !always:
				if !errors.Is(r.Err, ErrSource) || r.Retry() {
					t.Errorf("what has an odd length: %v", r)
				}
			case always || n == 2:
				if !errors.Is(r.Err, ErrLost) || !r.Retry() {
					t.Errorf("%d, %v: %v", n, always, r)
				}
			case !r.Stored():
				t.Errorf("%d: %v", n, r)
			}
		}
		cancel()
		<-done
	}
}

type storeFunc func(Instance, io.Reader) Status

func (f storeFunc) Store(_ context.Context, _ Association, i Instance, r io.Reader) Status {
	return f(i, r)
}

type errReader struct{ error }

func (e errReader) Read([]byte) (int, error) { return 0, e.error }
