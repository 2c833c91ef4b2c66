// Package damage proves DCM-22 by chance: a packed set, or the mail that carries it, is damaged at random thousands of times, and is never
// called COMPLETE unless DICOMDIR and every instance are byte for byte those that were sent.
package damage

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	random "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
	"carepost/smime"
)

// sent is a set in the forms in which it is damaged.
type sent struct {
	files   map[string][]byte // by File ID, without MANIFEST
	older   map[string][]byte // another set with the same File IDs, as a mail of before may have brought it
	fewer   []byte            // a DICOMDIR of all but the last instance
	foreign []byte            // a set without MANIFEST, as another maker's
	archive []byte
	plain   []byte // the mail before it is sealed
	sealed  []byte
	to      cms.Recipient
}

// person makes a key and a certificate of its own.
func person(t *testing.T, address string) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// pack makes the set: images, a document, a presentation state, and compressed pixels, some of it deflated.
func pack(t *testing.T) *sent {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	var paths []string
	for _, name := range []string{"io8", "kos", "gsps", "encpdf", "SC_rgb_jpeg_dcmtk"} {
		paths = append(paths, filepath.Join(dir, "dicom", "files", name+".dcm"))
	}
	plan, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, paths...)
	if err != nil {
		t.Fatalf("the shared test data, which CAREPOST_TESTDATA names: %v", err)
	}
	var archive, plain, sealed bytes.Buffer
	if err := plan.WriteZIP(t.Context(), &archive, nil); err != nil {
		t.Fatal(err)
	}
	s := &sent{older: packed(t, altered(t, paths)...), fewer: packed(t, paths[:len(paths)-1]...)[fileset.DirectoryName], foreign: anothers(t, paths)}
	from, to := addr.Address{}, addr.Address{}
	for a, s := range map[*addr.Address]string{&from: "lab@north.example", &to: "desk@south.example"} {
		if *a, err = addr.Parse(s); err != nil {
			t.Fatal(err)
		}
	}
	letter := zipmail.Letter{From: from, To: []addr.Address{to}, Date: time.Now(), MessageID: "<1@north.example>"}
	if err := zipmail.Compose(t.Context(), &plain, letter, plan, "b-0", nil); err != nil {
		t.Fatal(err)
	}
	labKey, lab := person(t, "lab@north.example")
	deskKey, desk := person(t, "desk@south.example")
	if err := smime.Seal(&sealed, bytes.NewReader(plain.Bytes()), smime.SealOptions{Signers: []cms.Signer{{Key: labKey, Certificate: lab, Time: time.Now()}},
		Recipients: []*x509.Certificate{desk}}); err != nil {
		t.Fatal(err)
	}
	s.archive, s.plain, s.sealed, s.to = archive.Bytes(), plain.Bytes(), sealed.Bytes(), cms.Recipient{Certificate: desk, Key: deskKey}
	if s.files, err = contents(s.archive); err != nil {
		t.Fatal(err)
	}
	delete(s.files, fileset.DescriptorName)
	return s
}

// contents are the files of an archive as archive/zip, which is none of ours, reads them.
func contents(b []byte) (map[string][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			return nil, err
		}
		if out[f.Name], err = io.ReadAll(rc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unsealed opens a sealed mail; nil where it does not open, or nobody's signature holds.
func (s *sent) unsealed(b []byte) []byte {
	var inner bytes.Buffer
	o, err := smime.Open(&inner, bytes.NewReader(b), []cms.Recipient{s.to}, smime.OpenOptions{})
	if err != nil || len(o.Good()) == 0 {
		return nil
	}
	return inner.Bytes()
}

// attached takes the archive out of a mail, as it is taken where mail arrives; nil where there is none, or doubt.
func attached(mail []byte) []byte {
	r := bytes.NewReader(mail)
	root, err := message.Parse(r, r.Size(), message.Limits{})
	if err != nil {
		return nil
	}
	part, findings, err := zipmail.FindSet(root, r)
	if err != nil || part == nil {
		return nil
	}
	for _, f := range findings {
		if zipmail.Doubt(f) {
			return nil
		}
	}
	b, err := io.ReadAll(part.Open(r))
	if err != nil {
		return nil
	}
	return b
}

// same says what of an archive that is called COMPLETE is not what was sent; "" if all is.
func (f form) same(b []byte) string {
	got, err := contents(b)
	if err != nil {
		return "archive/zip does not read it: " + err.Error()
	}
	for name, data := range f.sent {
		if !bytes.Equal(got[name], data) {
			return name + " is not what was sent"
		}
	}
	return ""
}

// forms are what is damaged, and how the archive is got out of it again.
func (s *sent) forms() []form {
	foreign, err := contents(s.foreign)
	if err != nil {
		panic(err) // we have built it
	}
	as := func(b []byte) []byte { return b }
	return []form{
		{"archive", s.archive, as, nil, s.files},
		{"plain mail", s.plain, attached, nil, s.files},
		{"sealed mail", s.sealed, func(b []byte) []byte { return attached(s.unsealed(b)) }, nil, s.files},
		{"files", s.archive, as, s, s.files},
		{"another maker's archive", s.foreign, as, nil, foreign},
	}
}

type form struct {
	name  string
	good  []byte
	open  func([]byte) []byte
	files *sent             // not nil: its files are damaged rather than the bytes, and the archive is built anew with right checksums
	sent  map[string][]byte // what must be in it, by File ID
}

// count is how many damages there are, seed by which they are chosen: CAREPOST_SEED repeats a run.
func count(t *testing.T) (n int, seed uint64) {
	n, seed = 400, random.Uint64()
	if os.Getenv("CAREPOST_FULL") != "" {
		n = 15_000
	}
	if s := os.Getenv("CAREPOST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CAREPOST_SEED=%d repeats this run of %d", seed, n)
	return n, seed
}

// DCM-22, ATT-39: a partial or damaged delivery can never pass for a complete one.
func TestNoDamagePasses(t *testing.T) {
	s := pack(t)
	forms := s.forms()
	for _, f := range forms {
		if v := verdict(t, f.open(f.good)); v != fileset.Complete || f.same(f.open(f.good)) != "" {
			t.Fatalf("%s, undamaged: %v", f.name, v)
		}
	}
	n, seed := count(t)
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Go(func() {
			for i := range next {
				f := forms[i%len(forms)]
				rnd := random.New(random.NewPCG(seed, uint64(i)))
				b, what := damaged(t, f, rnd)
				opened := f.open(b)
				v := verdict(t, opened)
				if v == fileset.Complete {
					if wrong := f.same(opened); wrong != "" {
						t.Errorf("CAREPOST_SEED=%d, number %d: %s, %s: COMPLETE, but %s", seed, i, f.name, what, wrong)
					}
				}
				mu.Lock()
				seen[fmt.Sprintf("%s: %v", f.name, v)]++
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Log(seen)
	for _, f := range forms {
		if seen[f.name+": DAMAGED"] == 0 {
			t.Errorf("%s: nothing was damaged", f.name)
		}
	}
}

// verdict of an archive; none is damage.
func verdict(t *testing.T, b []byte) fileset.Verdict {
	if b == nil {
		return fileset.Damaged
	}
	r, err := fileset.CheckZIP(context.Background(), bytes.NewReader(b), int64(len(b)), fileset.CheckOptions{})
	if err != nil {
		t.Error(err)
		return fileset.Damaged
	}
	return r.Verdict
}
