package cms

import (
	"bytes"
	"io"
	"testing"
)

const benchSize = 64 << 20

func BenchmarkEncrypt(b *testing.B) {
	plain, to := make([]byte, 1<<20), people().bob.cert
	for _, c := range []Algorithm{AES128CBC, AES256CBC, AES128GCM, AES256GCM} {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				w, err := NewEnvelopedWriter(io.Discard, Encryption{Cipher: c}, to)
				check(b, err)
				for range benchSize / len(plain) {
					w.Write(plain)
				}
				check(b, w.Close())
			}
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	for _, c := range []Algorithm{AES128CBC, AES256CBC, AES128GCM, AES256GCM} {
		msg := seal(b, make([]byte, benchSize), c, people().bob.cert)
		for name, draft := range map[string]bool{c.String(): true, c.String() + ", checked first": false} {
			if !draft && !c.Authenticated() {
				continue
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(benchSize)
				b.ReportAllocs()
				for b.Loop() {
					_, r, err := ReadEnveloped(bytes.NewReader(msg), []Recipient{people().bob.recipient()}, ReadOptions{Draft: draft})
					check(b, err)
					_, err = io.Copy(io.Discard, r)
					check(b, err)
				}
			})
		}
	}
}

func BenchmarkSmall(b *testing.B) {
	c := people()
	digest := sum(someText)
	plain := make([]byte, 10_000)
	for _, x := range []Algorithm{AES256CBC, AES256GCM} {
		msg := seal(b, plain, x, c.bob.cert)
		b.Run("encrypt/"+x.String(), func(b *testing.B) {
			for b.Loop() {
				seal(b, plain, x, c.bob.cert)
			}
		})
		b.Run("decrypt/"+x.String(), func(b *testing.B) {
			for b.Loop() {
				_, err := unseal(msg, c.bob.recipient())
				check(b, err)
			}
		})
	}
	for _, p := range []person{c.alice, c.p256, c.p384} {
		name := map[person]string{c.alice: "RSA-2048", c.p256: "P-256", c.p384: "P-384"}[p]
		p7s, err := SignDetached(sums(someText), nil, p.signer())
		check(b, err)
		b.Run("sign/"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := SignDetached(sums(someText), nil, p.signer())
				check(b, err)
			}
		})
		b.Run("verify/"+name, func(b *testing.B) { // reading and parsing the certificates included
			for b.Loop() {
				check(b, verify(p7s, digest))
			}
		})
	}
}
