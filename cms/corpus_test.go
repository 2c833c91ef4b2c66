package cms

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"
)

// testdata/peers has messages over the file content by OpenSSL 3.0.22, gpgsm 2.2.40, NSS 3.87.1 and Bouncy Castle 1.72, one for each thing
// they know to do, for the people of recipients.pem, whose keys serve nothing else. The names say kind, maker and algorithms.
func peersMessages(t testing.TB, kind string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/peers/" + kind + "-*")
	check(t, err)
	if len(files) == 0 {
		t.Fatalf("no messages %s", kind)
	}
	all := make(map[string][]byte)
	for _, name := range files {
		all[filepath.Base(name)], err = os.ReadFile(name)
		check(t, err)
	}
	return all
}

// peersRecipients are those to whom the peers encrypted.
func peersRecipients(t testing.TB) (all []Recipient) {
	t.Helper()
	rest, err := os.ReadFile("testdata/peers/recipients.pem")
	check(t, err)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			check(t, err)
			all = append(all, Recipient{Certificate: cert})
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		check(t, err)
		all[len(all)-1].Key = key
	}
}

func peersContent(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/peers/content")
	check(t, err)
	return b
}

// What the peers once made is read as it was then.
func TestCorpus(t *testing.T) {
	text := peersContent(t)
	lenient := ReadOptions{Algorithms: Lenient.Algorithms()}
	holds := func(name string, s *SignedData) {
		t.Helper()
		old := sha1.Sum(text)
		digests := sums(text)
		digests[SHA1.hash()] = old[:]
		for i, info := range s.Signers {
			for _, cert := range s.Candidates(i) {
				if err := s.Verify(i, cert, digests[info.Hash]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if len(s.Signers) == 0 {
			t.Errorf("%s: nobody signed", name)
		}
	}
	for name, msg := range peersMessages(t, "signed") {
		s, err := ReadSigned(bytes.NewReader(msg), lenient)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		holds(name, s)
	}
	for name, msg := range peersMessages(t, "opaque") {
		o, err := ReadOpaque(bytes.NewReader(msg), lenient)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v, %q", name, err, got)
			continue
		}
		s, err := o.Signed()
		check(t, err)
		holds(name, s)
	}
	for name, msg := range peersMessages(t, "enveloped") {
		if got, err := unseal(msg, peersRecipients(t)...); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
	for name, msg := range peersMessages(t, "compressed") {
		r, err := ReadCompressed(bytes.NewReader(msg), lenient)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
}

// heap is how much memory was ever asked for, nearly: what costs a fuzz target next to nothing to know.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// frugal fails if more memory was asked for since heap was before than a message of n octets may cost: 64 MB for a megabyte.
func frugal(t *testing.T, before uint64, n int) {
	t.Helper()
	if mem := heap() - before; n <= megabyte && mem > mostMemory {
		t.Fatalf("%d MB of memory for %d octets", mem>>20, n)
	}
}

// kinds of the corpus that a fuzz target begins with.
func seed(f *testing.F, kinds ...string) {
	for _, kind := range kinds {
		for _, msg := range peersMessages(f, kind) {
			f.Add(msg)
			if !strings.HasPrefix(kind, "signed") && len(msg) > 64 {
				f.Add(msg[:len(msg)-20])
			}
		}
	}
}
