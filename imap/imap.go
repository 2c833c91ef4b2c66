// Package imap fetches mail from a folder at a provider: the client's side of IMAP4 (RFC 3501, RFC 9051), as far as that wants, over
// go-imap's wire. TLS comes first (RFC 8314, or STARTTLS), and a certificate that names the server.
//
// The server is a stranger all the same. The library reads as much as a server says; so a connection here has an allowance, in octets, that each
// question renews, and a mail is asked for in pieces (BODY.PEEK[]<offset.size>), until a piece is empty: none is taken for whole because its
// server stopped in the middle. Patience is the connection's: a Dialer gives one that has an end.
//
// What is removed is flagged \Deleted and expunged by its UID (RFC 4315). A server without UIDPLUS keeps it, flagged: EXPUNGE alone would take
// what others have flagged besides.
package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"carepost/sasl"
	"carepost/smtp"
)

// Errors that callers branch on.
var (
	ErrCredentials = errors.New("imap: the server does not take user and password")
	ErrServer      = errors.New("imap: the server does not speak IMAP as it should")
	ErrNo          = errors.New("imap: the server says no") // to one question; the session goes on
	ErrFolder      = errors.New("imap: the server does not open the folder")
)

// Bounds of what a server may say.
const (
	maxAnswer   = 256 << 10 // octets in answer to one question, besides what was asked for
	maxListing  = 8 << 20   // octets of the list of mails
	maxMessages = 50_000    // of a folder
	pieceSize   = 1 << 20   // octets of a mail that are asked for at once
)

// Options of a session.
type Options struct {
	Address     string // host:port
	Implicit    bool   // TLS from the first byte; else STARTTLS
	TLS         *tls.Config
	Credentials sasl.Credentials
	Folder      string // "INBOX" where empty
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
}

// Message is one that lies in the folder. With the folder's Validity its UID names it for ever (RFC 9051 §2.3.1.1).
type Message struct {
	UID  uint32
	Size int64 // octets, as the server says
}

// Session is open in the folder. It is for one goroutine.
type Session struct {
	o        Options
	conn     *bounded
	c        *imapclient.Client
	tls      string
	stop     func() bool
	validity uint32
	count    uint32
	expunge  bool // by UID
}

// bounded is a connection that gives no more than its allowance. Deadlines are its own business, not the library's.
type bounded struct {
	net.Conn
	left atomic.Int64
}

func (b *bounded) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("%w: it says too much", ErrServer)
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), left)])
	b.left.Add(-int64(n))
	return n, err
}

func (b *bounded) allow(n int64)                    { b.left.Store(n + n/8 + maxAnswer) } // TLS adds to it
func (b *bounded) SetDeadline(time.Time) error      { return nil }
func (b *bounded) SetReadDeadline(time.Time) error  { return nil }
func (b *bounded) SetWriteDeadline(time.Time) error { return nil }

// Open connects, signs in and opens the folder. ErrCredentials; ErrFolder; ErrServer; errors of the network.
func Open(ctx context.Context, o Options) (*Session, error) {
	raw, err := o.Dial(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("imap: %w", err)
	}
	s := &Session{o: o, conn: &bounded{Conn: raw}}
	s.conn.allow(0)
	s.stop = context.AfterFunc(ctx, func() { raw.Close() })
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// TLS names the protocol of the connection.
func (s *Session) TLS() string { return s.tls }

// Validity is that of the UIDs.
func (s *Session) Validity() uint32 { return s.validity }

// Close ends the session as it is.
func (s *Session) Close() {
	s.stop()
	s.conn.Conn.Close()
	if s.c != nil {
		s.c.Close()
	}
}

func (s *Session) begin(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.signIn(); err != nil {
		return err
	}
	s.conn.allow(0)
	folder := s.o.Folder
	if folder == "" {
		folder = "INBOX"
	}
	data, err := s.c.Select(folder, nil).Wait()
	if no := (*imap.Error)(nil); errors.As(err, &no) {
		return fmt.Errorf("%w: %s", ErrFolder, s.o.Credentials.Hide(no.Text))
	}
	if err != nil {
		return s.failed(err)
	}
	if data.UIDValidity == 0 {
		return fmt.Errorf("%w: the folder has no UIDVALIDITY", ErrServer)
	}
	s.validity, s.count = data.UIDValidity, data.NumMessages
	s.conn.allow(0)
	caps := s.c.Caps()
	s.expunge = caps.Has(imap.CapUIDPlus) || caps.Has(imap.CapIMAP4rev2)
	return nil
}

// connect begins TLS.
func (s *Session) connect(ctx context.Context) error {
	c := smtp.HardenTLS(s.o.TLS)
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(s.o.Address)
		if err != nil {
			return fmt.Errorf("imap: %w", err)
		}
		c.ServerName = host
	}
	note := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		s.tls = tls.VersionName(state.Version)
		if note != nil {
			return note(state)
		}
		return nil
	}
	if s.o.Implicit {
		conn := tls.Client(s.conn, c)
		if err := conn.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("imap: TLS: %w", err)
		}
		s.c = imapclient.New(conn, nil)
		if err := s.c.WaitGreeting(); err != nil {
			return s.failed(err)
		}
		return nil
	}
	var err error
	if s.c, err = imapclient.NewStartTLS(s.conn, &imapclient.Options{TLSConfig: c}); err != nil {
		s.c = nil
		return fmt.Errorf("imap: TLS is wanted: %w", s.failed(err))
	}
	return nil
}

// mechanism gives one of our exchanges to the library.
type mechanism struct{ sasl.Client }

func (m mechanism) Start() (string, []byte, error)        { return m.Client.Start() }
func (m mechanism) Next(challenge []byte) ([]byte, error) { return m.Client.Next(challenge) }

