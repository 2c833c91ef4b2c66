package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"carepost/ldap/ldaptest"
	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

// DIR-11: the search goes on by LDAP, and each step is told as a person would tell it.
func TestCertFindLDAP(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	lab := ca.Issue(t, "lab@h.example").Certificate
	anchor := certtest.WriteCertificates(t, t.TempDir(), "anchor.pem", ca.Certificate)
	at := ldaptest.Start(t, []string{"ou=staff"}, ldaptest.Root("ou=staff"), ldaptest.Entry("ou=staff", "lab", "lab@h.example", lab)).Address
	dead := ldaptest.Dead(t)
	s := resolvertest.Start(t, "one.h.example. 60 IN A 127.0.0.1", "one.gone.example. 60 IN A 127.0.0.1")
	for i, address := range []string{dead, at} {
		_, port, _ := net.SplitHostPort(address)
		s.Add(t, fmt.Sprintf("_ldap._tcp.h.example. 60 IN SRV %d 0 %s one.h.example.", i, port))
	}
	_, gone, _ := net.SplitHostPort(dead)
	s.Add(t, "_ldap._tcp.gone.example. 60 IN SRV 0 0 "+gone+" one.gone.example.")
	allow := []string{"--dns", s.Addr, "--ldap-allow", at, "--ldap-allow", dead}

	out, code, err := certFindOut(t, append(allow, "lab@h.example", "--anchor", anchor, "--crl", certtest.WriteCRL(t, t.TempDir(), "ca.crl", ca.CRL(t)))...)
	t.Log(out)
	if code != 0 {
		t.Fatalf("exit %d, %v", code, err)
	}
	for _, want := range []string{"DNS CERT", "no certificate record", "_ldap._tcp.h.example", "2 servers: one.h.example:" + gone + " (priority 0, weight 0), ", "there is no connection to the server: the next one is asked",
		"the directory begins at ou=staff", "mail=lab@h.example", "1 certificate, address-bound", "entry cn=lab,ou=staff", "Trusted."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	out, code, err = certFindOut(t, append(allow, "lab@h.example", "--json")...)
	var r certReport
	if jsonErr := json.Unmarshal([]byte(out), &r); jsonErr != nil || code != 0 || len(r.Certificates) != 1 || r.Certificates[0].Source != "LDAP" || r.Certificates[0].Entry != "cn=lab,ou=staff" || len(r.Steps) != 6 {
		t.Errorf("%v, exit %d, %v\n%s", jsonErr, code, err, out)
	}
	for _, tc := range []struct {
		who, said string
		code      int
		args      []string
	}{
		{"desk@h.example", "neither in DNS nor by LDAP", 3, allow},
		{"lab@h.example", "LDAP was not asked", 3, []string{"--dns", s.Addr, "--no-ldap"}},
		{"lab@gone.example", "none of them answers", 1, allow},
		{"lab@h.example", "none of them answers", 1, []string{"--dns", s.Addr}}, // the loopback is no public address
		{"lab@h.example", "contradict", 2, append([]string{"--no-ldap"}, allow...)},
		{"lab@h.example", "is not IP:PORT", 2, []string{"--ldap-allow", "localhost"}},
	} {
		out, code, err := certFindOut(t, append(tc.args, tc.who)...)
		if code != tc.code || !strings.Contains(out+fmt.Sprint(err), tc.said) {
			t.Errorf("%s %v: exit %d, %v\n%s", tc.who, tc.args, code, err, out)
		}
	}
}
