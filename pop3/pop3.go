// Package pop3 fetches mail from a mailbox at a provider: the client's side of POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595) or TLS from
// the first byte (RFC 8314), and AUTH (RFC 5034) where the server offers a way of package sasl, else USER and PASS.
//
// Nothing is said without TLS whose certificate names the server. The server is a stranger all the same: its lines, their number and what it
// says in error are bounded; a mail is streamed. Patience is the connection's: a Dialer gives one that has an end.
//
// It departs from RFC 1939 §7, where UIDL is optional: without it nobody can tell a mail that was fetched from one that was not.
package pop3

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"carepost/sasl"
	"carepost/smtp"
)

// Errors that callers branch on.
var (
	ErrCredentials = errors.New("pop3: the server does not take user and password")
	ErrServer      = errors.New("pop3: the server does not speak POP3 as it should")
	ErrNo          = errors.New("pop3: the server says no")                  // to one question; the session goes on
	ErrContent     = errors.New("pop3: the mail has CR or LF alone, or NUL") // it is none that could be passed on; the session is over
)

// Bounds of what a server may say.
const (
	maxLine     = 2048   // octets; RFC 2449 §4 asks for 512
	maxMessages = 50_000 // of a mailbox
	maxCapas    = 100    // lines of an answer to CAPA
	maxUID      = 70     // octets (RFC 1939 §7)
)

// Options of a session.
type Options struct {
	Address     string // host:port
	Implicit    bool   // TLS from the first byte; else STLS
	TLS         *tls.Config
	Credentials sasl.Credentials
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
}

// Message is one that lies in the mailbox.
type Message struct {
	Number int    // in this session
	UID    string // for ever
	Size   int64  // octets, as the server says
}

// Session is open in the mailbox. It is for one goroutine.
type Session struct {
	o    Options
	conn net.Conn
	r    *smtp.Reader
	w    *bufio.Writer
	tls  string
	capa map[string]string
	stop func() bool
}

// Open connects and signs in. ErrCredentials; ErrServer; errors of the network.
func Open(ctx context.Context, o Options) (*Session, error) {
	conn, err := o.Dial(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("pop3: %w", err)
	}
	s := &Session{o: o, conn: conn}
	s.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// TLS names the protocol of the connection.
func (s *Session) TLS() string { return s.tls }

// Close ends the session as it is: nothing is deleted.
func (s *Session) Close() error {
	s.stop()
	return s.conn.Close()
}

func (s *Session) begin(ctx context.Context) error {
	if s.o.Implicit {
		if err := s.secure(ctx); err != nil {
			return err
		}
	} else {
		s.wires()
	}
	if _, err := s.answer(); err != nil {
		return err
	}
	if !s.o.Implicit {
		if _, err := s.ask("STLS"); err != nil {
			return fmt.Errorf("pop3: TLS is wanted: %w", err)
		}
		if s.r.Buffered() > 0 { // words sent in clear must not pass for words said under TLS
			return fmt.Errorf("%w: text after its answer to STLS", ErrServer)
		}
		if err := s.secure(ctx); err != nil {
			return err
		}
	}
	if err := s.capabilities(); err != nil {
		return err
	}
	return s.signIn()
}

func (s *Session) wires() { s.r, s.w = smtp.NewReader(s.conn), bufio.NewWriter(s.conn) }

// secure begins TLS.
func (s *Session) secure(ctx context.Context) error {
	c := smtp.HardenTLS(s.o.TLS)
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(s.o.Address)
		if err != nil {
			return fmt.Errorf("pop3: %w", err)
		}
		c.ServerName = host
	}
	conn := tls.Client(s.conn, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("pop3: TLS: %w", err)
	}
	s.conn, s.tls = conn, tls.VersionName(conn.ConnectionState().Version)
	s.wires()
	return nil
}

// negative is an answer that is no.
type negative struct{ words string }

func (n *negative) Error() string { return ErrNo.Error() + ": " + n.words }

func (n *negative) Is(target error) bool { return target == ErrNo }

// passing says that it may say yes another time (RFC 3206, RFC 2449 §8.1.1).
func (n *negative) passing() bool {
	up := strings.ToUpper(n.words)
	return strings.HasPrefix(up, "[SYS/TEMP]") || strings.HasPrefix(up, "[IN-USE]") || strings.HasPrefix(up, "[LOGIN-DELAY]")
}

// line reads one line.
func (s *Session) line() (string, error) {
	b, err := s.r.ReadLine(maxLine)
	switch {
	case errors.Is(err, smtp.ErrBareByte), errors.Is(err, smtp.ErrLineTooLong), errors.Is(err, smtp.ErrFlood):
		return "", fmt.Errorf("%w: %v", ErrServer, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "", errors.New("pop3: the server closed the connection")
	case err != nil:
		return "", fmt.Errorf("pop3: %w", err)
	}
	return string(b), nil
}

// answer reads "+OK …"; *negative for "-ERR …".
func (s *Session) answer() (string, error) {
	l, err := s.line()
	if err != nil {
		return "", err
	}
	status, text, _ := strings.Cut(l, " ")
	switch strings.ToUpper(status) {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", &negative{s.o.Credentials.Hide(text)}
	}
	return "", fmt.Errorf("%w: neither +OK nor -ERR", ErrServer)
}

func (s *Session) say(line string) error {
	if s.r.Buffered() > 0 {
		return fmt.Errorf("%w: it speaks out of turn", ErrServer)
	}
	s.w.WriteString(line + "\r\n")
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("pop3: %w", err)
	}
	return nil
}

