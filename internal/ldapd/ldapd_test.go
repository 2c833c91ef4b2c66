package ldapd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"carepost/addr"
)

// practice is a small directory.
func practice() Directory {
	entry := func(endpoint string, certs ...string) Entry {
		e := Entry{For: addr.Address{Endpoint: endpoint, Domain: "h.example"}}
		for _, c := range certs {
			e.Certificates = append(e.Certificates, []byte(c))
		}
		return e
	}
	return Directory{Domain: "h.example", Entries: []Entry{
		entry("", "org"), entry("lab", "one", "two"), entry("O'Neil+x", "three"), entry("a,b=c", "four"), entry("lab", "five"),
	}}
}

func newPractice(t testing.TB) *tree {
	t.Helper()
	tree, err := newTree(practice())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// serve starts a server on loopback and returns its host:port. It stops with the test.
func serve(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// eq, and the like, write filters.
func eq(attribute, value string) []byte {
	return encode(filterEquality, octets(attribute), octets(value))
}
func has(attribute string) []byte { return encode(filterPresent, []byte(attribute)) }
func sub(attribute string, pieces ...[]byte) []byte {
	return encode(filterSubstrings, octets(attribute), encode(tagSequence, pieces...))
}
func initial(s string) []byte { return encode(0x80, []byte(s)) }
func middle(s string) []byte  { return encode(0x81, []byte(s)) }
func final(s string) []byte   { return encode(0x82, []byte(s)) }

// ask is a search request as it goes over the wire.
func ask(base string, scope int, filter []byte, attributes ...string) []byte {
	var list [][]byte
	for _, a := range attributes {
		list = append(list, octets(a))
	}
	return encode(searchRequest, octets(base), integer(tagEnum, scope), integer(tagEnum, 0), integer(tagInteger, 0), integer(tagInteger, 0),
		encode(tagBoolean, []byte{0}), filter, encode(tagSequence, list...))
}

func request(op []byte) []byte { return message{id: 7}.reply(op) }

// search runs a request against a tree and returns the names that it shows and how it ends.
func run(t testing.TB, tree *tree, op []byte) (shown []string, r result) {
	t.Helper()
	b := body(op)
	_, content, err := b.next()
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseSearch(content)
	if err != nil {
		t.Fatalf("%x: %v", op, err)
	}
	r = tree.search(q, func(n *node) {
		mail, _ := n.find("mail")
		shown = append(shown, strings.Join(append(mail, n.dn[:min(len(n.dn), 3)]), " "))
	})
	return shown, r
}

// What is shown to whom: addresses to who names them, the organisation to everybody. ATT-29.
func TestShown(t *testing.T) {
	tree := newPractice(t)
	const base = "dc=h,dc=example"
	certificate := encode(filterOr, has("userCertificate;binary"), has("userCertificate"))
	for _, tc := range []struct {
		name   string
		base   string
		scope  int
		filter []byte
		want   string // mails, in order; "-" for those above
		code   int
	}{
		{"DIR-43 an address", base, scopeTree, eq("mail", "lab@h.example"), "lab@h.example", success},
		{"DIR-43 a domain", base, scopeTree, eq("mail", "h.example"), "h.example", success},
		{"both filters", base, scopeTree, encode(filterAnd, eq("mail", "lab@h.example"), certificate), "lab@h.example", success},
		{"of a domain", base, scopeTree, encode(filterAnd, eq("mail", "H.example"), certificate), "h.example", success},
		{"capitals", "DC=H, dc = Example", scopeTree, eq("MAIL", "LAB@h.Example"), "lab@h.example", success},
		{"other names of attributes", "0.9.2342.19200300.100.1.25=h,domainComponent=example", scopeTree, eq("rfc822Mailbox", "lab@h.example"), "lab@h.example", success},
		{"signs", base, scopeTree, eq("mail", "o'neil+X@h.example"), "O'Neil+x@h.example", success},
		{"by cn", base, scopeTree, eq("cn", "lab@h.example"), "lab@h.example", success},
		{"nobody", base, scopeTree, eq("mail", "nobody@h.example"), "", success},
		{"one level", unit + "," + base, scopeOne, eq("mail", "lab@h.example"), "lab@h.example", success},
		{"one level too high", base, scopeOne, eq("mail", "lab@h.example"), "", success},
		{"his own name", "mail=lab@h.example," + unit + "," + base, scopeBase, has("objectClass"), "lab@h.example", success},
		{"his own name, tree", "mail=lab@h.example," + unit + "," + base, scopeTree, has("objectClass"), "lab@h.example", success},
		{"escaped", `mail=\22a\2cb\=c\"@h.example,` + unit + "," + base, scopeBase, has("mail"), `"a,b=c"@h.example`, success},
		{"below him", "mail=lab@h.example," + unit + "," + base, scopeOne, has("objectClass"), "", success},
		{"two of them", base, scopeTree, encode(filterOr, eq("mail", "lab@h.example"), eq("mail", `"a,b=c"@h.example`)), `lab@h.example "a,b=c"@h.example`, success},
		{"no base", "", scopeTree, eq("mail", "lab@h.example"), "lab@h.example", success},
		{"no base, one level", "", scopeOne, has("objectClass"), "-", success},

		{"all", base, scopeTree, has("mail"), "h.example", sizeLimitExceeded},
		{"all classes", base, scopeTree, has("objectClass"), "- - h.example", sizeLimitExceeded},
		{"all people", base, scopeTree, eq("objectClass", "inetOrgPerson"), "h.example", sizeLimitExceeded},
		{"a beginning", base, scopeTree, sub("mail", initial("l")), "", sizeLimitExceeded},
		{"a beginning of nobody", base, scopeTree, sub("mail", initial("zz")), "", sizeLimitExceeded},
		{"an end", unit + "," + base, scopeOne, sub("cn", final("h.example")), "h.example", sizeLimitExceeded},
		{"not", base, scopeTree, encode(filterNot, eq("mail", "lab@h.example")), "- - h.example", sizeLimitExceeded},
		{"not of a beginning", base, scopeTree, encode(filterNot, sub("mail", initial("l"))), "- - h.example", sizeLimitExceeded},
		{"one and all", base, scopeTree, encode(filterOr, eq("mail", "lab@h.example"), has("mail")), "lab@h.example h.example", sizeLimitExceeded},
		{"one, if others", base, scopeTree, encode(filterAnd, eq("mail", "lab@h.example"), sub("mail", initial("o'"))), "", success},
		{"certificates", base, scopeTree, certificate, "h.example", sizeLimitExceeded},
		{"true", base, scopeTree, encode(filterAnd), "- - h.example", sizeLimitExceeded},
		{"false", base, scopeTree, encode(filterOr), "", success},
		{"greater", base, scopeTree, encode(filterGreater, octets("mail"), octets("a")), "", sizeLimitExceeded},
		{"extensible", base, scopeTree, encode(filterExtensible, encode(0x83, []byte("a"))), "", sizeLimitExceeded},
		{"no people", base, scopeTree, eq("objectClass", "organization"), "-", success},
		{"units", base, scopeTree, eq("ou", "Certificates"), "-", success},
		{"unknown attribute", base, scopeTree, has("telephoneNumber"), "", sizeLimitExceeded},
		{"unknown option", base, scopeTree, has("userCertificate;lang-de"), "", success},
		{"by certificate", base, scopeTree, eq("userCertificate", "one"), "", sizeLimitExceeded},

		{"elsewhere", "dc=other,dc=example", scopeTree, eq("mail", "lab@h.example"), "", noSuchObject},
		{"above", "dc=example", scopeTree, eq("mail", "lab@h.example"), "", noSuchObject},
		{"no name", "lab@h.example", scopeTree, has("mail"), "", invalidDNSyntax},
		{"no scope", base, 3, has("mail"), "", protocolError},
		{"an absent person", "mail=nobody@h.example," + unit + "," + base, scopeBase, has("mail"), "", noSuchObject},
	} {
		t.Run(tc.name, func(t *testing.T) {
			shown, r := run(t, tree, ask(tc.base, tc.scope, tc.filter))
			var mails []string
			for _, s := range shown {
				if mail, _, found := strings.Cut(s, " "); found {
					mails = append(mails, mail)
				} else {
					mails = append(mails, "-")
				}
			}
			if got := strings.Join(mails, " "); got != tc.want || r.code != tc.code || strings.Contains(r.text, "@") {
				t.Errorf("shown %q, %+v; want %q, %d", got, r, tc.want, tc.code)
			}
		})
	}
}

// Whatever a search asks that names nobody, its answer is the same with other people, or none. ATT-29.
func TestNothingIsTold(t *testing.T) {
	with := newPractice(t)
	d := practice()
	d.Entries = d.Entries[:1]
	without, err := newTree(d)
	if err != nil {
		t.Fatal(err)
	}
	filters := [][]byte{has("mail"), has("cn"), has("objectClass"), sub("mail", initial("l")), sub("mail", middle("a")), sub("sn", final("e")),
		encode(filterLess, octets("mail"), octets("z")), encode(filterApprox, octets("mail"), octets("la")), eq("mail", "la")}
	for i := range filters {
		filters = append(filters, encode(filterNot, filters[i]), encode(filterAnd, filters[i], filters[(i+3)%9]), encode(filterOr, filters[i], filters[(i+4)%9]))
	}
	for _, base := range []string{"", "dc=h,dc=example", unit + ",dc=h,dc=example"} {
		for scope := range 3 {
			for _, f := range filters {
				a, x := run(t, with, ask(base, scope, f))
				b, y := run(t, without, ask(base, scope, f))
				if fmt.Sprint(a, x) != fmt.Sprint(b, y) {
					t.Errorf("%s %d %x: %v %v, without people %v %v", base, scope, f, a, x, b, y)
				}
			}
		}
	}
}

// Wrong directories are refused whole; no error tells an address.
func TestWrongDirectories(t *testing.T) {
	for name, edit := range map[string]func(*Directory){
		"upper case":     func(d *Directory) { d.Domain = "H.example" },
		"no owner":       func(d *Directory) { d.Entries[1].For = addr.Address{} },
		"no certificate": func(d *Directory) { d.Entries[1].Certificates = nil },
		"empty":          func(d *Directory) { d.Entries[1].Certificates[0] = nil },
	} {
		d := practice()
		edit(&d)
		if _, err := New(Options{Directory: d}); err == nil || strings.Contains(err.Error(), "lab") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := New(Options{Directory: practice()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Replace(Directory{Domain: "NO"}) == nil || s.tree.Load().suffixes[0] != "dc=h,dc=example" {
		t.Error("a wrong directory takes the place of a good one")
	}
	if err := s.Replace(Directory{}); err != nil {
		t.Error(err)
	}
	if shown, r := run(t, s.tree.Load(), ask("", scopeTree, has("mail"))); len(shown) > 0 || r.code == noSuchObject {
		t.Errorf("an empty directory: %v %v", shown, r)
	}
}

// Several domains are served beside one another, each below its own naming context; one below another hangs below its directory.
func TestSeveralDomains(t *testing.T) {
	below := Directory{Domain: "eye.h.example", Entries: []Entry{{For: addr.Address{Endpoint: "lab", Domain: "eye.h.example"}, Certificates: [][]byte{[]byte("six")}}}}
	other := Directory{Domain: "o.example", Entries: []Entry{{For: addr.Address{Domain: "o.example"}, Certificates: [][]byte{[]byte("seven")}}}}
	tree, err := newTree(below, practice(), other, Directory{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		base  string
		scope int
		mail  string
		want  string
	}{
		{"dc=eye,dc=h,dc=example", scopeTree, "lab@eye.h.example", "lab@eye.h.example"},
		{"dc=h,dc=example", scopeTree, "lab@eye.h.example", "lab@eye.h.example"},
		{"dc=h,dc=example", scopeTree, "lab@h.example", "lab@h.example"},
		{"dc=o,dc=example", scopeTree, "lab@h.example", ""},
		{"", scopeTree, "o.example", "o.example"},
		{"", scopeTree, "lab@eye.h.example", "lab@eye.h.example"},
		{"ou=certificates,dc=h,dc=example", scopeOne, "lab@eye.h.example", ""},
	} {
		shown, r := run(t, tree, ask(c.base, c.scope, eq("mail", c.mail)))
		if len(shown) > 1 || !strings.HasPrefix(strings.Join(shown, ""), c.want) || (c.want == "") != (len(shown) == 0) || r.code != success {
			t.Errorf("%s below %q: %v %v", c.mail, c.base, shown, r)
		}
	}
	if _, r := run(t, tree, ask("dc=eye,dc=h,dc=example", scopeTree, has("mail"))); r.code != sizeLimitExceeded {
		t.Errorf("people are listed: %v", r)
	}
	root := tree.root()
	if contexts, _ := root.find("namingContexts"); len(root.attrs) == 0 || len(root.attrs[len(root.attrs)-1].values) != 3 {
		t.Errorf("naming contexts: %v", contexts)
	}
	if _, err := newTree(practice(), practice()); err == nil {
		t.Error("a domain has two directories")
	}
}

// talk sends bytes and reads until the connection is closed or quiet.
func talk(t *testing.T, server string, packet []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.Write(packet)
	c.(*net.TCPConn).CloseWrite()
	out, _ := io.ReadAll(c)
	return out
}

// Every operation has its answer; what is no LDAP ends with a notice, whatever it claims of itself, and costs nothing. ATT-30.
func TestOperations(t *testing.T) {
	_, server := serve(t, Options{Directory: practice()})
	bind := func(version int, who string, how byte, secret string) []byte {
		return encode(bindRequest, integer(tagInteger, version), octets(who), encode(how, []byte(secret)))
	}
	deep := has("mail")
	for range 40 {
		deep = encode(filterNot, deep)
	}
	var wide [][]byte
	for range 200 {
		wide = append(wide, has("mail"))
	}
	critical := encode(tagControls, encode(tagSequence, octets("1.2.3"), encode(tagBoolean, []byte{0xff})))
	passing := encode(tagControls, encode(tagSequence, octets("1.2.840.113556.1.4.319"), octets("\x30\x05\x02\x01\x05\x04\x00")))
	search := ask("dc=h,dc=example", scopeTree, eq("mail", "lab@h.example"), "1.1")
	with := func(op, controls []byte) []byte { return encode(tagSequence, integer(tagInteger, 7), op, controls) }
	for _, tc := range []struct {
		name   string
		packet []byte
		op     byte // of the last answer; 0: none
		code   int
	}{
		{"anonymous", request(bind(3, "", 0x80, "")), bindResponse, success},
		{"version 2", request(bind(2, "", 0x80, "")), bindResponse, protocolError},
		{"a password", request(bind(3, "cn=admin,dc=h,dc=example", 0x80, "secret")), bindResponse, invalidCredentials},
		{"a password and no name", request(bind(3, "", 0x80, "secret")), bindResponse, invalidCredentials},
		{"a name and no password", request(bind(3, "cn=admin", 0x80, "")), bindResponse, unwillingToPerform},
		{"SASL", request(bind(3, "", 0xa3, "\x04\x08EXTERNAL")), bindResponse, authMethodNotSupported},
		{"search without bind", request(search), searchDone, success},
		{"add", request(encode(addRequest, octets("dc=x"), encode(tagSequence))), 0x69, unwillingToPerform},
		{"modify", request(encode(modifyRequest, octets("dc=x"), encode(tagSequence))), 0x67, unwillingToPerform},
		{"delete", request(encode(delRequest, []byte("dc=x"))), 0x6b, unwillingToPerform},
		{"rename", request(encode(modDNRequest, octets("dc=x"))), 0x6d, unwillingToPerform},
		{"compare", request(encode(compareRequest, octets("dc=x"))), 0x6f, unwillingToPerform},
		{"abandon", request(encode(abandonRequest, []byte{1})), 0, 0},
		{"unbind", append(request(encode(unbindRequest)), request(search)...), 0, 0},
		{"StartTLS", request(encode(extendedRequest, encode(0x80, []byte(startTLS)))), extendedAnswer, protocolError},
		{"whoami", request(encode(extendedRequest, encode(0x80, []byte("1.3.6.1.4.1.4203.1.11.3")))), extendedAnswer, protocolError},
		{"critical control", with(search, critical), searchDone, unavailableCriticalExtension},
		{"pages, if you can", with(search, passing), searchDone, success},
		{"too deep", request(ask("", scopeTree, deep)), searchDone, adminLimitExceeded},
		{"too wide", request(ask("", scopeTree, encode(filterAnd, wide...))), searchDone, adminLimitExceeded},
		{"too many attributes", request(ask("", scopeTree, has("mail"), strings.Fields(strings.Repeat("cn ", 200))...)), searchDone, adminLimitExceeded},
		{"a name too long", request(ask(strings.Repeat("dc=a,", 1000)+"dc=b", scopeTree, has("mail"))), searchDone, invalidDNSyntax},
		{"HTTP", []byte("GET / HTTP/1.0\r\n\r\n"), extendedAnswer, protocolError},
		{"claims 4 GiB", []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1}, extendedAnswer, protocolError},
		{"claims 17 KiB", []byte{0x30, 0x82, 0x44, 0, 2, 1}, extendedAnswer, protocolError},
		{"a length of nine octets", []byte{0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1}, extendedAnswer, protocolError},
		{"no length", []byte{0x30, 0x80, 2, 1, 1, 0, 0}, extendedAnswer, protocolError},
		{"inner claim", request([]byte{searchRequest, 0x84, 0x7f, 0xff, 0xff, 0xff, 0}), extendedAnswer, protocolError},
		{"unknown operation", request(encode(0x7e, []byte{1})), extendedAnswer, protocolError},
		{"a response", request(encode(searchDone, integer(tagEnum, 0), octets(""), octets(""))), extendedAnswer, protocolError},
		{"no id", encode(tagSequence, search), extendedAnswer, protocolError},
		{"negative id", encode(tagSequence, encode(tagInteger, []byte{0xff}), search), extendedAnswer, protocolError},
		{"not of nothing", request(ask("", scopeTree, encode(filterNot))), extendedAnswer, protocolError},
		{"not of two", request(ask("", scopeTree, encode(filterNot, has("a"), has("b")))), extendedAnswer, protocolError},
		{"substring of nothing", request(ask("", scopeTree, sub("mail"))), extendedAnswer, protocolError},
		{"beginning at the end", request(ask("", scopeTree, sub("mail", final("a"), initial("b")))), extendedAnswer, protocolError},
		{"half a message", request(search)[:20], 0, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var last message
			for out := body(talk(t, server, tc.packet)); len(out) > 0; {
				m, err := out.want(tagSequence)
				if err != nil {
					t.Fatal(err)
				}
				if last, err = parseMessage(m); err != nil {
					t.Fatalf("%s: %v", hex.EncodeToString(m), err)
				}
			}
			if last.op != tc.op {
				t.Fatalf("answer %#x, want %#x", last.op, tc.op)
			}
			if tc.op == 0 {
				return
			}
			if code, err := last.content.number(tagEnum); err != nil || code != tc.code {
				t.Errorf("result %d, %v; want %d", code, err, tc.code)
			}
		})
	}
	if out := talk(t, server, request(search)); !bytes.Contains(out, []byte("mail=lab@h.example")) {
		t.Error("after all that nobody is served")
	}
}

// Numbers are written as X.690 §8.3 has it.
func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "020100", 127: "02017f", 128: "02020080", 255: "020200ff", 256: "02020100", 32767: "02027fff", 32768: "0203008000", 1<<31 - 1: "02047fffffff"} {
		b := body(integer(tagInteger, n))
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("%d: %s", n, got)
		}
		if back, err := b.number(tagInteger); err != nil || back != n {
			t.Errorf("%d: %d, %v", n, back, err)
		}
	}
}

// Anybody may send anything.
func FuzzServe(f *testing.F) {
	s, err := New(Options{Directory: practice()})
	if err != nil {
		f.Fatal(err)
	}
	for _, op := range [][]byte{
		ask("dc=h,dc=example", scopeTree, encode(filterAnd, eq("mail", "lab@h.example"), encode(filterNot, sub("cn", initial("a"), middle("b"), final("c"))))),
		ask(`mail=a\2cb\=c@h.example,ou=certificates,dc=h,dc=example`, scopeBase, has("objectClass"), "*", "+", "1.1", "userCertificate"),
		encode(bindRequest, integer(tagInteger, 3), octets(""), encode(0x80)), encode(extendedRequest, encode(0x80, []byte(startTLS))),
	} {
		f.Add(request(op))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var answers bytes.Buffer
		w := bufio.NewWriter(&answers)
		var buf [maxMessage]byte
		for in := bytes.NewReader(packet); ; {
			raw, err := readMessage(in, &buf)
			if err != nil {
				break
			}
			m, err := parseMessage(raw)
			if err != nil || s.answer(m, w, func(int) {}) != nil {
				break
			}
		}
		w.Flush()
		out := answers.Bytes()
		for b := body(out); len(b) > 0; {
			if _, err := b.want(tagSequence); err != nil {
				t.Fatalf("%x answers %x", packet, out)
			}
		}
	})
}
