package ldapd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/ldap"
	"carepost/ldap/ldaptest"
	"carepost/trust/certtest"
)

// certified is a directory with real certificates.
type certified struct {
	Directory
	lab, lab2, org, sign certtest.Pair
}

func newCertified(t *testing.T) certified {
	t.Helper()
	ca := certtest.NewCA(t, "Trial CA")
	c := certified{lab: ca.Issue(t, "lab@h.example"), lab2: ca.Issue(t, "lab@h.example"), org: ca.Issue(t, "h.example"), sign: ca.Issue(t, `o'neil+x@h.example`)}
	c.Directory = Directory{Domain: "h.example", Entries: []Entry{
		{For: addr.Address{Domain: "h.example"}, Certificates: [][]byte{c.org.Certificate.Raw}},
		{For: addr.Address{Endpoint: "lab", Domain: "h.example"}, Certificates: [][]byte{c.lab.Certificate.Raw, c.lab2.Certificate.Raw}},
		{For: addr.Address{Endpoint: "O'Neil+x", Domain: "h.example"}, Certificates: [][]byte{c.sign.Certificate.Raw}},
		{For: addr.Address{Endpoint: "a,b=c", Domain: "h.example"}, Certificates: [][]byte{c.lab.Certificate.Raw}},
	}}
	return c
}

// ldapsearch returns what OpenLDAP's ldapsearch prints, without comments and folding, and its exit code, which is that of the server.
func ldapsearch(t *testing.T, server string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ldapsearch", append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-o", "nettimeout=20", "-H", "ldap://" + server}, args...)...)
	cmd.Env = append(os.Environ(), "LDAPNOINIT=1")
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("ldapsearch is missing: make peers installs it: %v", err)
	}
	return out.String() + trouble.String(), cmd.ProcessState.ExitCode()
}

