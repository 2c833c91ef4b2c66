package admin

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"unicode/utf8"

	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// Form of what is exported.
const (
	FormPEM    = "pem"
	FormPKCS12 = "p12" // with the private key alone
)

// Export is what is wanted of a certificate.
type Export struct {
	ID       string
	Form     string // FormPEM, FormPKCS12
	Key      bool   // with the private key, encrypted with Password
	Password string
}

// ExportCertificate writes a certificate with those above it; the private key only where it was asked for, encrypted. ErrNoCertificate,
// *Invalid.
func (s *Service) ExportCertificate(ctx context.Context, by audit.Actor, e Export) ([]byte, error) {
	switch {
	case e.Form != FormPEM && e.Form != FormPKCS12:
		return nil, invalid("pem and p12 are what is written")
	case e.Form == FormPKCS12 && !e.Key:
		return nil, invalid("PKCS #12 is for private keys: certificates alone are written as pem")
	case e.Key && utf8.RuneCountInString(e.Password) < minPassword:
		return nil, invalid("a password for a private key has %d characters at least", minPassword)
	case len(e.Password) > maxPassword || !utf8.ValidString(e.Password):
		return nil, invalid("a password is text of %d octets at most", maxPassword)
	}
	var row store.Cert
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		rows, err := tx.AllCerts()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r store.Cert) bool { return r.ID == e.ID })
		if i < 0 {
			return ErrNoCertificate
		}
		row = rows[i]
		action := "certificate.export"
		if e.Key {
			action = "key.export"
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: action, Object: "certificate:" + row.ID})
	})
	if err != nil {
		return nil, known("export a certificate", err)
	}
	c, err := s.read(ctx, row)
	if err != nil {
		return nil, prefix("export a certificate", err)
	}
	out, err := s.write(ctx, e, row.Key, c)
	if errors.Is(err, keyring.ErrKind) {
		return nil, invalid("its private key lies on the token and does not leave it; export the certificate alone")
	}
	return out, prefix("export a certificate", err)
}

func (s *Service) write(ctx context.Context, e Export, key string, c Certificate) ([]byte, error) {
	if e.Form == FormPKCS12 {
		return s.keys.ExportPKCS12(ctx, key, c.Certificate, c.Chain, e.Password)
	}
	var b bytes.Buffer
	if e.Key {
		text, err := s.keys.ExportEncrypted(ctx, key, c.Certificate, e.Password)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	for _, c := range append([]*x509.Certificate{c.Certificate}, c.Chain...) {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
