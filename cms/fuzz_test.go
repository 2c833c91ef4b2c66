package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"testing"
	"testing/cryptotest"
	"testing/iotest"
)

// known says that err is one of the errors that the documentation promises.
func known(err error) bool {
	for _, k := range []error{nil, ErrSyntax, ErrLimit, ErrContentType, ErrEmbedded, ErrDetached, ErrCertificates, ErrAlgorithm, ErrAttributes, ErrDigest, ErrSignature, ErrNoKey, ErrDecrypt} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

func FuzzReadSigned(f *testing.F) {
	c := people()
	digest := sum(someText)
	salted := c.bob.signer()
	salted.PSS, salted.Capabilities = true, []Algorithm{AES256GCM, RSAESOAEPSHA256, RSAESOAEPSHA1}
	for _, signers := range [][]Signer{{c.alice.signer()}, {c.p256.signer(), c.p384.signer()}, {salted}, {edith().signer()}} {
		p7s, err := SignDetached(sums(someText), nil, signers...)
		check(f, err)
		f.Add(p7s)
		f.Add(toBER(p7s, 4))
	}
	forged := honest(digest)
	forged.unsigned = [][]byte{attribute(pkcs9+"\x06", octetString(digest))}
	f.Add(forged.bytes(f))
	forged.embedded = encode(octetString(someText))
	f.Add(forged.bytes(f))
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 40))
	seed(f, "signed", "opaque")
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer frugal(t, heap(), len(msg))
		lenient := ReadOptions{Algorithms: Lenient.Algorithms()}
		s, err := ReadSigned(bytes.NewReader(msg), lenient)
		again, err2 := ReadSigned(iotest.OneByteReader(bytes.NewReader(msg)), lenient)
		strict, err3 := ReadSigned(bytes.NewReader(msg), ReadOptions{})
		if !known(err) || (err == nil) != (err2 == nil) || (err == nil) != (err3 == nil) {
			t.Fatalf("%v, %v, %v", err, err2, err3)
		}
		if err != nil {
			return
		}
		digests, others := everySum(someText), everySum(nil)
		for i, info := range s.Signers {
			for _, cert := range s.Candidates(i) {
				err := s.Verify(i, cert, digests[info.Hash])
				if !known(err) || (err == nil) != (again.Verify(i, cert, digests[info.Hash]) == nil) {
					t.Fatal(err)
				}
				if err == nil && info.Algorithm == 0 {
					t.Fatal("verified by no algorithm")
				}
				if err2 := strict.Verify(i, cert, digests[info.Hash]); err2 == nil && (err != nil || info.Hash == crypto.SHA1) {
					t.Fatalf("the strict profile verifies %v: %v", info.Hash, err)
				}
				if s.Verify(i, cert, others[info.Hash]) == nil {
					t.Fatal("verified over other content")
				}
			}
		}
	})
}

// fixed is a Decrypter that always finds the same key, and no time is lost with it.
type fixed struct{ crypto.Decrypter }

func (fixed) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return []byte("sixteen octets.."), nil
}

// The people of the coordinating and of the fuzzing processes have the same names and numbers and other keys: enough here.
func FuzzReadEnveloped(f *testing.F) {
	c := people()
	e := sealed(f, someText)
	e.cek = []byte("sixteen octets..")
	f.Add(e.bytes())
	e.segments = nil
	e.infos = append(e.infos, rawTransport(c.carol, c.carol.cert.SubjectKeyId, oidRSA, content(256)), []byte{0xa2, 0x80, 0, 0})
	e.originator, e.after = []byte{0xa0, 0}, [][]byte{{0xa1, 0}}
	f.Add(e.bytes())
	e.segments = []byte("\x24\x80\x04\x03abc\x24\x0f\x04\x0d0123456789abc\x00\x00")
	f.Add(e.bytes())
	f.Add(seal(f, nil, AES128CBC, c.bob.cert))
	a := authSealed(f, someText)
	a.cek = []byte("sixteen octets..")
	f.Add(a.bytes())
	a.attrs, a.after = [][]byte{dataAttribute}, [][]byte{{0xa2, 2, 0x30, 0}}
	a.icvLen, a.tagLen = 0, 12
	f.Add(a.bytes())
	seed(f, "enveloped")
	keys := append(peersRecipients(f), Recipient{c.bob.cert, fixed{c.bob.recipient().Key.(crypto.Decrypter)}})
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer frugal(t, heap(), len(msg))
		authenticated := false
		read := func(src io.Reader, draft bool) ([]byte, error) {
			cryptotest.SetGlobalRandom(t, 1) // what a wrong key decrypts to is the same each time
			env, r, err := ReadEnveloped(src, keys, ReadOptions{Draft: draft})
			if err != nil {
				return nil, err
			}
			if env.Cipher == 0 || env.Recipients == 0 || env.Own == nil || env.Key == 0 || env.Authenticated != env.Cipher.Authenticated() {
				t.Fatalf("%+v", env)
			}
			authenticated = env.Authenticated
			return io.ReadAll(r)
		}
		got, err := read(bytes.NewReader(msg), false)
		if authenticated && err != nil && len(got) > 0 {
			t.Fatalf("%v, after %d octets of plaintext", err, len(got))
		}
		again, err2 := read(iotest.OneByteReader(bytes.NewReader(msg)), true)
		if authenticated && err == ErrDecrypt {
			got, again = nil, nil
		}
		if !known(err) || !errors.Is(err2, err) && err2.Error() != err.Error() || !bytes.Equal(got, again) {
			t.Fatalf("%v, %d octets; octet by octet %v, %d octets", err, len(got), err2, len(again))
		}
		if len(got) > len(msg) {
			t.Fatalf("%d octets out of %d", len(got), len(msg))
		}
	})
}
