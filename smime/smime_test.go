package smime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/message"
)

func newLines(w io.Writer) io.WriteCloser { return message.NewBase64Writer(w) }

// TestRoundTrip: DIR-12, DIR-14, DIR-15, DIR-16, DIR-17, DIR-18, DCM-19, DCM-21 (signed before encryption).
func TestRoundTrip(t *testing.T) {
	w := newWorld()
	lf := strings.ReplaceAll(letter, "\r\n", "\n")
	for _, c := range []struct {
		name, in, want string
		change         func(*SealOptions)
	}{
		{"RSA", letter, letter, func(*SealOptions) {}},
		{"ECDSA", letter, letter, func(o *SealOptions) { o.Signers = []cms.Signer{w.carol.signer()} }},
		{"AES-128", letter, letter, func(o *SealOptions) { o.Cipher = cms.AES128CBC }},
		{"AES-256-GCM", letter, letter, func(o *SealOptions) { o.Cipher = cms.AES256GCM }},
		{"SHA-512", letter, letter, func(o *SealOptions) { o.Signers[0].Hash = crypto.SHA512 }},
		{"DIR-17 bare LF becomes CRLF", lf, letter, func(*SealOptions) {}},
		{"no line end at the end", strings.TrimSuffix(letter, "\r\n"), strings.TrimSuffix(letter, "\r\n"), func(*SealOptions) {}},
		{"no body", "From: alice@clinic.example\r\n\r\n", "From: alice@clinic.example\r\n\r\n", func(*SealOptions) {}},
		{"header alone", "From: alice@clinic.example\r\n", "From: alice@clinic.example\r\n\r\n", func(*SealOptions) {}},
		{"two signers", letter, letter, func(o *SealOptions) { o.Signers = append(o.Signers, w.carol.signer()) }},
		{"two signers with two hashes", letter, letter, func(o *SealOptions) {
			s := w.carol.signer()
			s.Hash = crypto.SHA512
			o.Signers = append(o.Signers, s)
		}},
		{"several recipients", letter, letter, func(o *SealOptions) { o.Recipients = append(o.Recipients, w.eve.cert) }},
		{"8bit", "From: a@b.example\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n",
			"From: a@b.example\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n", func(*SealOptions) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, err := openBob(seal(t, c.in, c.change))
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("opened\n%q\nwant\n%q", got, c.want)
			}
			if !o.Wrapped || o.Size != int64(len(got)) || len(o.Signatures) == 0 || len(o.Good()) != len(o.Signatures) {
				t.Errorf("opened %+v", o)
			}
			for _, s := range o.Signatures {
				if s.Canonicalised || s.SigningTime.IsZero() {
					t.Errorf("signature %+v", s)
				}
			}
			if o.Header.Get("From") == "" || o.Outer.Has("Bcc") {
				t.Error("headers")
			}
		})
	}
}

