package trust_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust"
	"carepost/trust/certtest"
)

// now is the day on which the cases are judged.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// world is what the lines of a case build. See testdata/README.md for the language.
type world struct {
	testing.TB
	cas      map[string]*certtest.CA
	certs    map[string]*x509.Certificate
	server   *certtest.Server
	lists    []*x509.RevocationList // given or served
	question trust.Question
	fetch    bool
	cancel   bool
	anchored bool
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, cas: map[string]*certtest.CA{}, certs: map[string]*x509.Certificate{}, server: certtest.NewServer(t), fetch: true}
	w.question.Now = now
	w.question.Address, _ = addr.Parse("lab@h.example")
	return w
}

// judge answers the question that the lines ask.
func (w *world) judge(ctx context.Context) trust.Verdict {
	return w.ask(ctx, w.judges())
}

// judges is a Judge that knows nothing yet.
func (w *world) judges() *trust.Judge {
	j := trust.NewJudge(nil)
	if w.fetch {
		j.Fetcher = w.server
	}
	return j
}

// ask asks j.
func (w *world) ask(ctx context.Context, j *trust.Judge) trust.Verdict {
	if !w.anchored {
		w.anchored = true
		w.question.Anchors = append(w.question.Anchors, w.ca("R").Certificate)
	}
	if w.cancel {
		c, cancel := context.WithCancel(ctx)
		cancel()
		ctx = c
	}
	return j.Judge(ctx, w.question)
}

// ca finds an authority; R is there without a line of its own.
func (w *world) ca(name string) *certtest.CA {
	if ca, ok := w.cas[name]; ok {
		return ca
	}
	if name != "R" {
		w.Fatalf("no authority %q", name)
	}
	w.keep(name, certtest.NewCA(w, name))
	return w.cas[name]
}

func (w *world) keep(name string, ca *certtest.CA) {
	w.cas[name], w.certs[name] = ca, ca.Certificate
}

func (w *world) cert(name string) *x509.Certificate {
	if name == "R" {
		return w.ca("R").Certificate
	}
	c, ok := w.certs[name]
	if !ok {
		w.Fatalf("no certificate %q", name)
	}
	return c
}

// line obeys one line but "want".
func (w *world) line(verb string, args []string) {
	switch verb {
	case "root":
		w.keep(args[0], certtest.NewCA(w, commonName(args), w.edits(args[1:])...))
	case "ca":
		from := w.ca(option(args, "from", "R"))
		w.keep(args[0], from.Intermediate(w, commonName(args), w.edits(args[1:])...))
	case "leaf":
		w.leaf(args)
	case "anchor":
		w.anchored = true
		for _, name := range args {
			w.question.Anchors = append(w.question.Anchors, w.cert(name))
		}
	case "give":
		for _, name := range args {
			w.question.Intermediates = append(w.question.Intermediates, w.cert(name))
		}
	case "crl":
		w.question.CRLs = append(w.question.CRLs, w.crl(args))
	case "serve":
		w.serve(args)
	case "for":
		a, err := addr.Parse(args[0])
		if err != nil {
			w.Fatal(err)
		}
		w.question.Address = a
	case "at":
		w.question.Now = w.time(args[0])
	case "policy":
		w.question.Policy = map[string]trust.Policy{"v1.2": trust.V12, "v1.3": trust.V13, "lenient": trust.Lenient}[args[0]]
	case "use":
		w.question.Use = map[string]trust.Use{"any": trust.AnyUse, "signing": trust.Signing, "encryption": trust.Encryption}[args[0]]
	case "offline":
		w.fetch = false
	case "cancelled":
		w.cancel = true
	default:
		w.Fatalf("unknown verb %q", verb)
	}
}

func (w *world) leaf(args []string) {
	edits := w.edits(args)
	var pair certtest.Pair
	switch from := option(args, "from", "R"); {
	case has(args, "self"):
		pair = certtest.SelfSigned(w, "", edits...)
	default:
		pair = w.ca(from).Issue(w, "", edits...)
	}
	if has(args, "forged") { // not a bit of the contents is changed: only the signature
		der := append([]byte(nil), pair.Certificate.Raw...)
		der[len(der)-1] ^= 1
		c, err := x509.ParseCertificate(der)
		if err != nil {
			w.Fatal(err)
		}
		pair.Certificate = c
	}
	w.certs["leaf"] = pair.Certificate
	w.question.Certificate = pair.Certificate
}

