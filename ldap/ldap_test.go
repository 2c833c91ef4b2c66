package ldap_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"carepost/ldap"
	"carepost/ldap/ldaptest"
	"carepost/trust/certtest"
)

func open(t *testing.T, address string) *ldap.Session {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := ldap.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// DIR-11: what the discovery guide publishes in OpenLDAP is found: by address and by domain, in every naming context.
func TestOpenLDAP(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	lab, lab2, org := ca.Issue(t, "lab@h.example").Certificate, ca.Issue(t, "lab@h.example").Certificate, ca.Issue(t, "h.example").Certificate
	const one, two = "ou=one", "dc=h,dc=example"
	s := open(t, ldaptest.Start(t, []string{one, two},
		ldaptest.Root(one), ldaptest.Entry(one, "lab", "lab@h.example", lab, lab2), ldaptest.Entry(one, "desk", "desk@h.example"),
		ldaptest.Root(two), ldaptest.Entry(two, "h.example", "h.example", org), ldaptest.Entry(two, "odd", "o(d*d\\@h.example", lab)).Address)
	bases, err := s.Bases(t.Context())
	slices.Sort(bases)
	if err != nil || !slices.Equal(bases, []string{two, one}) {
		t.Fatalf("%q, %v", bases, err)
	}
	for _, tc := range []struct {
		base, mail, dn string
		values         int
	}{
		{one, "lab@h.example", "cn=lab,ou=one", 2}, {one, "LAB@H.example", "cn=lab,ou=one", 2}, {two, "lab@h.example", "", 0},
		{two, "h.example", "cn=h.example,dc=h,dc=example", 1}, {one, "desk@h.example", "", 0}, {one, "*", "", 0}, {one, "lab@h.example)(mail=*", "", 0},
		{two, "o(d*d\\@h.example", "cn=odd,dc=h,dc=example", 1}, {"ou=elsewhere", "lab@h.example", "", 0}, {one, "", "", 0},
	} {
		r, err := s.Certificates(t.Context(), tc.base, tc.mail)
		if err != nil || (len(r.Entries) == 0) != (tc.dn == "") || r.Cut {
			t.Errorf("%s below %s: %+v, %v", tc.mail, tc.base, r, err)
			continue
		}
		if tc.dn != "" && (r.Entries[0].DN != tc.dn || len(r.Entries[0].Values) != tc.values) {
			t.Errorf("%s: %s with %d values", tc.mail, r.Entries[0].DN, len(r.Entries[0].Values))
		}
	}
}

// More entries than are read: what was read counts, and it is told that there is more.
func TestManyEntries(t *testing.T) {
	c := certtest.NewCA(t, "Trial CA").Issue(t, "h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	ldif := []string{ldaptest.Root("ou=x")}
	for i := range 40 {
		ldif = append(ldif, ldaptest.Entry("ou=x", fmt.Sprint("n", i), "h.example", c))
	}
	s := open(t, ldaptest.Start(t, []string{"ou=x"}, ldif...).Address)
	r, err := s.Certificates(t.Context(), "ou=x", "h.example")
	if err != nil || len(r.Entries) != 32 || !r.Cut {
		t.Errorf("%d entries, %v, %v", len(r.Entries), r.Cut, err)
	}
}
