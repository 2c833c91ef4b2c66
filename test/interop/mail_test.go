package interop

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/smime"
	"carepost/test/peers"
)

const mail = "From: Alice <rsa1@north.example>\r\nTo: Bob <rsa2@north.example>\r\nSubject: Results\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <one@north.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n" +
	"--inner\r\n\r\nDear Bob,\r\nall is well.\r\n--inner\r\nContent-Type: application/octet-stream\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQoLDA0ODw==\r\n--inner--\r\n"

const wrapped = "Content-Type: message/rfc822\r\n\r\n" + mail

// sender puts messages together of what a peer signs, encrypts and compresses. It panics with the peer's error; see caught.
type sender struct {
	peer    peers.Peer
	signers []*peers.Person
	to      []*peers.Person
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// caught runs what may panic with an error.
func caught(f func() string) (s string, err error) {
	defer func() {
		if e, ok := recover().(error); ok {
			err = e
		}
	}()
	return f(), nil
}

// lines is octets in base64.
func lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var s strings.Builder
	for len(text) > 64 {
		s.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	return s.String() + text + "\r\n"
}

func pkcs7mime(kind string, der []byte) string {
	return "Content-Type: application/pkcs7-mime; smime-type=" + kind + "; name=smime.p7m\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + lines(der)
}

func (s sender) signing(opaque bool) peers.Signing {
	return peers.Signing{Signers: s.signers, Hash: cms.SHA256, Opaque: opaque}
}

// clear is multipart/signed around an entity (RFC 8551 §3.5.3).
func (s sender) clear(entity string) string {
	p7s := must(s.peer.Sign([]byte(entity), s.signing(false)))
	return "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_s\"\r\n\r\n" +
		"--=_s\r\n" + entity + "\r\n--=_s\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + lines(p7s) + "--=_s--\r\n"
}

func (s sender) opaque(entity string) string {
	return pkcs7mime("signed-data", must(s.peer.Sign([]byte(entity), s.signing(true))))
}

func (s sender) encrypted(entity string) string {
	return pkcs7mime("enveloped-data", must(s.peer.Encrypt([]byte(entity),
		peers.Encryption{To: s.to, Cipher: cms.AES128CBC, Key: cms.RSAESPKCS1v15, KDF: cms.SHA256})))
}

func (s sender) compressed(entity string) string {
	return pkcs7mime("compressed-data", must(s.peer.Compress([]byte(entity))))
}

func asLF(entity string) string { return strings.ReplaceAll(entity, "\r\n", "\n") }

// structure is one way of putting a message together.
type structure struct {
	name  string
	form  smime.Forms
	outer bool // two layers of signatures
	make  func(sender) string
}

var structures = []structure{
	{"signed, then encrypted", 0, false, func(s sender) string { return s.encrypted(s.clear(wrapped)) }},
	{"LF inside", 0, false, func(s sender) string { return s.encrypted(asLF(s.clear(wrapped))) }},
	{"opaque", smime.Opaque, false, func(s sender) string { return s.encrypted(s.opaque(wrapped)) }},
	{"opaque, LF inside", smime.Opaque, false, func(s sender) string { return s.encrypted(asLF(s.opaque(wrapped))) }},
	{"encrypted, then signed", smime.EncryptedThenSigned, false, func(s sender) string { return s.clear(s.encrypted(wrapped)) }},
	{"encrypted, then signed opaque", smime.EncryptedThenSigned | smime.Opaque, false,
		func(s sender) string { return s.opaque(s.encrypted(wrapped)) }},
	{"triple-wrapped", smime.TripleWrapped, true, func(s sender) string { return s.clear(s.encrypted(s.clear(wrapped))) }},
	{"triple-wrapped, opaque", smime.TripleWrapped | smime.Opaque, true,
		func(s sender) string { return s.opaque(s.encrypted(s.opaque(wrapped))) }},
	{"signed, compressed", smime.Compressed, false, func(s sender) string { return s.encrypted(s.compressed(s.clear(wrapped))) }},
	{"compressed, signed", smime.Compressed, false, func(s sender) string { return s.encrypted(s.clear(s.compressed(wrapped))) }},
}

const header = "From: Alice <rsa1@north.example>\r\nTo: Bob <rsa2@north.example>\r\nMIME-Version: 1.0\r\n"

// group is how many get a message and who signs it.
type group struct {
	to, signers []*peers.Person
}

func groups(w *peers.World, p peers.Peer) []group {
	third := w.P384
	if strings.HasPrefix(p.Name(), "gpgsm") { // no SHA-256 with P-384: the matrix has it
		third = w.P256
	}
	return []group{
		{w.Crowd[1:2], w.RSA[:1]},
		{w.Crowd[1:3], []*peers.Person{w.RSA[0], w.P256}},
		{w.Crowd, []*peers.Person{w.RSA[0], w.RSA[1], third}},
	}
}

// TestPeersSend: DIR-12, DIR-15, DIR-17, DCM-20, DCM-21: every structure by every peer, to 1, 2 and 20 recipients, by 1 to 3 signers, with LF
// and CRLF, is opened by the lenient profile; by the others if it is Direct's.
func TestPeersSend(t *testing.T) {
	l := lab(t)
	for _, p := range l.All() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			for _, g := range groups(l.World, p) {
				for _, s := range structures {
					name := fmt.Sprintf("%s, %d recipients, %d signers", s.name, len(g.to), len(g.signers))
					message, err := caught(func() string { return header + s.make(sender{p, g.signers, g.to}) })
					if lacks(p, s, g) {
						if err == nil {
							t.Errorf("%s: does what it is claimed not to", name)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					for _, framed := range []string{message, asLF(message)} {
						for _, who := range who(g.to) {
							if err := opens(framed, who, s, g); err != nil {
								t.Errorf("%s, to %s: %v", name, who.Name, err)
							}
						}
					}
				}
			}
		})
	}
}