func (w *world) crl(args []string) *x509.RevocationList {
	var revoked []*x509.Certificate
	for _, name := range options(args, "revoked") {
		revoked = append(revoked, w.cert(name))
	}
	crl := w.ca(args[0]).EditedCRL(w, func(l *x509.RevocationList) {
		l.SignatureAlgorithm = 0
		for i := range l.RevokedCertificateEntries {
			e := &l.RevokedCertificateEntries[i]
			if s := option(args, "since", ""); s != "" {
				e.RevocationTime = w.time(s)
			}
			if has(args, "indirect-entry") {
				e.ExtraExtensions = append(e.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}})
			}
		}
		if s := option(args, "this", ""); s != "" {
			l.ThisUpdate = w.time(s)
		}
		if s := option(args, "next", ""); s != "" {
			l.NextUpdate = w.time(s)
		}
		extension := func(last int, value string) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, last}, Critical: true, Value: []byte(value)})
		}
		if has(args, "delta") {
			extension(27, "\x02\x01\x01")
		}
		if has(args, "indirect") {
			extension(28, "\x30\x03\x84\x01\xff")
		}
		if has(args, "user-only") {
			extension(28, "\x30\x03\x81\x01\xff")
		}
		if has(args, "ca-only") {
			extension(28, "\x30\x03\x82\x01\xff")
		}
		if has(args, "some-reasons") {
			extension(28, "\x30\x04\x83\x02\x06\x40")
		}
		if u := option(args, "point", ""); u != "" {
			u = w.url(u)
			extension(28, string(tlv(0x30, tlv(0xa0, tlv(0xa0, tlv(0x86, u))))))
		}
		if has(args, "strange") {
			extension(99, "\x05\x00")
		}
	}, revoked...)
	w.lists = append(w.lists, crl)
	return crl
}

func tlv(tag byte, content string) string {
	if len(content) > 127 {
		panic("too long for a test")
	}
	return string([]byte{tag, byte(len(content))}) + content
}

// serve puts something behind a path: serve /x.cer cert NAME | p7 NAME… | pem NAME | crl CA … | junk | big
func (w *world) serve(args []string) {
	path, kind, args := args[0], args[1], args[2:]
	switch kind {
	case "cert":
		w.server.Put(path, w.cert(args[0]).Raw)
	case "pem":
		w.server.Put(path, pemOf(w.cert(args[0])))
	case "p7":
		var certs []*x509.Certificate
		for _, name := range args {
			certs = append(certs, w.cert(name))
		}
		w.server.Put(path, certsOnly(certs...))
	case "crl":
		w.server.Put(path, w.crl(args).Raw)
	case "junk":
		w.server.Put(path, []byte("not what was asked for"))
	case "big":
		w.server.Put(path, make([]byte, 65<<10))
	default:
		w.Fatalf("serve: unknown kind %q", kind)
	}
}

