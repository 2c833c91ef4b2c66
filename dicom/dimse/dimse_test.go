package dimse

import (
	"errors"
	"testing"
)

// Our client and our server: every shared file, in whatever class and transfer syntax, arrives byte for byte.
func TestStore(t *testing.T) {
	s := &spool{}
	ends := make(chan error, 10)
	address := serve(t, &Server{AETitle: "ARCHIVE", Handler: s, Ended: func(_ Association, err error) { ends <- err }})
	sent := sendable(t)
	var items []Item
	for _, b := range sent {
		items = append(items, item10(b))
	}
	if err := client(address).Echo(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for i, r := range client(address).Store(deadline(t), items, nil) {
		if !r.Stored() {
			t.Errorf("%d: %v %v", i, r.Status, r.Err)
		}
	}
	same(t, sent, s.list())
	for range 2 {
		if err := <-ends; err != nil {
			t.Errorf("an association ended with %v", err)
		}
	}
	for _, x := range s.list() {
		if x.from.Calling != "CAREPOST" || x.from.Called != "ARCHIVE" || !x.from.RemoteIP.IsLoopback() {
			t.Fatalf("from %v", x.from)
		}
	}
}

// What the other side answers is told of each instance, and what is refused holds nothing else up.
func TestRefusals(t *testing.T) {
	const plans = "1.2.840.10008.5.1.4.1.1.481.5"
	var all []Instance
	var items []Item
	for _, b := range sendable(t) {
		i, _ := part10(t, b)
		all = append(all, i)
		items = append(items, item10(b))
	}
	items = append(items, item10([]byte("no file")))
	full := all[3].SOPInstance
	s := &spool{answer: func(i Instance) Status {
		if i.SOPInstance == full {
			return OutOfResources
		}
		return Success
	}}
	address := serve(t, &Server{Handler: s, Storage: func(class string) bool { return class != plans }})
	for n, r := range client(address).Store(deadline(t), items, nil) {
		switch {
		case n == len(all):
			if !errors.Is(r.Err, ErrSource) || r.Retry() {
				t.Errorf("what is no file: %v", r)
			}
		case all[n].SOPClass == plans:
			if !errors.Is(r.Err, ErrNotAccepted) || r.Retry() {
				t.Errorf("a class that is not taken: %v", r)
			}
		case all[n].SOPInstance == full:
			if r.Err != nil || r.Status != OutOfResources || !r.Retry() || r.Stored() {
				t.Errorf("what was refused: %v", r)
			}
		case !r.Stored():
			t.Errorf("%d: %v", n, r)
		}
	}
}

// PS3.8 §9.3.4: who may not come is told why.
func TestRejected(t *testing.T) {
	address := serve(t, &Server{AETitle: "CAREPOST", Handler: &spool{}, Admit: func(a Association) error {
		if a.Calling != "CT1" {
			return UnknownCalling
		}
		return nil
	}})
	c := client(address)
	c.Called = "CAREPOST"
	for calling, want := range map[AETitle]error{"CT1": nil, "CT2": UnknownCalling} {
		c.Calling = calling
		if err := c.Echo(deadline(t)); !errors.Is(err, want) {
			t.Errorf("%s: %v", calling, err)
		}
	}
	c.Called = "OTHER"
	if err := c.Echo(deadline(t)); !errors.Is(err, UnknownCalled) {
		t.Errorf("a title that is not ours: %v", err)
	}
	r := c.Store(deadline(t), []Item{item10(readFile(t, files(t)[0]))}, nil)[0]
	if !errors.Is(r.Err, UnknownCalled) || r.Retry() {
		t.Errorf("an instance of somebody unknown: %v", r)
	}
}