func (s *Session) signIn() error {
	s.conn.allow(0)
	caps := s.c.Caps()
	if caps == nil {
		return fmt.Errorf("%w: it does not say what it can", ErrServer)
	}
	var offered []string
	for c := range caps {
		// The library writes an empty answer, with which SCRAM ends, in a way that servers do not take.
		if name, ok := strings.CutPrefix(string(c), "AUTH="); ok && !strings.HasPrefix(name, "SCRAM-") {
			offered = append(offered, name)
		}
	}
	client := s.o.Credentials.Choose(offered)
	var err error
	switch {
	case client != nil:
		if err = s.c.Authenticate(mechanism{client}); err == nil {
			err = client.Proven()
		}
	case caps.Has(imap.CapLoginDisabled):
		return fmt.Errorf("%w: it offers no way to sign in that we know: PLAIN or LOGIN", ErrServer)
	default:
		err = s.c.Login(s.o.Credentials.User, s.o.Credentials.Password).Wait()
	}
	if no := (*imap.Error)(nil); errors.As(err, &no) {
		if no.Code == imap.ResponseCodeUnavailable || no.Code == imap.ResponseCodeInUse || no.Code == imap.ResponseCodeServerBug {
			return s.failed(err)
		}
		return fmt.Errorf("%w: %s", ErrCredentials, s.o.Credentials.Hide(no.Text))
	}
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// failed tells an error of the library, without a server's words about people.
func (s *Session) failed(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, ErrServer):
		return fmt.Errorf("%w: it says too much", ErrServer)
	case errors.As(err, &network), errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, sasl.ErrServer):
		return fmt.Errorf("imap: %w", err)
	}
	if no := (*imap.Error)(nil); errors.As(err, &no) {
		return fmt.Errorf("%w: %s", ErrNo, s.o.Credentials.Hide(no.Text))
	}
	return fmt.Errorf("%w: %s", ErrServer, s.o.Credentials.Hide(err.Error()))
}

// List tells what lies in the folder.
func (s *Session) List() ([]Message, error) {
	if s.count == 0 {
		return nil, nil
	}
	if s.count > maxMessages {
		return nil, fmt.Errorf("%w: more than %d mails lie in the folder", ErrServer, maxMessages)
	}
	s.conn.allow(maxListing)
	var out []Message
	everything := imap.UIDSet{imap.UIDRange{Start: 1}} // 1:*
	cmd := s.c.Fetch(everything, &imap.FetchOptions{UID: true, RFC822Size: true})
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		var one Message
		for item := m.Next(); item != nil; item = m.Next() {
			switch x := item.(type) {
			case imapclient.FetchItemDataUID:
				one.UID = uint32(x.UID)
			case imapclient.FetchItemDataRFC822Size:
				one.Size = x.Size
			}
		}
		if one.UID == 0 || one.Size < 0 || len(out) >= maxMessages {
			s.conn.Close() // no more of that
			cmd.Close()
			return nil, fmt.Errorf("%w: its list of mails cannot be", ErrServer)
		}
		out = append(out, one)
	}
	if err := cmd.Close(); err != nil {
		return nil, s.failed(err)
	}
	return out, nil
}

// Fetch reads one mail, whose flags stay. What is not given is an ErrNo of the reader.
func (s *Session) Fetch(uid uint32) io.Reader { return &mail{s: s, uid: imap.UID(uid)} }

// mail is read piece by piece.
type mail struct {
	s    *Session
	uid  imap.UID
	at   int64
	rest []byte
	err  error
}

func (m *mail) Read(p []byte) (int, error) {
	if len(m.rest) == 0 && m.err == nil {
		if m.rest, m.err = m.piece(); len(m.rest) == 0 && m.err == nil {
			m.err = io.EOF
		}
		m.at += int64(len(m.rest))
	}
	if len(m.rest) > 0 {
		n := copy(p, m.rest)
		m.rest = m.rest[n:]
		return n, nil
	}
	return 0, m.err
}

// piece asks for the next one; empty at the end.
func (m *mail) piece() (out []byte, err error) {
	s := m.s
	s.conn.allow(pieceSize)
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: m.at, Size: pieceSize}}
	cmd := s.c.Fetch(imap.UIDSetNum(m.uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
	answered := false
	for one := cmd.Next(); one != nil; one = cmd.Next() {
		for item := one.Next(); item != nil; item = one.Next() {
			x, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || answered || !x.MatchCommand(section) {
				continue
			}
			answered = true
			if x.Literal != nil {
				out, err = io.ReadAll(io.LimitReader(x.Literal, pieceSize+1))
			}
		}
	}
	if closed := cmd.Close(); closed != nil {
		return nil, s.failed(closed)
	}
	switch {
	case err != nil:
		return nil, s.failed(err)
	case !answered:
		return nil, fmt.Errorf("%w: it lists a mail and does not give it", ErrNo)
	case len(out) > pieceSize:
		return nil, fmt.Errorf("%w: it gives more than it was asked for", ErrServer)
	}
	return out, nil
}

// Remove removes mails.
func (s *Session) Remove(uids []uint32) error {
	var set imap.UIDSet
	for _, u := range uids {
		set.AddNum(imap.UID(u))
	}
	s.conn.allow(maxListing)
	if err := s.c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return s.failed(err)
	}
	if !s.expunge {
		return nil
	}
	s.conn.allow(maxListing)
	if err := s.c.UIDExpunge(set).Close(); err != nil {
		return s.failed(err)
	}
	return nil
}

// Quit ends the session.
func (s *Session) Quit() error {
	defer s.Close()
	s.conn.allow(0)
	if err := s.c.Logout().Wait(); err != nil {
		return s.failed(err)
	}
	return nil
}