func (s *Session) ask(line string) (string, error) {
	if err := s.say(line); err != nil {
		return "", err
	}
	return s.answer()
}

// lines reads an answer of several lines.
func (s *Session) lines(command string, most int, each func(line string) error) error {
	if _, err := s.ask(command); err != nil {
		return err
	}
	for n := 0; ; n++ {
		l, err := s.line()
		switch {
		case err != nil:
			return err
		case l == ".":
			return nil
		case n == most:
			return fmt.Errorf("%w: more than %d lines in answer to %s", ErrServer, most, command)
		}
		if err := each(strings.TrimPrefix(l, ".")); err != nil {
			return err
		}
	}
}

// capabilities asks what the server knows; one that does not know the question is of 1996.
func (s *Session) capabilities() error {
	s.capa = map[string]string{}
	err := s.lines("CAPA", maxCapas, func(l string) error {
		name, args, _ := strings.Cut(l, " ")
		s.capa[strings.ToUpper(name)] = args
		return nil
	})
	if no := (*negative)(nil); errors.As(err, &no) {
		return nil
	}
	return err
}

func (s *Session) signIn() error {
	err := s.prove()
	if no := (*negative)(nil); errors.As(err, &no) && !no.passing() {
		return fmt.Errorf("%w: %s", ErrCredentials, no.words)
	}
	return err
}

func (s *Session) prove() error {
	c := s.o.Credentials
	client := c.Choose(strings.Fields(s.capa["SASL"]))
	if client == nil {
		if strings.ContainsAny(c.User+c.Password, "\r\n") {
			return fmt.Errorf("%w: a line end in them", ErrCredentials)
		}
		if _, err := s.ask("USER " + c.User); err != nil {
			return err
		}
		_, err := s.ask("PASS " + c.Password)
		return err
	}
	name, initial, err := client.Start()
	if err != nil {
		return err
	}
	line := "AUTH " + name
	if initial != nil {
		line += " " + base64.StdEncoding.EncodeToString(initial)
	}
	if err := s.say(line); err != nil {
		return err
	}
	for range 5 {
		l, err := s.line()
		if err != nil {
			return err
		}
		coded, asked := strings.CutPrefix(l, "+ ")
		if !asked && l != "+" {
			return s.concluded(l, client)
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(coded, "+"))
		if err != nil {
			return fmt.Errorf("%w: its side of %s is no base64", ErrServer, name)
		}
		answer, err := client.Next(challenge)
		if err != nil {
			return err
		}
		if err := s.say(base64.StdEncoding.EncodeToString(answer)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: its side of %s has no end", ErrServer, name)
}

// concluded is the end of an exchange.
func (s *Session) concluded(l string, client sasl.Client) error {
	status, text, _ := strings.Cut(l, " ")
	switch strings.ToUpper(status) {
	case "+OK":
		return client.Proven()
	case "-ERR":
		return &negative{s.o.Credentials.Hide(text)}
	}
	return fmt.Errorf("%w: neither +OK nor -ERR", ErrServer)
}

// List tells what lies in the mailbox.
func (s *Session) List() ([]Message, error) {
	var out []Message
	at, seen := map[int]int{}, map[string]bool{}
	err := s.lines("UIDL", maxMessages, func(l string) error {
		number, uid, _ := strings.Cut(l, " ")
		n, err := strconv.Atoi(number)
		uid = strings.TrimSpace(uid)
		if _, twice := at[n]; err != nil || n <= 0 || twice || seen[uid] || !identifier(uid) {
			return fmt.Errorf("%w: its list of unique ids cannot be", ErrServer)
		}
		at[n], seen[uid] = len(out), true
		out = append(out, Message{Number: n, UID: uid})
		return nil
	})
	if no := (*negative)(nil); errors.As(err, &no) {
		return nil, fmt.Errorf("%w: it has no unique ids (UIDL): %s", ErrServer, no.words)
	}
	if err != nil {
		return nil, err
	}
	err = s.lines("LIST", maxMessages, func(l string) error {
		f := strings.Fields(l)
		if len(f) < 2 {
			return fmt.Errorf("%w: its list of mails cannot be", ErrServer)
		}
		n, err := strconv.Atoi(f[0])
		size, serr := strconv.ParseInt(f[1], 10, 64)
		i, known := at[n]
		if err != nil || serr != nil || size < 0 || !known {
			return fmt.Errorf("%w: its list of mails cannot be", ErrServer)
		}
		out[i].Size = size
		return nil
	})
	return out, err
}

// identifier says that s is a unique-id.
func identifier(s string) bool {
	return s != "" && len(s) <= maxUID && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// Fetch reads one mail. ErrNo; of the reader, ErrContent. It is to be read to its end before anything else is asked; who does not ends the session with Close.
func (s *Session) Fetch(number int) (io.Reader, error) {
	if _, err := s.ask("RETR " + strconv.Itoa(number)); err != nil {
		return nil, err
	}
	return content{s.r.Data()}, nil
}

// content names what is wrong with one.
type content struct{ r io.Reader }

func (c content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case errors.Is(err, smtp.ErrBareByte):
		return n, ErrContent
	}
	return n, fmt.Errorf("pop3: %w", err)
}

// Delete marks one mail: it is gone after Quit. ErrNo.
func (s *Session) Delete(number int) error {
	_, err := s.ask("DELE " + strconv.Itoa(number))
	return err
}

// Quit ends the session: what was marked is deleted once it returns nil.
func (s *Session) Quit() error {
	defer s.Close()
	_, err := s.ask("QUIT")
	return err
}
