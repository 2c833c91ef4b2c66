package trial_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/config"
)

// mailer is a mail program: it submits by SMTP with STARTTLS and a password, one message after the other, in one session as long as that
// lasts.
type mailer struct {
	at       string // host:port
	host     string // as the certificate names it
	roots    *x509.CertPool
	user     string
	password string

	conn    net.Conn
	session *smtp.Client
}

// mailer is one of an account of p.
func (p *practice) mailer(t testing.TB, user addr.Address) *mailer {
	t.Helper()
	c, err := config.Load(filepath.Join(p.dir, config.Name))
	if err != nil {
		t.Fatal(err)
	}
	card, err := config.LoadCard(filepath.Join(p.dir, config.CardName))
	if err != nil {
		t.Fatal(err)
	}
	m := &mailer{at: c.Listen.Submission, host: c.Hostname, roots: x509.NewCertPool(), user: user.String(), password: password}
	m.roots.AddCert(card.Anchor)
	return m
}

// open begins a session.
func (m *mailer) open() (err error) {
	if m.conn, err = net.DialTimeout("tcp", m.at, 10*time.Second); err != nil {
		return err
	}
	m.conn.SetDeadline(time.Now().Add(patience))
	if m.session, err = smtp.NewClient(m.conn, m.host); err != nil {
		return err
	}
	if err := m.session.StartTLS(&tls.Config{ServerName: m.host, RootCAs: m.roots}); err != nil {
		return err
	}
	return m.session.Auth(smtp.PlainAuth("", m.user, m.password, m.host))
}

// close ends the session as it is.
func (m *mailer) close() {
	if m.conn != nil {
		m.conn.Close()
	}
	m.conn, m.session = nil, nil
}

// submit sends a message and gives the id that the server named with its 250. A *textproto.Error is the server's answer; after any other
// error nobody knows, and the same message may be sent again.
func (m *mailer) submit(to []addr.Address, text io.Reader) (id string, err error) {
	if m.session == nil {
		err = m.open()
	}
	if err == nil {
		m.conn.SetDeadline(time.Now().Add(patience))
		id, err = m.transaction(to, text)
	}
	if err != nil {
		m.close()
	}
	return id, err
}

func (m *mailer) transaction(to []addr.Address, text io.Reader) (id string, err error) {
	if err := m.session.Mail(m.user); err != nil {
		return "", err
	}
	for _, a := range to {
		if err := m.session.Rcpt(a.String()); err != nil {
			return "", err
		}
	}
	wire := m.session.Text
	turn, err := wire.Cmd("DATA") // not session.Data, which keeps the answer for itself
	if err != nil {
		return "", err
	}
	wire.StartResponse(turn)
	defer wire.EndResponse(turn)
	if _, _, err := wire.ReadResponse(354); err != nil {
		return "", err
	}
	w := wire.DotWriter()
	if _, err := io.Copy(w, text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	_, answer, err := wire.ReadResponse(250)
	if err != nil {
		return "", err
	}
	_, id, named := strings.Cut(answer, "Taken as ")
	if !named {
		return "", fmt.Errorf("250, but no id: %q", answer)
	}
	return id, nil
}

// refused says that an error is a final answer.
func refused(err error) bool {
	answer := (*textproto.Error)(nil)
	return errors.As(err, &answer) && answer.Code >= 500
}
