package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"carepost/imap"
	"carepost/pop3"
)

// item is a mail at a provider.
type item struct {
	name   string // for ever
	number uint32 // in this session, or UID
	size   int64
}

// box is an open mailbox, of either protocol.
type box interface {
	list() ([]item, error)
	fetch(i item) (io.Reader, error)
	remove(all []item) (not map[string]bool, err error) // in force once quit returns nil; not are the names of those that the server does not let go
	quit() error
	close()
	wire() string // protocol, for the trace field
}

// open opens the mailbox of a source.
func (s *Service) open(ctx context.Context, x *source, peer *netip.AddrPort) (box, error) {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			*peer = at
		}
		return patient{conn}, nil
	}
	if x.POP3 {
		c, err := pop3.Open(ctx, pop3.Options{Address: x.Address, Implicit: x.Implicit, TLS: x.TLS, Credentials: x.Credentials, Dial: dial})
		if err != nil {
			return nil, err
		}
		return popBox{c}, nil
	}
	c, err := imap.Open(ctx, imap.Options{Address: x.Address, Implicit: x.Implicit, TLS: x.TLS, Credentials: x.Credentials, Folder: x.Folder, Dial: dial})
	if err != nil {
		return nil, err
	}
	return imapBox{c}, nil
}

// patient is a connection on which each read and write has an end.
type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	p.Conn.SetReadDeadline(time.Now().Add(idle))
	return p.Conn.Read(b)
}

func (p patient) Write(b []byte) (int, error) {
	p.Conn.SetWriteDeadline(time.Now().Add(idle))
	return p.Conn.Write(b)
}

type popBox struct{ c *pop3.Session }

func (b popBox) list() (out []item, err error) {
	all, err := b.c.List()
	for _, m := range all {
		out = append(out, item{m.UID, uint32(m.Number), m.Size})
	}
	return out, err
}

func (b popBox) fetch(i item) (io.Reader, error) { return b.c.Fetch(int(i.number)) }

func (b popBox) remove(all []item) (not map[string]bool, err error) {
	not = map[string]bool{}
	for _, i := range all {
		err := b.c.Delete(int(i.number))
		switch {
		case errors.Is(err, pop3.ErrNo):
			not[i.name] = true
		case err != nil:
			return nil, err
		}
	}
	return not, nil
}

func (b popBox) quit() error  { return b.c.Quit() }
func (b popBox) close()       { b.c.Close() }
func (b popBox) wire() string { return "POP3S (" + b.c.TLS() + ")" }

type imapBox struct{ c *imap.Session }

func (b imapBox) list() (out []item, err error) {
	all, err := b.c.List()
	for _, m := range all {
		out = append(out, item{fmt.Sprintf("%d/%d", b.c.Validity(), m.UID), m.UID, m.Size})
	}
	return out, err
}

func (b imapBox) fetch(i item) (io.Reader, error) { return b.c.Fetch(i.number), nil }

func (b imapBox) remove(all []item) (map[string]bool, error) {
	var uids []uint32
	for _, i := range all {
		uids = append(uids, i.number)
	}
	return nil, b.c.Remove(uids)
}

func (b imapBox) quit() error  { return b.c.Quit() }
func (b imapBox) close()       { b.c.Close() }
func (b imapBox) wire() string { return "IMAPS (" + b.c.TLS() + ")" }
