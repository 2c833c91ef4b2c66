package smime

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"carepost/cms"
	"carepost/message"
)

// OpenOptions bounds what Open reads; the zero value has the defaults of both rooms. How long a message may be is the caller's
// to say, by a limited reader or writer: Open needs no more memory for a longer one.
type OpenOptions struct {
	Message message.Limits // of each header that is read
	CMS     cms.Limits     // of the EnvelopedData and of the SignedData

	Algorithms cms.Algorithms // zero is the profile V12
	Forms      Forms          // zero is Direct alone
	All        bool           // all of keys are tried, not the first alone that the message names: for Opened.Others
}

// cms returns what package cms is to obey. What Open writes is a draft.
func (o OpenOptions) cms() cms.ReadOptions {
	return cms.ReadOptions{Limits: o.CMS, Algorithms: o.Algorithms, All: o.All, Draft: true}
}

// Opened is what a message was found to be.
type Opened struct {
	Outer        message.Header // as it was transmitted; nothing of it is protected
	Header       message.Header // of the message that was written to dst
	Wrapped      bool           // that message came as message/rfc822: all of Header was signed, else only its Content- fields
	Cipher       cms.Algorithm
	Key          cms.Algorithm       // how the key of Cipher came
	Recipients   int                 // RecipientInfos of the EnvelopedData
	Own          *x509.Certificate   // the recipient certificate that opened it
	Others       []*x509.Certificate // further ones that could have, where OpenOptions.All asks for them
	Signatures   []Signature         // all there are, good and bad, in the order of the message; the inner ones where there are two layers
	Certificates []*x509.Certificate
	Size         int64 // octets written to dst

	Form            Forms       // what it was beyond Direct: some of OpenOptions.Forms
	OuterSignatures []Signature // those around the ciphertext of a triple-wrapped message
	HeaderProtected bool        // RFC 9788: the signed part says that its header is the message's, and all of Header was signed but trace fields
}

// Signature is one SignerInfo, checked against one certificate of the message that its identifier names. Where several
// certificates share that name there is one Signature for each; where none is included, one without a certificate (DIR-16).
type Signature struct {
	Signer        int               // index of the SignerInfo
	Certificate   *x509.Certificate // nil: not included
	Hash          crypto.Hash
	Algorithm     cms.Algorithm   // of the signature; 0: not accepted
	Capabilities  []cms.Algorithm // what the signer can read, as far as known here, the best first; only a good signature vouches for it
	SigningTime   time.Time       // what the signer claims: for the log, never the time of validation
	Canonicalised bool            // the digest is that of the canonical form, not of the bytes as received
	Epilogue      bool            // the digest is that of a multipart with one line end more or less after its last delimiter than there is
	Act           [32]byte        // SHA-256 of what was signed: equal ones are one act of signing, whatever the message around it looks like
	Err           error           // nil: this certificate's key signed this content. Says nothing of trust
}

// Good returns the signatures that hold. Whether their certificates are trusted is for the caller to find out.
func (o *Opened) Good() []Signature {
	var good []Signature
	for _, s := range o.Signatures {
		if s.Err == nil {
			good = append(good, s)
		}
	}
	return good
}

// errNoCertificate and errNotHashed are the faults of a signature that package cms is not asked about.
var (
	errNoCertificate = errors.New("smime: the signing certificate is not included")     // Direct 2.5.2
	errNotHashed     = errors.New("smime: a digest algorithm that micalg did not name") // RFC 8551 §3.5.3.2
)

// Open decrypts the message in src with one of keys, checks every signature and writes the message inside to dst: as it was
// wrapped, or made of the outer header and the signed entity. It reads src once and needs no more memory for a longer message. A
// message of more than a megabyte is read and decrypted in a goroutine of its own, while dst is written; it has ended when Open returns.
//
// dst is a draft that nobody can read: what is written there is neither verified nor whole before Open returns. With an error
// the caller throws it away. Without one it is whole; the caller shows it once a signature of Good is trusted and bound to the
// sender, and throws it away otherwise. No error and no bad signature is ever answered to the sender (RFC 3218 §2.3.2; Direct
// 3): ErrUnsigned and ErrStructure tell something of the plaintext.
//
// Errors: ErrPlain, ErrNoKey, ErrDecrypt, ErrUnsigned, ErrStructure, ErrLimit; anything else means that src, dst or a key could
// not be used.
func Open(dst io.Writer, src io.Reader, keys []cms.Recipient, o OpenOptions) (*Opened, error) {
	in := &watched{r: src}
	out := &draft{w: dst}
	opened, err := open(out, in, keys, o)
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("smime: reading the message: %w", in.err)
	case out.err != nil:
		return nil, fmt.Errorf("smime: writing the draft: %w", out.err)
	case err != nil:
		return nil, err
	}
	opened.Size = out.n
	return opened, nil
}

func open(dst *draft, src io.Reader, keys []cms.Recipient, o OpenOptions) (*Opened, error) {
	x := &opening{dst: dst, keys: keys, lim: o}
	defer x.ahead.close()
	err := x.run(src)
	if err == nil {
		return &x.opened, nil
	}
	if x.plain != nil && dst.err == nil { // whatever is wrong with the message takes as long as nothing being wrong
		_, _ = io.Copy(io.Discard, x.plain)
	}
	return nil, verdict(err)
}
