package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"strings"
	"testing"

	"carepost/internal/admin"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/keyring"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// onlyPublic stands for a private key that the authority never sees.
type onlyPublic struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k onlyPublic) Public() crypto.PublicKey { return k.public }

// certified makes two practices, of which the second, north.example, has its certificates from an authority outside that both trust. change
// is told of its options.
func certified(t *testing.T, change func(*gateway.Options)) (ca *certtest.CA, a, b *gatewaytest.Practice) {
	t.Helper()
	web := certtest.NewServer(t)
	ca = certtest.NewCA(t, "Network")
	ca.Publish(t, web)
	at, err := netip.ParseAddrPort(strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	port := at.Port()
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Network.Trial.Ports = append(o.Network.Trial.Ports, port)
		if o.Domain == "north.example" {
			o.Pilot = false
			change(o)
		}
	}, "north.example", "south.example")
	b, a = w.All[0], w.All[1]
	for _, p := range w.All {
		if err := p.Trust(t.Context(), gatewaytest.Actor, ca.Certificate, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Trust(t.Context(), gatewaytest.Actor, a.Anchor(), "test"); err != nil {
		t.Fatal(err)
	}
	return ca, a, b
}

// answered has the authority answer a request of p, and p take the answer.
func answered(t *testing.T, ca *certtest.CA, p *gatewaytest.Practice, o admin.Order, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	text, err := p.Admin().RequestCertificate(t.Context(), gatewaytest.Actor, o)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	c := ca.Issue(t, p.Address.Domain.String(), certtest.Usage(usage), certtest.Key(onlyPublic{public: r.PublicKey})).Certificate
	list, err := p.Admin().ImportCertificates(t.Context(), gatewaytest.Actor, admin.Files{Files: [][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})}})
	if err != nil || len(list) != 1 || list[0].State != admin.StateInUse {
		t.Fatalf("%+v, %v", list, err)
	}
	return c
}

// toAndFro has a letter go each way, and its processed notice come back.
func toAndFro(t *testing.T, a, b *gatewaytest.Practice) {
	t.Helper()
	a.Start(t)
	b.Start(t)
	for _, way := range [][2]*gatewaytest.Practice{{a, b}, {b, a}} {
		id := way[0].Submit(t, way[0].Letter("About Grace", "the knee is better", way[1].Address), way[1].Address)
		way[0].Await(t, id, way[1].Address, transit.Processed)
	}
}

// Separate certificates: one signs, the other is published and encrypted to, and nobody mistakes one for the other: DIR-04, DIR-06.
func TestSeparateCertificates(t *testing.T) {
	ca, a, b := certified(t, func(*gateway.Options) {})
	encrypt := answered(t, ca, b, admin.Order{Use: admin.UseEncrypt}, x509.KeyUsageKeyEncipherment)
	sign := answered(t, ca, b, admin.Order{Use: admin.UseSign, Kind: keyring.P256}, x509.KeyUsageDigitalSignature)
	published := records(t, b)
	if len(published) != 1 || string(published[0]) != string(encrypt.Raw) {
		t.Errorf("%d certificates are published, want the one for encryption", len(published))
	}
	if _, exported, err := b.ExportIdentity(t.Context(), gatewaytest.Actor); err != nil || !bytes.Equal(exported, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypt.Raw})) {
		t.Errorf("exported is not the certificate for encryption: %v\n%s", err, exported)
	}
	toAndFro(t, a, b)
	list, err := b.Admin().Certificates(t.Context(), gatewaytest.Actor, admin.Owner{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, c := range list {
		if c.Use != map[bool]string{true: admin.UseSign, false: admin.UseEncrypt}[c.Certificate.Equal(sign)] {
			t.Errorf("%s is for %s", c.ID, c.Use)
		}
	}
}