// TestOuter: DIR-14, DIR-49: what can be seen from outside.
func TestOuter(t *testing.T) {
	msg := "Received: from pc of dr who\r\nReturn-Path: <x@clinic.example>\r\nBcc: secret@lab.example\r\n" +
		"X-Patient: Jane Doe\r\nCc: \"Mother of Jane Doe\" <mum@lab.example>, other@lab.example\r\nIn-Reply-To: <zero@lab.example>\r\n" + letter
	outerOf := func(b []byte) (string, string) {
		head, _, _ := strings.Cut(string(b), "\r\n\r\n")
		inner, _, err := openBob(b)
		if err != nil {
			t.Fatal(err)
		}
		return head + "\r\n", inner
	}
	t.Run("wrapped", func(t *testing.T) {
		head, inner := outerOf(seal(t, msg))
		want := "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
			"From: alice@clinic.example\r\n" +
			"To: bob@lab.example\r\n" +
			"Cc: mum@lab.example, other@lab.example\r\n" +
			"Message-ID: <one@clinic.example>\r\n" +
			"In-Reply-To: <zero@lab.example>\r\n" +
			"MIME-Version: 1.0\r\n" +
			"Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=\"smime.p7m\"\r\n" +
			"Content-Transfer-Encoding: base64\r\n" +
			"Content-Disposition: attachment; filename=\"smime.p7m\"\r\n"
		if head != want {
			t.Errorf("outer header\n%s\nwant\n%s", head, want)
		}
		if inner != strings.Replace(msg, "Bcc: secret@lab.example\r\n", "", 1) {
			t.Errorf("DIR-10: inside\n%s", inner)
		}
	})
	t.Run("DCM-05 and DIR-56 neutral subject", func(t *testing.T) {
		head, _ := outerOf(seal(t, strings.Replace(msg, "Subject: ", "Subject: Re: DICOM-ZIP ", 1)))
		if !strings.Contains(head, "\r\nSubject: DICOM-ZIP\r\n") || strings.Contains(head, "Doe") {
			t.Errorf("outer header\n%s", head)
		}
	})
	t.Run("chosen by the caller", func(t *testing.T) {
		head, _ := outerOf(seal(t, msg, func(o *SealOptions) {
			o.Outer = func(message.Header) ([]message.Field, error) {
				return []message.Field{
					{Name: "To", Raw: []byte("To: one@lab.example\n")}, {Name: "BCC", Raw: []byte("BCC: x@lab.example\r\n")},
					{Name: "content-type", Raw: []byte("content-type: text/html\r\n")},
				}, nil
			}
		}))
		if !strings.HasPrefix(head, "To: one@lab.example\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime;") {
			t.Errorf("outer header\n%s", head)
		}
	})
	t.Run("DIR-13 by the envelope", func(t *testing.T) {
		to := []addr.Address{must(addr.Parse("one@lab.example")), must(addr.Parse("two@lab.example"))}
		head, _ := outerOf(seal(t, msg, func(o *SealOptions) { o.Outer = OuterFor(must(addr.Parse("desk@clinic.example")), to...) }))
		want := "From: desk@clinic.example\r\nTo: one@lab.example, two@lab.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
			"Message-ID: <one@clinic.example>\r\nIn-Reply-To: <zero@lab.example>\r\nMIME-Version: 1.0\r\n"
		if !strings.HasPrefix(head, want) || strings.Contains(head, "mum") {
			t.Errorf("outer header\n%s", head)
		}
	})
	t.Run("injection is refused", func(t *testing.T) {
		w := newWorld()
		err := Seal(io.Discard, strings.NewReader(msg), SealOptions{
			Signers: []cms.Signer{w.alice.signer()}, Recipients: []*x509.Certificate{w.bob.cert},
			Outer: func(message.Header) ([]message.Field, error) {
				return []message.Field{{Name: "To", Raw: []byte("To: a@b.example\r\nBcc: x@y.example\r\n")}}, nil
			},
		})
		if !errors.Is(err, message.ErrSyntax) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("B.8 unwrapped", func(t *testing.T) {
		sealed := seal(t, msg, func(o *SealOptions) { o.Unwrapped = true })
		head, inner := outerOf(sealed)
		if !strings.Contains(head, "Subject: Results of Ms Doe\r\n") || strings.Contains(head, "secret") ||
			strings.Count(head, "Content-Type") != 1 || strings.Count(head, "MIME-Version") != 1 {
			t.Errorf("outer header\n%s", head)
		}
		wantBody := letter[strings.Index(letter, "Content-Type"):]
		if !strings.HasSuffix(inner, wantBody) || strings.Count(inner, "Subject: ") != 1 || strings.Count(inner, "MIME-Version") != 1 {
			t.Errorf("inside\n%s", inner)
		}
		_, o, _ := openBob(sealed)
		if o.Wrapped || o.Header.Get("Subject") != "Results of Ms Doe" || o.Header.Get("Content-Type") != "multipart/mixed; boundary=inner" {
			t.Errorf("opened %+v", o)
		}
	})
	t.Run("B.8 unwrapped with another subject", func(t *testing.T) {
		head, _ := outerOf(seal(t, msg, func(o *SealOptions) {
			o.Unwrapped = true
			o.Outer = func(message.Header) ([]message.Field, error) {
				return []message.Field{{Name: "Subject", Raw: []byte("Subject: DICOM-ZIP\r\n")}}, nil
			}
		}))
		if strings.Contains(head, "Doe\r\nDate") || !strings.Contains(head, "Subject: DICOM-ZIP\r\n") || strings.Count(head, "Subject:") != 1 {
			t.Errorf("outer header\n%s", head)
		}
	})
	t.Run("B.8 unwrapped text without MIME", func(t *testing.T) {
		_, inner := outerOf(seal(t, "From: a@b.example\r\n\r\nhello\r\n", func(o *SealOptions) { o.Unwrapped = true }))
		if inner != "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\n" {
			t.Errorf("inside\n%q", inner)
		}
	})
}

// TestSealRefuses what is no message, or cannot be sealed.
func TestSealRefuses(t *testing.T) {
	w := newWorld()
	other := w.certify("other@lab.example", must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), 521)
	good := SealOptions{Signers: []cms.Signer{w.alice.signer()}, Recipients: []*x509.Certificate{w.bob.cert}}
	with := func(f func(*SealOptions)) SealOptions { o := good; f(&o); return o }
	for name, c := range map[string]struct {
		in   string
		o    SealOptions
		want error // nil: any
	}{
		"nothing":              {"", good, message.ErrSyntax},
		"no header":            {"\r\nbody", good, message.ErrSyntax},
		"no message":           {"just text\r\n", good, message.ErrSyntax},
		"two types":            {"From: a@b.example\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", good, message.ErrAmbiguous},
		"two From":             {"From: a@b.example\r\nFrom: c@d.example\r\n\r\n", good, message.ErrAmbiguous},
		"To is no list":        {"From: a@b.example\r\nTo: @@@\r\n\r\n", good, message.ErrSyntax},
		"binary":               {"From: a@b.example\r\nContent-Transfer-Encoding: binary\r\n\r\n\n", good, message.ErrSyntax},
		"header too long":      {"X: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", good, message.ErrLimit},
		"nobody signs":         {letter, with(func(o *SealOptions) { o.Signers = nil }), nil},
		"nobody reads":         {letter, with(func(o *SealOptions) { o.Recipients = nil }), nil},
		"DIR-18 SHA-1":         {letter, with(func(o *SealOptions) { o.Signers = []cms.Signer{w.alice.signer()}; o.Signers[0].Hash = crypto.SHA1 }), cms.ErrAlgorithm},
		"DIR-18 MD5":           {letter, with(func(o *SealOptions) { o.Signers = []cms.Signer{w.alice.signer()}; o.Signers[0].Hash = crypto.MD5 }), cms.ErrAlgorithm},
		"recipient with P-521": {letter, with(func(o *SealOptions) { o.Recipients = []*x509.Certificate{other.cert} }), cms.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			err := Seal(io.Discard, strings.NewReader(c.in), c.o)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	// A signer or a reader that will not do is found before anything is read: a study is long.
	for name, o := range map[string]SealOptions{
		"SHA-1":             with(func(o *SealOptions) { o.Signers = []cms.Signer{w.alice.signer()}; o.Signers[0].Hash = crypto.SHA1 }),
		"no time":           with(func(o *SealOptions) { o.Signers = []cms.Signer{{Key: w.alice.key, Certificate: w.alice.cert}} }),
		"another's key":     with(func(o *SealOptions) { o.Signers = []cms.Signer{w.alice.signer()}; o.Signers[0].Key = w.eve.key }),
		"no key":            with(func(o *SealOptions) { o.Signers = []cms.Signer{w.alice.signer()}; o.Signers[0].Key = nil }),
		"reader with P-521": with(func(o *SealOptions) { o.Recipients = []*x509.Certificate{w.bob.cert, other.cert} }),
	} {
		read := errors.New("read")
		if err := Seal(io.Discard, failing{read}, o); err == nil || errors.Is(err, read) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDisk: an error of the disk is no answer, and never looks like one.
func TestDisk(t *testing.T) {
	sealed := seal(t, letter+strings.Repeat("x\r\n", 100_000))
	broken := errors.New("disk")
	keys := []cms.Recipient{newWorld().bob.recipient()}
	for _, n := range []int64{0, 100, 700, 5000, 60_000} {
		_, err := Open(io.Discard, io.MultiReader(bytes.NewReader(sealed[:n]), failing{broken}), keys, OpenOptions{})
		if !errors.Is(err, broken) || errors.Is(err, ErrDecrypt) {
			t.Errorf("reading fails at %d: %v", n, err)
		}
	}
	if _, err := Open(failing{broken}, bytes.NewReader(sealed), keys, OpenOptions{}); !errors.Is(err, broken) {
		t.Errorf("writing fails: %v", err)
	}
	o := SealOptions{Signers: []cms.Signer{newWorld().alice.signer()}, Recipients: []*x509.Certificate{newWorld().bob.cert}}
	if err := Seal(failing{broken}, strings.NewReader(letter), o); !errors.Is(err, broken) {
		t.Errorf("sealing to a broken disk: %v", err)
	}
	if err := Seal(io.Discard, io.MultiReader(strings.NewReader(letter), failing{broken}), o); !errors.Is(err, broken) {
		t.Errorf("sealing from a broken disk: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }
