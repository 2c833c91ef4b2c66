package smime

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"syscall"
	"testing"
	"time"

	"carepost/cms"
)

// BenchmarkSmall: messages of 10 KB a second of one processor, by RSA-2048, and how many that is of those that the private-key
// operation alone would allow, measured in turns.
func BenchmarkSmall(b *testing.B) {
	letter := must(io.ReadAll(newMessage(10 << 10)))
	o := sealing()
	digest := sha256.Sum256(letter)
	b.Run("seal", func(b *testing.B) {
		besideBare(b, func() {
			if err := Seal(io.Discard, bytes.NewReader(letter), o); err != nil {
				b.Fatal(err)
			}
		}, func() {
			must(o.Signers[0].Key.Sign(rand.Reader, digest[:], crypto.SHA256))
		})
	})
	var sealed bytes.Buffer
	if err := Seal(&sealed, bytes.NewReader(letter), o); err != nil {
		b.Fatal(err)
	}
	bob := newWorld().bob.recipient()
	key := bob.Key.(crypto.Decrypter)
	//lint:ignore SA1019 what Direct partners send
	wrapped := must(rsa.EncryptPKCS1v15(rand.Reader, key.Public().(*rsa.PublicKey), make([]byte, 32)))
	//lint:ignore SA1019 as Open does it
	bare := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32}
	b.Run("open", func(b *testing.B) {
		besideBare(b, func() {
			must(Open(io.Discard, bytes.NewReader(sealed.Bytes()), []cms.Recipient{bob}, OpenOptions{}))
		}, func() {
			must(key.Decrypt(rand.Reader, wrapped, bare))
		})
	})
}

// besideBare measures work, and bare in turns with it.
func besideBare(b *testing.B, work, bare func()) {
	const turn = 20
	var ours, least time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		start := processorTime(b)
		for range turn {
			work()
		}
		between := processorTime(b)
		ours += between - start
		b.StopTimer()
		for range turn {
			bare()
		}
		least += processorTime(b) - between
		b.StartTimer()
		n += turn
	}
	b.ReportMetric(float64(n)/ours.Seconds(), "msgs/s")
	b.ReportMetric(least.Seconds()/ours.Seconds(), "of-bare")
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
