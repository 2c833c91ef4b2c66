// Package ldap asks directories of strangers for certificates: a client of LDAP v3 that binds anonymously, reads where the directory
// begins, and searches for the certificates of one mail value. It writes nothing.
//
// It follows RFC 4511 (messages, definite lengths alone), RFC 4512 §5.1 (root DSE, namingContexts), RFC 4515 (filters), RFC 4523
// (userCertificate in ;binary form) and what the conformance tests of the S&I Certificate Discovery guide ask of a client: anonymous
// bind, every naming context, both filters, both attributes.
//
// It departs from them: referrals and references are counted and never followed, since they lead wherever a stranger wants; there is no
// TLS, as the guide names none and what is asked for is public. What a server sends is measured before anything reads it: one message,
// all messages of a session, their number, their elements and depth are bounded, and a length that is claimed allocates nothing.
package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	ldapv3 "github.com/go-ldap/ldap/v3"
)

const (
	maxBases   = 8    // naming contexts that are searched
	maxBase    = 1024 // octets of one's name
	maxEntries = 32   // entries of one search
	maxValues  = 32   // certificates of one search
	maxMail    = 320  // octets of a mail value: 64 + 1 + 255 (RFC 5321 §4.5.3.1)

	serverSeconds = 10 // what a server is told that a search may take (RFC 4511 §4.5.1.5)
)

// ErrLimit says that the server sent more than is read.
var ErrLimit = errors.New("ldap: the server sends more than is read")

// ErrMalformed says that what the server sent is no LDAP.
var ErrMalformed = errors.New("ldap: the server does not speak LDAP")

// ResultError is a result code other than success (RFC 4511 §4.1.9, Appendix A). What the server says besides is not repeated.
type ResultError struct{ Code uint16 }

func (e *ResultError) Error() string {
	if text := ldapv3.LDAPResultCodeMap[e.Code]; text != "" {
		return fmt.Sprintf("ldap: the server answers %q (result code %d)", strings.ToLower(text), e.Code)
	}
	return fmt.Sprintf("ldap: the server answers with result code %d", e.Code)
}

// Session is a connection to one server, bound anonymously. It is safe for concurrent use.
type Session struct {
	guard *guard
	conn  *ldapv3.Conn
	close sync.Once
}

// Open takes over conn and binds anonymously. ctx bounds the binding alone.
func Open(ctx context.Context, conn net.Conn) (*Session, error) {
	g := newGuard(conn)
	s := &Session{guard: g, conn: ldapv3.NewConn(g, false)}
	s.conn.Start()
	defer context.AfterFunc(ctx, func() { g.Close() })()
	if err := s.conn.UnauthenticatedBind(""); err != nil {
		s.Close()
		return nil, s.reason(ctx, err)
	}
	return s, nil
}

// Close ends the connection.
func (s *Session) Close() {
	s.close.Do(func() {
		s.guard.Close() // first: nothing that waits for the server waits on
		s.conn.Close()
	})
}

// Bases returns the naming contexts of the server's root DSE (RFC 4512 §5.1), eight at most; none is an answer.
func (s *Session) Bases(ctx context.Context) ([]string, error) {
	var out []string
	r, err := s.search(ctx, ldapv3.SearchRequest{Scope: ldapv3.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: []string{"namingContexts"}})
	if err != nil {
		return nil, err
	}
	for _, e := range r.entries {
		for _, a := range e.Attributes {
			if !strings.EqualFold(a.Name, "namingContexts") {
				continue
			}
			for _, base := range a.Values {
				if len(out) < maxBases && len(base) <= maxBase && !slices.Contains(out, base) {
					out = append(out, base)
				}
			}
		}
	}
	return out, nil
}

// Entry is one with certificates.
type Entry struct {
	DN     string
	Values [][]byte // of userCertificate;binary, or else of userCertificate: DER, as it is hoped
}

// Result of a search.
type Result struct {
	Entries  []Entry
	Cut      bool // there is more than is read, or than the server gives
	Referred bool // the server names other servers, which are not asked
}

