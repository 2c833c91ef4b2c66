package peers

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"carepost/cms"
)

// Person has a key and a certificate, here and as files that programs read.
type Person struct {
	Name        string // what the files and the nicknames are called
	Address     string
	Key         any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or *ecdh.PrivateKey
	Certificate *x509.Certificate
	CertFile    string // PEM
	KeyFile     string // PEM, PKCS #8, not encrypted
	pkcs8       []byte
}

// Signer signs by p's key at the present time.
func (p *Person) Signer() cms.Signer {
	return cms.Signer{Key: p.Key.(crypto.Signer), Certificate: p.Certificate, Time: time.Now()}
}

// World is a CA and the people it knows.
type World struct {
	CA         *x509.Certificate
	CAFile     string
	caKey      crypto.Signer
	RSA        [3]*Person // signers and recipients
	P256, P384 *Person    // for both as well
	Ed25519    *Person    // signs
	X25519     *Person    // gets
	Crowd      []*Person  // twenty with RSA keys: RSA's among them
	People     []*Person  // all
	dir        string
}

// NewWorld makes keys and certificates and writes them into a new dir.
func NewWorld(dir string) (*World, error) {
	w := &World{dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := w.found(); err != nil {
		return nil, err
	}
	var err error
	add := func(name string, key any) (p *Person) {
		if err == nil {
			p, err = w.issue(name, key)
		}
		return p
	}
	for i := range w.RSA {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		w.RSA[i] = add(fmt.Sprintf("rsa%d", i+1), key)
	}
	w.Crowd = append(w.Crowd, w.RSA[:]...)
	for i := len(w.Crowd); i < 20; i++ { // certificates of their own for keys that others have: making keys takes long
		w.Crowd = append(w.Crowd, add(fmt.Sprintf("crowd%d", i+1), w.RSA[i%len(w.RSA)].Key))
	}
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	x, err4 := ecdh.X25519().GenerateKey(rand.Reader)
	for _, e := range []error{err, err1, err2, err3, err4} {
		if e != nil {
			return nil, e
		}
	}
	w.P256, w.P384, w.Ed25519, w.X25519 = add("p256", p256), add("p384", p384), add("ed25519", ed), add("x25519", x)
	return w, err
}

// found makes the CA.
func (w *World) found() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA", Organization: []string{"North"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	w.caKey = key
	if w.CA, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	w.CAFile, err = w.write("ca.pem", "CERTIFICATE", der)
	return err
}

// issue makes a person.
func (w *World) issue(name string, key any) (*Person, error) {
	p := &Person{Name: name, Address: name + "@north.example", Key: key}
	usage, public := x509.KeyUsageDigitalSignature, any(nil)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		usage |= x509.KeyUsageKeyEncipherment
		public = k.Public()
	case *ecdsa.PrivateKey:
		usage |= x509.KeyUsageKeyAgreement
		public = k.Public()
	case *ecdh.PrivateKey:
		usage = x509.KeyUsageKeyAgreement
		public = k.PublicKey()
	case ed25519.PrivateKey:
		public = k.Public()
	}
	n := int64(100 + len(w.People))
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: p.Name, Organization: []string{"North"}},
		EmailAddresses: []string{p.Address}, SubjectKeyId: []byte{8, 8, 8, byte(n)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(47 * time.Hour),
		KeyUsage: usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	der, err := w.certify(tmpl, public)
	if err != nil {
		return nil, err
	}
	if p.Certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if p.pkcs8, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, err
	}
	if p.CertFile, err = w.write(name+".pem", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if p.KeyFile, err = w.write(name+".key", "PRIVATE KEY", p.pkcs8); err != nil {
		return nil, err
	}
	w.People = append(w.People, p)
	return p, nil
}

// certify issues a certificate, by openssl where Go's x509 does not do it: for X25519.
func (w *World) certify(tmpl *x509.Certificate, public any) ([]byte, error) {
	if _, ok := public.(*ecdh.PublicKey); !ok {
		return x509.CreateCertificate(rand.Reader, tmpl, w.CA, public, w.caKey)
	}
	spki, err1 := x509.MarshalPKIXPublicKey(public)
	caKey, err2 := x509.MarshalPKCS8PrivateKey(w.caKey)
	pub, err3 := w.write("own.pub", "PUBLIC KEY", spki)
	key, err4 := w.write("ca.key", "PRIVATE KEY", caKey)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	ext, err := folder(w.dir).write("ext", []byte("keyUsage=critical,keyAgreement\nextendedKeyUsage=emailProtection\nsubjectAltName=email:"+
		tmpl.EmailAddresses[0]+"\nsubjectKeyIdentifier=hash\n"))
	if err != nil {
		return nil, err
	}
	text, err := folder(w.dir).run(nil, "openssl", "x509", "-new", "-force_pubkey", pub, "-subj", "/O=North/CN="+tmpl.Subject.CommonName,
		"-CA", w.CAFile, "-CAkey", key, "-set_serial", tmpl.SerialNumber.String(), "-days", "2", "-extfile", ext)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("openssl made no certificate")
	}
	return block.Bytes, nil
}

func (w *World) write(name, typ string, der []byte) (string, error) {
	path := filepath.Join(w.dir, name)
	return path, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600)
}

func isRSA(p *Person) bool {
	_, ok := p.Key.(*rsa.PrivateKey)
	return ok
}
