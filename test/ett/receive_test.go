package ett

import (
	"bytes"
	"crypto/elliptic"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/trust/certtest"
)

// receiving is a case in which the tool sends and the installation answers, or does not.
type receiving struct {
	name   string
	from   string // the sender, an address of the tool; "" = made of its number
	to     string // the recipient as written; "" = desk@north.example
	mail   string // MAIL FROM; "" = from
	named  string // whom the header names; "" = to
	form   form
	fields []string
	entity string
	want   string // the notices that come back: the processed one first, the others in any order

	id string
}

// What comes back.
const (
	processed = "processed"
	reached   = "processed dispatched" // with the field of the final delivery
	refused   = "processed failed"
	silence   = ""
)

// whys are how the reasons of silence begin that the audit gives.
var whys = map[string]string{
	"sha1_of_the_old_edition": "Direct 2.6", "RSA_LESS_THAN_2048": "Direct 2.6",
	"INVALID_CERT": "Direct 4.1.1", "WILD_CARD_DOMAIN": "Direct 4.1.2 a wildcard",
	"EXPIRED": "Direct 4 (1) the certificate expired", "EC_expired": "Direct 4 (1) the certificate expired",
	"DIFFERENT_TRUST_ANCHOR": "Direct 4.2.3 no path", "NT_untrusted": "Direct 4.2.3 no path", "BAD_AIA": "Direct 4.2.2",
	"NO_CRL_where_one_is_demanded": "Direct 4 (3) the certificate names no place", "RevokedCert": "Direct 4 (3) the certificate, serial",
	"NO_NOTBEFORE": "Direct 2.5.2", "NO_NOTAFTER": "Direct 2.5.2", // what is no certificate is none
	"v1.3_not_wrapped": "Direct 2.4 the message is not wrapped", "v1.3_MAIL_FROM_is_not_From": "Direct 2.2 the envelope's sender",
	"v1.3_RCPT_TO_is_not_named": "Direct 2.2 the message names this recipient", "v1.3_sha1": "Direct 2.6",
	"InvalidDigest": "Direct 4 (2) the signature does not fit", "INVALID_DIGEST_part_header": "Direct 4 (2) the signature does not fit",
}

var expired = certtest.Until(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))

// receivings are facts §5b and the receiving suites of §5e.
func (x *tool) receivings() (all []*receiving) {
	org := []identity{x.org}
	comes := func(want, name string, f form, entity string) *receiving {
		if f.signers == nil {
			f.signers = org
		}
		r := &receiving{name: name, form: f, entity: entity, want: want}
		all = append(all, r)
		return r
	}
	for _, md := range []string{"sha256", "sha384", "sha512"} {
		comes(processed, "good_"+md, form{md: md}, "")
	}
	comes(silence, "sha1_of_the_old_edition", form{md: "sha1"}, "") // docs/divergences.md
	for _, c := range []string{"aes-128-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"} {
		comes(processed, "good_"+c, form{cipher: c}, "")
	}
	comes(processed, "OAEPSHA1", form{oaep: "sha1"}, "")
	comes(processed, "OAEPSHA256", form{oaep: "sha256"}, "")
	for name, entity := range documents {
		comes(processed, name, form{}, entity)
	}
	all = append(all, x.certificates()...)
	all = append(all, x.profiles()...)

	spoil := func(b []byte) []byte { return bytes.Replace(b, []byte("The knee"), []byte("The hand"), 1) }
	comes(silence, "InvalidDigest", form{signed: spoil}, "")
	comes(silence, "INVALID_DIGEST_part_header", form{signed: func(b []byte) []byte {
		return bytes.Replace(b, []byte("Content-Type: message/rfc822"), []byte("Content-Type: message/rfc822; x=y"), 1)
	}}, "")
	comes(processed, "AllCapsLocalPart", form{}, "").to = "DESK@north.example"
	comes(processed, "LowerCaseLocalPart", form{}, "").to = "desk@north.example"
	for _, name := range []string{"MT39_good_header", "DeliveryIG"} {
		comes(reached, name, form{}, "").fields = []string{"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true"}
	}
	for name, field := range map[string]string{
		"MT40_bad_header":               "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY",
		"BadNotificationRequestHeader":  "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=true",
		"bad_header_of_another_name":    "Disposition-Notification-Options: X-XXX-FINAL-DESTINATION-DELIVERY=optional,true",
		"bad_header_that_says_no":       "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,false",
		"bad_header_of_two_importances": "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,required,true",
	} {
		comes(processed, name, form{}, "").fields = []string{field}
	}
	comes(refused, "MT41_not_deliverable", form{}, "").to = "nobody@north.example"
	lost := comes(refused, "MT41_not_deliverable_good_header", form{}, "")
	lost.to, lost.fields = "nobody@north.example", []string{"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true"}
	all = append(all, x.unwrapped(all)...)
	for i, r := range all {
		r.id = x.newID()
		if r.from == "" {
			r.from = fmt.Sprintf("case%d@"+good, i)
		}
		if r.to == "" && r.want == silence { // an address of its own, by which the audit is looked through
			r.to = fmt.Sprintf("case%d@north.example", i)
		}
		r.to = or(r.to, "desk@north.example")
	}
	return all
}

// unwrapped are some of the cases again with their header outside; all of them at full size.
func (x *tool) unwrapped(all []*receiving) (out []*receiving) {
	some := map[string]bool{"good_sha256": true, "good_aes-256-gcm": true, "CCDA": true, "EXPIRED": true, "DIFFERENT_TRUST_ANCHOR": true, "InvalidDigest": true}
	for _, r := range all {
		if !some[r.name] && os.Getenv("CAREPOST_FULL") == "" || strings.HasSuffix(r.name, "part_header") || strings.HasPrefix(r.name, "v1.") {
			continue
		}
		again := *r
		again.name += "_unwrapped"
		again.form.unwrapped = true
		out = append(out, &again)
	}
	return out
}