// edits reads the options of a certificate.
func (w *world) edits(args []string) []certtest.Edit {
	var out []certtest.Edit
	add := func(f func(*x509.Certificate)) { out = append(out, f) }
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "san":
			kind, name, _ := strings.Cut(value, ":")
			add(func(c *x509.Certificate) {
				switch kind {
				case "rfc822":
					c.EmailAddresses = append(c.EmailAddresses, name)
				case "dns":
					c.DNSNames = append(c.DNSNames, name)
				case "uri":
					u, _ := url.Parse(name)
					c.URIs = append(c.URIs, u)
				}
			})
		case "dn.emailAddress":
			out = append(out, certtest.EmailDN(value))
		case "dn.cn":
			add(func(c *x509.Certificate) { c.Subject.CommonName = value })
		case "valid":
			from, until, _ := strings.Cut(value, "..")
			add(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = w.time(from), w.time(until) })
		case "usage":
			add(func(c *x509.Certificate) { c.KeyUsage = usage(value) })
		case "eku":
			add(func(c *x509.Certificate) {
				c.ExtKeyUsage = map[string][]x509.ExtKeyUsage{"server": {x509.ExtKeyUsageServerAuth}}[value]
			})
		case "not-ca":
			add(func(c *x509.Certificate) { c.IsCA = false })
		case "no-constraints":
			add(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
		case "pathlen":
			n, _ := strconv.Atoi(value)
			add(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 })
		case "permit.mail":
			add(func(c *x509.Certificate) { c.PermittedEmailAddresses = append(c.PermittedEmailAddresses, value) })
		case "exclude.mail":
			add(func(c *x509.Certificate) { c.ExcludedEmailAddresses = append(c.ExcludedEmailAddresses, value) })
		case "permit.dns":
			add(func(c *x509.Certificate) { c.PermittedDNSDomains = append(c.PermittedDNSDomains, value) })
		case "exclude.dns":
			add(func(c *x509.Certificate) { c.ExcludedDNSDomains = append(c.ExcludedDNSDomains, value) })
		case "permit.uri":
			add(func(c *x509.Certificate) { c.PermittedURIDomains = append(c.PermittedURIDomains, value) })
		case "names-critical":
			add(func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = true })
		case "critical":
			add(func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 55555, 1}, Critical: true, Value: []byte{5, 0}})
			})
		case "policy":
			add(func(c *x509.Certificate) {
				oid, err := x509.ParseOID(value)
				if err != nil {
					w.Fatal(err)
				}
				c.Policies = append(c.Policies, oid)
			})
		case "demand-policy":
			add(func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 36}, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 0}})
			})
		case "rsa":
			bits, _ := strconv.Atoi(value)
			k, err := rsa.GenerateKey(rand.Reader, bits)
			if err != nil {
				w.Fatal(err)
			}
			out = append(out, certtest.Key(k))
		case "ecdsa":
			out = append(out, certtest.Key(certtest.ECDSA(w)))
		case "sha1":
			add(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
		case "aia":
			add(func(c *x509.Certificate) { c.IssuingCertificateURL = append(c.IssuingCertificateURL, w.url(value)) })
		case "cdp":
			add(func(c *x509.Certificate) { c.CRLDistributionPoints = append(c.CRLDistributionPoints, w.url(value)) })
		case "ocsp":
			add(func(c *x509.Certificate) { c.OCSPServer = []string{w.url(value)} })
		case "ski-of":
			add(func(c *x509.Certificate) { c.SubjectKeyId = w.cert(value).SubjectKeyId })
		case "key-of":
			add(func(c *x509.Certificate) { certtest.Key(w.ca(value).Key)(c) })
		case "from", "name", "self", "forged":
		default:
			if strings.Contains(arg, "=") || key != args[0] {
				w.Fatalf("unknown option %q", arg)
			}
		}
	}
	return out
}

func usage(names string) (u x509.KeyUsage) {
	for n := range strings.SplitSeq(names, ",") {
		u |= map[string]x509.KeyUsage{
			"none": 0, "digitalSignature": x509.KeyUsageDigitalSignature, "nonRepudiation": x509.KeyUsageContentCommitment,
			"keyEncipherment": x509.KeyUsageKeyEncipherment, "keyAgreement": x509.KeyUsageKeyAgreement,
			"keyCertSign": x509.KeyUsageCertSign, "cRLSign": x509.KeyUsageCRLSign,
		}[n]
	}
	return u
}

// url reads "/x.crl" as a path on the case's server, "dead:/x" as one on a port where nobody listens, and takes others as they are.
func (w *world) url(s string) string {
	switch {
	case strings.HasPrefix(s, "/"):
		return w.server.URL + s
	case strings.HasPrefix(s, "dead:"):
		return "http://127.0.0.1:1" + strings.TrimPrefix(s, "dead:")
	}
	return s
}

func (w *world) time(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

func commonName(args []string) string { return option(args, "name", args[0]) }

func option(args []string, key, otherwise string) string {
	if o := options(args, key); len(o) > 0 {
		return o[0]
	}
	return otherwise
}

func options(args []string, key string) (values []string) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

func has(args []string, word string) bool {
	for _, a := range args {
		if a == word {
			return true
		}
	}
	return false
}

// certsOnly is a certs-only PKCS#7 message (RFC 5652 §5.1).
func certsOnly(certs ...*x509.Certificate) []byte {
	var bag []byte
	for _, c := range certs {
		bag = append(bag, c.Raw...)
	}
	marshal := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			panic(fmt.Sprint("certsOnly: ", err))
		}
		return asn1.RawValue{FullBytes: der}
	}
	set := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true}
	signed := marshal(struct {
		Version int
		Digests asn1.RawValue
		Content struct{ Type asn1.ObjectIdentifier }
		Bag     asn1.RawValue
		Signers asn1.RawValue
	}{1, set, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bag}, set})
	return marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signed.FullBytes}}).FullBytes
}
