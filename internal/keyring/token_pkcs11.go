//go:build pkcs11

package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// Sessions of a token.
const (
	maxSessions = 8
	patience    = 30 * time.Second // for one that is free
)

// p11 is a token by its PKCS #11 library. The library is loaded at the first use.
type p11 struct {
	opts TokenOptions
	slot where
	free chan struct{} // one for each session that may be in use

	mu      sync.Mutex
	lib     *pkcs11.Ctx
	at      uint // slot
	pin     string
	refused error // the PIN is wrong: it is not tried again
	idle    []*session
	closed  bool
}

// session is one of the token's, with the handles of the keys that it has found.
type session struct {
	h    pkcs11.SessionHandle
	keys map[string]pkcs11.ObjectHandle
}

func openLibrary(o TokenOptions) (library, error) {
	if o.PIN == nil {
		return nil, fmt.Errorf("%w: the PIN is missing: pin_file or pin_env in [keys.token]", ErrNoToken)
	}
	t := &p11{opts: o, free: make(chan struct{}, maxSessions)}
	if o.URI != "" {
		var err error
		if t.slot, err = parseURI(o.URI); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// load loads the library and finds the token. Held: mu.
func (t *p11) load() error {
	if t.lib == nil {
		if t.lib = pkcs11.New(t.opts.Module); t.lib == nil {
			return fmt.Errorf("%w: %s is no PKCS #11 library", ErrNoToken, t.opts.Module)
		}
	}
	// Others in this process may have done it: a library is one for all of them, and is left to the process' end.
	if err := t.lib.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return err
	}
	slots, err := t.lib.GetSlotList(true)
	if err != nil {
		return err
	}
	var found []uint
	for _, s := range slots {
		info, err := t.lib.GetTokenInfo(s)
		if err == nil && info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && t.slot.is(s, info) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d tokens are as [keys.token] says, and one is wanted", ErrNoToken, len(found))
	}
	t.at = found[0]
	return nil
}

// is says whether a token is the one that is meant.
func (w where) is(slot uint, info pkcs11.TokenInfo) bool {
	fits := func(want *string, have string) bool { return want == nil || *want == have }
	return fits(w.token, info.Label) && fits(w.serial, info.SerialNumber) && fits(w.model, info.Model) && fits(w.manufacturer, info.ManufacturerID) &&
		(w.slot == nil || *w.slot == uint64(slot))
}

func is(err error, codes ...pkcs11.Error) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && slices.Contains(codes, e)
}

// lost says that a session, or the login, is gone.
func lost(err error) bool {
	return is(err, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_DEVICE_REMOVED,
		pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_DEVICE_ERROR,
		pkcs11.CKR_OPERATION_ACTIVE) // of a session that was left in the middle of one
}

// with runs do in a session, and once more in a new one if the session was lost.
func (t *p11) with(do func(*pkcs11.Ctx, *session) error) error {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case t.free <- struct{}{}:
	case <-wait.C:
		return errors.New("the token is busy")
	}
	defer func() { <-t.free }()
	for try := 1; ; try++ {
		s, err := t.session()
		if err != nil {
			return err
		}
		err = do(t.lib, s)
		if !lost(err) {
			t.mu.Lock()
			t.idle = append(t.idle, s)
			t.mu.Unlock()
			return err
		}
		t.drop(s)
		if try == 2 {
			return err
		}
	}
}

// drop gives up a session, and those that are idle: they are lost with it.
func (t *p11) drop(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range append(t.idle, s) {
		t.lib.CloseSession(x.h) // what is lost cannot be closed
	}
	t.idle = nil
}

// session takes an idle one, or opens one and logs in.
func (t *p11) session() (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, errors.New("the token is closed")
	case t.refused != nil:
		return nil, t.refused
	}
	if n := len(t.idle); n > 0 {
		s := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return s, nil
	}
	if err := t.load(); err != nil {
		return nil, err
	}
	h, err := t.lib.OpenSession(t.at, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, err
	}
	if err := t.login(h); err != nil {
		t.lib.CloseSession(h)
		return nil, err
	}
	return &session{h, map[string]pkcs11.ObjectHandle{}}, nil
}

// login is for all sessions of the process. Held: mu.
func (t *p11) login(h pkcs11.SessionHandle) error {
	if t.pin == "" {
		pin, err := t.opts.PIN()
		if err != nil {
			return fmt.Errorf("its PIN: %w", err)
		}
		t.pin = pin
	}
	err := t.lib.Login(h, pkcs11.CKU_USER, t.pin)
	switch {
	case is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case is(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED):
		t.refused = fmt.Errorf("the PIN is refused, and is not tried again before the next start: %v", err)
		return t.refused
	}
	return err
}

func (t *p11) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.idle {
		t.lib.CloseSession(s.h)
	}
	t.idle, t.closed, t.pin = nil, true, ""
	return nil
}

// key finds the one private key that at names.
func (s *session) key(lib *pkcs11.Ctx, at where) (pkcs11.ObjectHandle, error) {
	name := at.String()
	if h, ok := s.keys[name]; ok {
		return h, nil
	}
	list, err := s.find(lib, pkcs11.CKO_PRIVATE_KEY, at.id, at.object)
	if err != nil {
		return 0, err
	}
	if len(list) != 1 {
		return 0, fmt.Errorf("%w: %d private keys are as the URI says, and one is wanted", ErrTokenKey, len(list))
	}
	s.keys[name] = list[0]
	return list[0], nil
}

// find lists objects, two at most: more than one is one too many.
func (s *session) find(lib *pkcs11.Ctx, class uint, id []byte, label *string) ([]pkcs11.ObjectHandle, error) {
	want := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if id != nil {
		want = append(want, pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	}
	if label != nil {
		want = append(want, pkcs11.NewAttribute(pkcs11.CKA_LABEL, *label))
	}
	if err := lib.FindObjectsInit(s.h, want); err != nil {
		return nil, err
	}
	list, _, err := lib.FindObjects(s.h, 2)
	return list, errors.Join(err, lib.FindObjectsFinal(s.h))
}

// generate makes a key that does not leave the token.
func (t *p11) generate(_ where, spec Spec, label string) (id []byte, err error) {
	id = make([]byte, 16)
	rand.Read(id)
	mechanism, kind, err := generating(spec)
	if err != nil {
		return nil, err
	}
	use := uint(pkcs11.CKA_DECRYPT)
	if spec >= P256 {
		use = pkcs11.CKA_DERIVE
	}
	attr := pkcs11.NewAttribute
	private := []*pkcs11.Attribute{
		attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_PRIVATE, true), attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, false),
		attr(pkcs11.CKA_SIGN, true), attr(use, true), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_ID, id),
	}
	public := append(kind, attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_VERIFY, true), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_ID, id))
	return id, t.with(func(lib *pkcs11.Ctx, s *session) error {
		_, _, err := lib.GenerateKeyPair(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
		return err
	})
}
