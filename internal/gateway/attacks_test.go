package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/cms"
	"carepost/internal/audit"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// identity is what a practice signs and opens with.
func identity(t *testing.T, p *gatewaytest.Practice) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, cert, err := p.ExportIdentity(t.Context(), gatewaytest.Actor)
	if err != nil {
		t.Fatal(err)
	}
	kb, _ := pem.Decode(key)
	cb, _ := pem.Decode(cert)
	k, err := x509.ParsePKCS8PrivateKey(kb.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(cb.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(crypto.Signer), c
}

// signerOf signs as the gateway of p does.
func signerOf(t *testing.T, p *gatewaytest.Practice) cms.Signer {
	k, c := identity(t, p)
	return cms.Signer{Key: k, Certificate: c, Time: time.Now()}
}

// enveloped encrypts an entity for p, whatever it is.
func enveloped(t *testing.T, from, to *gatewaytest.Practice, entity string) string {
	t.Helper()
	_, cert := identity(t, to)
	var b bytes.Buffer
	b.WriteString("From: " + from.Address.String() + "\r\nTo: " + to.Address.String() + "\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	lines := message.NewBase64Writer(&b)
	w, err := cms.NewEnvelopedWriter(lines, cms.Encryption{Cipher: cms.AES128CBC}, cert)
	if err == nil {
		_, err = io.WriteString(w, entity)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = lines.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ATT-06: captured bytes, sent again with other fields outside, are neither shown nor answered again, also where these fields are part of
// the message that is shown because the partner does not wrap: they are not signed, and what was signed is the same.
func TestReplayOfUnwrapped(t *testing.T) {
	_, a, b := two(t)
	_, cert := identity(t, b)
	var sealed bytes.Buffer
	err := smime.Seal(&sealed, strings.NewReader(a.Letter("s", "once", b.Address)), smime.SealOptions{
		Signers: []cms.Signer{signerOf(t, a)}, Recipients: []*x509.Certificate{cert}, Unwrapped: true})
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, a, b, sealed.String())
	gatewaytest.Until(t, func() bool { return actions(t, b, "notice.send") == 1 }, func() string { return "the letter to be answered" })
	other := strings.Replace(sealed.String(), "Message-ID: <", "Message-ID: <another-", 1)
	if other == sealed.String() {
		t.Fatal("the Message-ID is not outside")
	}
	for n, text := range []string{"X-Added: on the way\r\n" + sealed.String(), other} {
		deliver(t, a, b, text)
		gatewaytest.Until(t, func() bool { return actions(t, b, "recipient.open") == n+2 }, func() string { return "the replay to be looked at" })
	}
	b.Quiet(t)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d copies are shown", n)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// ATT-06, seen from outside: whatever is wrong with a message, the server's answer is the same 250, and
// nothing goes back, neither notice nor failure; no octet of what was decrypted, good or bad, is found on the disk afterwards.
func TestNothingGoesBack(t *testing.T) {
	_, a, b := two(t)
	id := a.Submit(t, a.Letter("s", "the first letter", b.Address), b.Address)
	good := sealed(t, a, a.Await(t, id, b.Address, transit.Processed))
	const canary = "CANARY-8d1f-in-the-clear"
	head, body, _ := strings.Cut(good, "\r\n\r\n")
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	recoded := func(der []byte) string {
		var b strings.Builder
		b.WriteString(head + "\r\n\r\n")
		w := message.NewBase64Writer(&b)
		w.Write(der)
		w.Close()
		return b.String()
	}
	flipped := func(at int) string {
		d := bytes.Clone(der)
		d[at] ^= 1
		return recoded(d)
	}
	part := "Content-Type: message/rfc822\r\n\r\n" + a.Letter("s", canary, b.Address)
	text := "Content-Type: text/plain\r\n\r\n" + strings.Repeat(canary+"\r\n", 20_000)
	unsigned := "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n" + part +
		"\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3DQEHAqCAMIACAQExADAAAAAAAA==\r\n--b--\r\n"
	for _, c := range []struct{ name, text string }{
		{"the encrypted key", flipped(bytes.Index(der, []byte("\x04\x82\x01\x00")) + 100)},
		{"the padding", flipped(len(der) - 10 - 17)},
		{"the last block", flipped(len(der) - 10 - 1)},
		{"a block in the middle", flipped(len(der) / 2)},
		{"the end is cut", recoded(der[:len(der)-1])},
		{"the last block is cut", recoded(der[:len(der)-26])},
		{"not signed", enveloped(t, a, b, text)},
		{"a signature that is none", enveloped(t, a, b, unsigned)},
		{"noise", enveloped(t, a, b, "\x80\x81\x82"+canary)},
	} {
		before := actions(t, b, "recipient.set-aside")
		deliver(t, a, b, c.text)
		gatewaytest.Until(t, func() bool { return actions(t, b, "recipient.set-aside") == before+1 }, func() string { return c.name + " to be set aside" })
	}
	b.Quiet(t)
	a.Quiet(t)
	if n := len(b.Inbox(t, 1)); n != 1 {
		t.Errorf("%d mails are shown", n)
	}
	if n := actions(t, b, "notice.send"); n != 1 {
		t.Errorf("%d notices, want the one for the good letter", n)
	}
	if n := len(a.Inbox(t, 0)); n != 0 {
		t.Errorf("%d mails came back", n)
	}
	for _, p := range []*gatewaytest.Practice{a, b} {
		noCanary(t, filepath.Join(p.Dir, "data"), canary, "the first letter")
	}
}

// ATT-13, "surreptitious forwarding": a letter to one recipient is opened by him, sealed anew for another and sent on in its author's name.
// The other sees to whom it was written, for that is signed, and the audit says that it does not name him; whoever passes it on in his
// own name is no signer of it.
func TestPassedOn(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example", "west.example")
	w.Trust()
	w.Run()
	a, b, c := w.All[0], w.All[1], w.All[2]
	letter := a.Letter("s", "for the south alone", b.Address)
	id := a.Submit(t, letter, b.Address)
	good := sealed(t, a, a.Await(t, id, b.Address, transit.Processed))
	_, body, _ := strings.Cut(good, "\r\n\r\n")
	bkey, bcert := identity(t, b)
	_, plain, err := cms.ReadEnveloped(message.NewBase64Reader(strings.NewReader(body)), []cms.Recipient{{Certificate: bcert, Key: bkey}}, cms.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	entity, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, a, c, enveloped(t, a, c, string(entity)))
	text := c.Text(t, c.Inbox(t, 1)[0])
	if !strings.Contains(text, "To: "+b.Address.String()) || strings.Contains(text, c.Address.String()) {
		t.Errorf("what is shown does not say to whom it was written:\n%s", text)
	}
	opened, err := c.Audit(t.Context(), audit.Filter{Action: "recipient.open", Limit: 10})
	if err != nil || len(opened) != 1 || opened[0].Detail["addressed"] == "" {
		t.Errorf("the audit: %+v, %v", opened, err)
	}
	deliver(t, b, c, enveloped(t, b, c, string(entity))) // in b's own name
	gatewaytest.Until(t, func() bool { return actions(t, c, "recipient.set-aside") == 1 }, func() string { return "b's to be set aside" })
	c.Quiet(t)
}

// ATT-06: a signature around a ciphertext says nothing of whether its signer knows what is inside. A partner who signs somebody else's captured
// ciphertext, changed block by block, would learn from the notices which changes decrypt. Such a letter is shown, where the policy lets it,
// and not answered. DCM-21.
func TestSignedCiphertextIsNotAnswered(t *testing.T) {
	w := gatewaytest.NewWith(t, func(o *gateway.Options) { o.Policy = trust.Lenient }, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	_, inner, _ := strings.Cut(enveloped(t, a, b, "Content-Type: message/rfc822\r\n\r\n"+a.Letter("s", "signed outside", b.Address)), "MIME-Version: 1.0\r\n")
	sum := sha256.Sum256([]byte(inner))
	p7s, err := cms.SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum[:]}, nil, signerOf(t, a))
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, a, b, "From: "+a.Address.String()+"\r\nTo: "+b.Address.String()+"\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=outer\r\n\r\n--outer\r\n"+inner+
		"\r\n--outer\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString(p7s)+
		"\r\n--outer--\r\n")
	if text := b.Text(t, b.Inbox(t, 1)[0]); !strings.Contains(text, "signed outside") {
		t.Errorf("shown:\n%s", text)
	}
	b.Quiet(t)
	if n := actions(t, b, "notice.send"); n != 0 {
		t.Errorf("%d notices", n)
	}
}