// lacks says what cannot be asked for: cmsutil signs for one, and compression is Bouncy Castle's alone.
func lacks(p peers.Peer, s structure, g group) bool {
	zlib := s.form.Has(smime.Compressed) && !peers.Capable(p, peers.Feature{Kind: peers.Compresses, Cipher: cms.ZLIB}, peers.Makes).Can
	single := strings.HasPrefix(p.Name(), "NSS") && len(g.signers) > 1
	return zlib || single
}

// who are the first and the last of the recipients, or all in the full count.
func who(to []*peers.Person) []*peers.Person {
	if full() || len(to) < 3 {
		return to
	}
	return []*peers.Person{to[0], to[len(to)-1]}
}

// opens wants the message whole, all signatures good, and the profile of Direct to refuse what is not Direct's.
func opens(message string, by *peers.Person, s structure, g group) error {
	keys := []cms.Recipient{{Certificate: by.Certificate, Key: by.Key}}
	var draft bytes.Buffer
	o, err := smime.Open(&draft, strings.NewReader(message), keys,
		smime.OpenOptions{Algorithms: cms.Lenient.Algorithms(), Forms: smime.LenientForms})
	if err != nil {
		return err
	}
	want := len(g.signers)
	switch {
	case draft.String() != mail && asLF(draft.String()) != asLF(mail):
		return fmt.Errorf("another message: %q", draft.String())
	case o.Form != s.form:
		return fmt.Errorf("found to be %v", o.Form)
	case o.Recipients != len(g.to) || o.Own != by.Certificate:
		return fmt.Errorf("%d recipients", o.Recipients)
	case distinct(o.Good()) != want || len(o.Good()) != len(o.Signatures):
		return fmt.Errorf("signatures: %+v", o.Signatures)
	case s.outer && distinct(o.OuterSignatures) != want || !s.outer && len(o.OuterSignatures) > 0:
		return fmt.Errorf("outer signatures: %+v", o.OuterSignatures)
	}
	_, err = smime.Open(&bytes.Buffer{}, strings.NewReader(message), keys, smime.OpenOptions{})
	// What is compressed inside the signature is content like another for those who do not decompress.
	if direct := s.form == 0 || s.name == "compressed, signed"; direct != (err == nil) {
		return fmt.Errorf("as Direct: %v", err)
	}
	return nil
}

// distinct counts signers with a good signature: NSS sends a certificate twice, which makes two signatures of one.
func distinct(all []smime.Signature) int {
	signers := make(map[int]bool)
	for _, s := range all {
		if s.Err == nil {
			signers[s.Signer] = true
		}
	}
	return len(signers)
}

// TestPeersOpen: DIR-12, DIR-15, DIR-17: what Seal makes for 1, 2 and 20 recipients by 1 to 3 signers is decrypted and verified by every peer.
func TestPeersOpen(t *testing.T) {
	l := lab(t)
	for _, p := range l.All() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			for _, g := range groups(l.World, p) {
				sealed, err := seal(g)
				if err != nil {
					t.Fatal(err)
				}
				for _, who := range who(g.to) {
					if err := unseals(p, sealed, who, wrapped); err != nil {
						t.Errorf("%d recipients, %d signers, to %s: %v", len(g.to), len(g.signers), who.Name, err)
					}
				}
			}
		})
	}
}

func seal(g group) ([]byte, error) {
	o := smime.SealOptions{}
	for _, p := range g.to {
		o.Recipients = append(o.Recipients, p.Certificate)
	}
	for _, p := range g.signers {
		o.Signers = append(o.Signers, p.Signer())
	}
	var b bytes.Buffer
	err := smime.Seal(&b, strings.NewReader(mail), o)
	return b.Bytes(), err
}

// unseals has a peer that knows no MIME open a sealed message, of which want is signed.
func unseals(p peers.Peer, sealed []byte, by *peers.Person, want string) error {
	_, body, _ := strings.Cut(string(sealed), "\r\n\r\n")
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil {
		return err
	}
	entity, err := p.Decrypt(der, by)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(entity), "boundary=\"")
	boundary, rest, _ := strings.Cut(rest, "\"")
	parts := strings.Split(rest, "\r\n--"+boundary)
	if len(parts) != 4 {
		return fmt.Errorf("%d parts in %q", len(parts), entity)
	}
	content := strings.TrimPrefix(parts[1], "\r\n")
	_, text, _ := strings.Cut(parts[2], "\r\n\r\n")
	p7s, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\r\n", ""))
	if err != nil {
		return err
	}
	if content != want {
		return fmt.Errorf("another content: %q", content)
	}
	if _, err := p.Verify(p7s, []byte(content+" ")); err == nil {
		return errors.New("would verify anything")
	}
	_, err = p.Verify(p7s, []byte(content))
	return err
}
