package pop3

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"carepost/sasl"
	"carepost/smtp"
)

// stranger is a server that has its say, in pieces, whatever it is asked: one piece for the greeting, and one more for each line of ours.
type stranger struct {
	net.Conn
	says  [][]byte
	asked bytes.Buffer
}

func (s *stranger) Read(p []byte) (int, error) {
	if len(s.says) == 0 || len(s.says[0]) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 100)], s.says[0])
	s.says[0] = s.says[0][n:]
	return n, nil
}

func (s *stranger) Write(p []byte) (int, error) {
	s.says = s.says[min(1, len(s.says)):]
	return s.asked.Write(p)
}

func (s *stranger) Close() error { return nil }

// DCM-30, ATT-44: whatever a server says under TLS, what is believed of it is bounded and could be true, a mail is whole or an error, and no error
// shows the password. Octet 0xFF stands between the pieces.
func FuzzAnswers(f *testing.F) {
	const in = "+OK hello\r\n\xff+OK\r\nUIDL\r\n.\r\n\xff+OK\r\n\xff+OK\r\n\xff"
	for _, s := range []string{
		in + "+OK\r\n1 a\r\n2 b\r\n.\r\n\xff+OK\r\n1 12\r\n2 7 x\r\n.\r\n\xff+OK\r\na: b\r\n\r\n..x\r\n.\r\n\xff+OK\r\n\xff+OK\r\n.\r\n\xff+OK\r\n\xff+OK bye\r\n",
		in + "+OK\r\n1 a\r\n.\r\n\xff+OK\r\n1 12\r\n.\r\n\xff+OK\r\na: b\r\n",
		in + "+OK\r\n1 a\r\n.\r\n\xff+OK\r\n1 12\r\n.\r\n\xff-ERR no Secret7 of user\r\n\xff+OK\r\n\xff+OK\r\n",
		in + "+OK\r\n1 a\r\n1 b\r\n.\r\n", in + "-ERR\r\n", in + "+OK\r\n1 a\r\n.\r\n\xff+OK\r\n9 1\r\n.\r\n",
		"+OK\r\n\xff-ERR\r\n\xff+OK\r\n\xff-ERR [AUTH] Secret7\r\n", "-ERR user@x\r\n", "* OK\r\n", "+OK\n",
		"+OK\r\n\xff+OK\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\n.\r\n\xff+ \r\n\xff+ cj0=\r\n\xff-ERR\r\n",
		"+OK\r\n\xff+OK\r\nSASL LOGIN\r\n.\r\n\xff+ VXNlcg==\r\n\xff+ VXNlcg==\r\n\xff+OK\r\n\xff+OK\r\n.\r\n\xff+OK\r\n.\r\n\xff+OK\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 64<<10 {
			return
		}
		server := &stranger{says: bytes.Split(wire, []byte{0xff})}
		s := &Session{o: Options{Credentials: sasl.Credentials{User: "user", Password: "Secret7"}}, conn: server, stop: func() bool { return true }}
		s.wires()
		err := s.visit(t)
		if err != nil && (strings.Contains(err.Error(), "Secret7") || len(err.Error()) > 1000) {
			t.Fatalf("%v", err)
		}
		for line := range strings.Lines(server.asked.String()) {
			if !strings.HasSuffix(line, "\r\n") || strings.Contains(line, "\x00") {
				t.Fatalf("we say %q", line)
			}
		}
	})
}

// visit is a whole session from the greeting on.
func (s *Session) visit(t *testing.T) error {
	if _, err := s.answer(); err != nil {
		return err
	}
	if err := s.capabilities(); err != nil {
		return err
	}
	if len(s.capa) > maxCapas {
		t.Fatalf("%d capabilities", len(s.capa))
	}
	if err := s.signIn(); err != nil {
		return err
	}
	all, err := s.List()
	if err != nil {
		return err
	}
	seen := map[any]bool{}
	for _, m := range all {
		if seen[m.UID] || seen[m.Number] || m.Number <= 0 || m.Size < 0 || m.UID == "" || len(m.UID) > maxUID || strings.ContainsAny(m.UID, " \r\n\x00") {
			t.Fatalf("%+v of %+v", m, all)
		}
		seen[m.UID], seen[m.Number] = true, true
	}
	for _, m := range all[:min(len(all), 3)] {
		if err := s.look(t, m); err != nil && !errors.Is(err, ErrNo) {
			return err
		}
		if err := s.Delete(m.Number); err != nil && !errors.Is(err, ErrNo) {
			return err
		}
	}
	return s.Quit()
}

// look reads a mail.
func (s *Session) look(t *testing.T, m Message) error {
	r, err := s.Fetch(m.Number)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var lines smtp.Lines
	if lines.Check(text) != nil || !lines.Whole() {
		t.Fatalf("a mail that is none: %q", text)
	}
	return nil
}