// certificates are the cases that differ in who signs.
func (x *tool) certificates() (all []*receiving) {
	of := func(name string) string { return strings.ToLower(name) + "@" + good }
	by := func(name, want string, who ...identity) {
		all = append(all, &receiving{name: name, from: of(name), want: want, form: form{signers: who}})
	}
	one := func(name, want string, ca *certtest.CA, edits ...certtest.Edit) {
		by(name, want, x.person(of(name), ca, edits...))
	}
	one("CERT_WITH_EMAIL", processed, x.ca, certtest.EmailDN(of("CERT_WITH_EMAIL")))
	var wg sync.WaitGroup
	sizes := map[int]certtest.Edit{3072: nil, 4096: nil, 1024: nil}
	var mu sync.Mutex
	for bits := range sizes {
		wg.Go(func() {
			k := x.rsaKey(bits)
			mu.Lock()
			defer mu.Unlock()
			sizes[bits] = k
		})
	}
	wg.Wait()
	one("RSA_3072", processed, x.ca, sizes[3072])
	one("RSA_4096", processed, x.ca, sizes[4096])
	one("RSA_LESS_THAN_2048", silence, x.ca, sizes[1024])
	one("GOOD_ECDSA_P256", processed, x.ca, x.ecKey(elliptic.P256()))
	one("GOOD_ECDSA_P384", processed, x.ca, x.ecKey(elliptic.P384()))
	by("INVALID_CERT", silence, x.person("somebody.else@"+good, x.ca))
	one("EXPIRED", silence, x.ca, expired)
	one("EC_expired", silence, x.ca, expired)
	one("DIFFERENT_TRUST_ANCHOR", silence, x.strange)
	one("NT_untrusted", silence, x.strange)
	by("WILD_CARD_DOMAIN", silence, x.person("*.ett.example", x.ca))
	one("NO_CRL", processed, x.ca, certtest.Points(x.ca.AIA, nil)) // by policy: of one domain here it is demanded
	by("NO_CRL_where_one_is_demanded", silence, x.person(demanding, x.ca, certtest.Points(x.ca.AIA, nil)))
	all[len(all)-1].from = "no_crl@" + demanding
	by("CRL_where_one_is_demanded", processed, x.person(demanding, x.ca))
	all[len(all)-1].from = "crl@" + demanding
	lost := x.ca.Intermediate(x.t, "Lost")
	lost.AIA, lost.CDP = []string{x.web.URL + "/not-there.cer"}, x.ca.CDP
	one("BAD_AIA", silence, lost)
	far := x.ca.Intermediate(x.t, "Far")
	far.Publish(x.t, x.web)
	one("GOOD_AIA", processed, far)
	revoked := x.ca.Issue(x.t, of("RevokedCert"))
	x.ca.Revoke(x.t, revoked.Certificate)
	by("RevokedCert", silence, keep(x.t, x.dir, "revoked", revoked))

	several := func(name string, second func(address string) identity, reversed bool) {
		who := []identity{x.person(of(name), x.ca), second(of(name))}
		if reversed {
			who[0], who[1] = who[1], who[0]
		}
		by(name, processed, who...)
	}
	several("MultiCertsEC", func(a string) identity { return x.person(a, x.ca, expired) }, false)
	several("MultiCertsNT", func(a string) identity { return x.person(a, x.strange) }, false)
	several("MultiCertsNTRSO", func(a string) identity { return x.person(a, x.strange) }, true)
	return append(all, x.undated()...)
}

// received sends all cases and shows what came back, case by case.
func received(t *testing.T, x *tool) {
	all := x.receivings()
	var wg sync.WaitGroup
	turns := make(chan struct{}, 3)
	for _, r := range all {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			r.send(t, x)
		})
	}
	wg.Wait()
	x.settle(t)
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) { r.check(t, x) })
	}
}

func (r *receiving) send(t testing.TB, x *tool) {
	l := letter{from: r.from, to: or(r.named, r.to), id: r.id, subject: r.name, fields: r.fields, entity: r.entity}
	sealed, err := l.sealed(r.form, x.under.certificate)
	if err == nil {
		err = x.deliver(or(r.mail, r.from), r.to, sealed)
	}
	if err != nil {
		t.Errorf("%s: %v", r.name, err)
	}
}

// check looks at the notices about one message.
func (r *receiving) check(t *testing.T, x *tool) {
	var got []string
	for _, a := range x.arrivals(func(a arrival) bool { return a.header.Get("In-Reply-To") == r.id }) {
		original, statuses, err := readReport(a.inner)
		if err != nil || original != r.id || len(statuses) != 1 {
			t.Errorf("a report about %q, %v, %v", original, statuses, err)
			continue
		}
		if a.from == "" || len(a.to) != 1 || !strings.EqualFold(a.to[0], or(r.mail, r.from)) || !strings.EqualFold(statuses[0].recipient, r.to) {
			t.Errorf("the %s notice is about %s, from <%s>, to %v", statuses[0].action, statuses[0].recipient, a.from, a.to)
		}
		got = append(got, statuses[0].action)
	}
	if len(got) > 1 {
		slices.Sort(got[1:])
	}
	if s := strings.Join(got, " "); s != r.want {
		t.Errorf("the notices are %q, want %q", s, r.want)
	}
	if r.want == silence {
		why := whys[strings.TrimSuffix(r.name, "_unwrapped")]
		if reason := x.under.setAside(t, r.to); why == "" || !strings.HasPrefix(reason, why) {
			t.Errorf("set aside because %q, want %q", reason, why)
		}
	}
}