// DIR-43: what OpenLDAP's client reads of us.
func TestLdapsearch(t *testing.T) {
	c := newCertified(t)
	_, server := serve(t, Options{Directory: c.Directory})
	attribute := func(p certtest.Pair) string {
		var b strings.Builder
		line(&b, "userCertificate;binary", string(p.Certificate.Raw))
		return strings.ReplaceAll(b.String(), "\n ", "")
	}
	base := []string{"-b", "dc=h,dc=example"}
	guide := func(mail string) string {
		return fmt.Sprintf("(&(mail=%[1]s)(|(userCertificate;binary=*)(userCertificate=*)))", mail)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string
		not  string
	}{
		{"root", []string{"-b", "", "-s", "base", "namingContexts", "supportedLDAPVersion"}, 0, []string{"namingContexts: dc=h,dc=example", "supportedLDAPVersion: 3"}, "vendorName"},
		{"root, all of it", []string{"-b", "", "-s", "base", "+", "*"}, 0, []string{"objectClass: top", "vendorName: Carepost"}, ""},
		{"root, users'", []string{"-b", "", "-s", "base"}, 0, []string{"objectClass: top"}, "namingContexts"},
		{"DIR-43 address", append(base, "mail=LAB@h.example"), 0, []string{attribute(c.lab), attribute(c.lab2), "objectClass: inetOrgPerson", "mail: lab@h.example"}, "mail: h.example"},
		{"DIR-43 address, the guide's filter", append(base, guide("lab@h.example"), "userCertificate", "userCertificate;binary"), 0, []string{attribute(c.lab), attribute(c.lab2)}, "mail:"},
		{"DIR-43 domain", append(base, guide("h.example"), "userCertificate"), 0, []string{attribute(c.org)}, "mail:"},
		{"DIR-43 domain, binary", append(base, "mail=h.example", "userCertificate;binary"), 0, []string{attribute(c.org)}, "mail:"},
		{"signs", append(base, `mail=o'neil\2bX@h.example`), 0, []string{attribute(c.sign), "dn: mail=O'Neil\\2Bx@h.example,ou="}, ""},
		{"quoted", []string{"-b", `mail=\"a\,b\=c\"@h.example,ou=certificates,dc=h,dc=example`, "-s", "base", "mail"}, 0, []string{`mail: "a,b=c"@h.example`}, ""},
		{"names only", append(base, "-A", "mail=lab@h.example", "mail", "userCertificate"), 0, []string{"mail:\n", "userCertificate;binary:\n"}, "lab2"},
		{"nothing of it", append(base, "mail=lab@h.example", "1.1"), 0, []string{"dn: mail=lab@h.example"}, "mail:"},
		{"nobody", append(base, "mail=nobody@h.example"), 0, nil, "dn:"},
		{"everybody", append(base, "mail=*", "mail"), 4, []string{"mail: h.example", "ask for one by mail=ADDRESS"}, "lab@"},
		{"a beginning", append(base, "mail=l*", "mail"), 4, nil, "lab@"},
		{"size limit", append(base, "-z", "1", "objectClass=*", "dn"), 4, []string{"dn: dc=h,dc=example"}, "dn: ou="},
		{"pages", append(base, "-E", "pr=10/noprompt", "mail=lab@h.example", "mail"), 0, []string{"mail: lab@h.example"}, ""},
		{"pages, or nothing", append(base, "-E", "!pr=10/noprompt", "mail=lab@h.example", "mail"), 12, nil, "lab@h.example\n"},
		{"elsewhere", []string{"-b", "dc=other", "mail=*"}, 32, nil, "dn:"},
		{"a password", append(base, "-D", "cn=admin,dc=h,dc=example", "-w", "secret", "mail=*"), 49, nil, "dn:"},
		{"TLS or nothing", append(base, "-ZZ", "mail=*"), 1, []string{"TLS is not offered"}, "dn:"},
		{"version 2", append(base, "-P", "2", "mail=*"), 2, nil, "dn:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, code := ldapsearch(t, server, tc.args...)
			if code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q", want)
				}
			}
			if tc.not != "" && strings.Contains(out, tc.not) {
				t.Errorf("%q is there", tc.not)
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
	change := exec.CommandContext(t.Context(), "ldapmodify", "-x", "-H", "ldap://"+server)
	change.Stdin = strings.NewReader("dn: mail=lab@h.example,ou=certificates,dc=h,dc=example\nchangetype: delete\n")
	if out, err := change.CombinedOutput(); err == nil || !strings.Contains(string(out), "unwilling to perform (53)") {
		t.Errorf("ldapmodify: %v\n%s", err, out)
	}
}

// DIR-43: OpenLDAP loads our LDIF as it is, and says the same as we do, to its own client and to ours.
func TestSlapd(t *testing.T) {
	c := newCertified(t)
	ldif, err := c.LDIF()
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(ldif) {
		if len(l) > width+1 {
			t.Errorf("line %.90q", l)
		}
	}
	theirs := ldaptest.Start(t, []string{"dc=h,dc=example"}, ldif).Address
	_, ours := serve(t, Options{Directory: c.Directory})
	for _, filter := range []string{"mail=lab@h.example", "mail=h.example", `mail=o'neil+x@h.example`, `mail="a,b=c"@h.example`, "ou=certificates"} {
		var said [2]string
		for i, server := range []string{ours, theirs} {
			out, code := ldapsearch(t, server, "-b", "dc=h,dc=example", filter)
			if code != 0 || out == "" {
				t.Errorf("%s: %s: %d\n%s", server, filter, code, out)
			}
			said[i] = out
		}
		if said[0] != said[1] {
			t.Errorf("%s: we say\n%s\nslapd\n%s", filter, said[0], said[1])
		}
	}
	for _, server := range []string{ours, theirs} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		conn, err := net.Dial("tcp", server)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ldap.Open(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		bases, err := s.Bases(ctx)
		if err != nil || len(bases) != 1 {
			t.Fatalf("%v, %v", bases, err)
		}
		for mail, want := range map[string][][]byte{"lab@h.example": {c.lab.Certificate.Raw, c.lab2.Certificate.Raw}, "h.example": {c.org.Certificate.Raw}, "nobody@h.example": nil} {
			r, err := s.Certificates(ctx, bases[0], mail)
			var got [][]byte
			for _, e := range r.Entries {
				got = append(got, e.Values...)
			}
			if err != nil || r.Cut || len(got) != len(want) || len(got) > 0 && !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) {
				t.Errorf("%s: %d certificates, %v", mail, len(got), err)
			}
		}
	}
}