// filters are those of the guide's two readings: some servers answer one, some the other.
var filters = [...]string{"(mail=%[1]s)", "(&(mail=%[1]s)(|(userCertificate;binary=*)(userCertificate=*)))"}

// Certificates searches below base for entries whose mail is the given value, an address or a domain.
func (s *Session) Certificates(ctx context.Context, base, mail string) (Result, error) {
	if mail == "" || len(mail) > maxMail {
		return Result{}, nil // nothing can be published under it
	}
	var out Result
	for _, filter := range filters {
		r, err := s.search(ctx, ldapv3.SearchRequest{
			BaseDN: base, Scope: ldapv3.ScopeWholeSubtree, SizeLimit: maxEntries, Filter: fmt.Sprintf(filter, ldapv3.EscapeFilter(mail)),
			Attributes: []string{"userCertificate", "userCertificate;binary"},
		})
		if err != nil {
			return out, err
		}
		out.Cut, out.Referred = out.Cut || r.cut, out.Referred || r.referred
		values := 0
		for _, e := range r.entries {
			entry := Entry{DN: e.DN, Values: certificates(e)}
			if left := maxValues - values; len(entry.Values) > left {
				entry.Values, out.Cut = entry.Values[:left], true
			}
			if values += len(entry.Values); len(entry.Values) > 0 {
				out.Entries = append(out.Entries, entry)
			}
		}
		if len(out.Entries) > 0 {
			break
		}
	}
	return out, nil
}

// certificates are the values of one entry: the ;binary form where both come (RFC 4523 §2.1).
func certificates(e *ldapv3.Entry) [][]byte {
	var plain, binary [][]byte
	for _, a := range e.Attributes {
		name, options, _ := strings.Cut(strings.ToLower(a.Name), ";")
		switch {
		case name != "usercertificate" && name != "2.5.4.36":
		case slices.Contains(strings.Split(options, ";"), "binary"):
			binary = append(binary, a.ByteValues...)
		default:
			plain = append(plain, a.ByteValues...)
		}
	}
	if len(binary) > 0 {
		return binary
	}
	return plain
}

// found is what one search yields.
type found struct {
	entries       []*ldapv3.Entry
	cut, referred bool
}

// search asks once. The session ends with ctx: what the server still sends is nobody's any more.
func (s *Session) search(ctx context.Context, q ldapv3.SearchRequest) (out found, err error) {
	if ctx.Err() != nil {
		return out, s.reason(ctx, nil)
	}
	defer context.AfterFunc(ctx, func() { s.guard.Close() })()
	q.DerefAliases, q.TimeLimit, q.EnforceSizeLimit = ldapv3.NeverDerefAliases, serverSeconds, true
	r, err := s.conn.Search(&q)
	if r != nil {
		out.entries, out.referred = r.Entries, len(r.Referrals) > 0
	}
	switch {
	case err == nil:
		return out, nil
	case ldapv3.IsErrorAnyOf(err, ldapv3.LDAPResultNoSuchObject):
		return found{}, nil
	case ldapv3.IsErrorAnyOf(err, ldapv3.LDAPResultReferral):
		return found{referred: true}, nil
	case errors.Is(err, ldapv3.ErrSizeLimitExceeded), len(out.entries) > 0 && ldapv3.IsErrorAnyOf(err, ldapv3.LDAPResultSizeLimitExceeded, ldapv3.LDAPResultAdminLimitExceeded):
		out.cut = true
		return out, nil
	}
	return found{}, s.reason(ctx, err)
}

// reason says why there is no answer, in our words: those of the library and the server may tell who was asked about.
func (s *Session) reason(ctx context.Context, err error) error {
	if bad := s.guard.failure(); bad != nil {
		return bad
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("ldap: no answer in time: %w", cause)
	}
	var e *ldapv3.Error
	if errors.As(err, &e) && e.ResultCode != 0 && e.ResultCode < ldapv3.ErrorNetwork {
		return &ResultError{e.ResultCode}
	}
	if errors.As(err, &e) && e.Packet != nil {
		return ErrMalformed
	}
	return errors.New("ldap: the connection broke off")
}
