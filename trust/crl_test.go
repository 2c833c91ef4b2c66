package trust

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/trust/certtest"
)

// altered is a list in which f has replaced its contents between the entries' start and the signature.
func altered(t *testing.T, raw []byte, f func(entries, rest cryptobyte.String) []byte) []byte {
	t.Helper()
	_, signed, entries, err := splitCRL(raw)
	if err != nil {
		t.Fatal(err)
	}
	tbs := cryptobyte.String(signed)
	var contents cryptobyte.String
	tbs.ReadASN1(&contents, asn1.SEQUENCE)
	before, rest := contents, cryptobyte.String(nil)
	if i := bytes.Index(contents, entries); len(entries) > 0 && i > 0 {
		before, rest = contents[:i-2], contents[i+len(entries):]
	} else {
		t.Fatal("the list has no entries, or many")
	}
	outer := cryptobyte.String(raw)
	outer.ReadASN1(&outer, asn1.SEQUENCE)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(before)
			b.AddBytes(f(entries, rest))
		})
		b.AddBytes(outer[len(signed):])
	})
	return b.BytesOrPanic()
}

// A serial number with an octet too many would be compared as another number: such a list is none, and revokes nothing by mistake
// or by omission (X.690 §8.3.2).
func TestSerialOfManyForms(t *testing.T) {
	ca := certtest.NewCA(t, "R")
	raw := ca.CRL(t, ca.Issue(t, "lab@h.example").Certificate).Raw
	again := altered(t, raw, func(entries, rest cryptobyte.String) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(entries) })
		b.AddBytes(rest)
		return b.BytesOrPanic()
	})
	if !bytes.Equal(raw, again) {
		t.Fatal("the test does not put together what it took apart")
	}
	long := altered(t, raw, func(entries, rest cryptobyte.String) []byte {
		var entry, serial cryptobyte.String
		entries.ReadASN1(&entry, asn1.SEQUENCE)
		entry.ReadASN1(&serial, asn1.INTEGER)
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(append([]byte{0}, serial...)) })
				b.AddBytes(entry)
			})
		})
		b.AddBytes(rest)
		return b.BytesOrPanic()
	})
	if _, err := parseCRL(long); err == nil {
		t.Error("the list is read, and the serial number in it found by nobody")
	}
}

// What is read before any signature is checked takes little memory: extensions by the hundred thousand are no list.
func TestManyExtensions(t *testing.T) {
	ca := certtest.NewCA(t, "R")
	raw := altered(t, ca.CRL(t, ca.Certificate).Raw, func(_, _ cryptobyte.String) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(bytes.Repeat([]byte("\x30\x07\x06\x03\x55\x1d\x63\x04\x00"), 500_000))
			})
		})
		return b.BytesOrPanic()
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := parseCRL(raw)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 1<<20 {
		t.Errorf("%d bytes allocated for %d: %v", n, len(raw), err)
	}
}

// The caches keep to their sizes, whoever fills them.
func TestCachesAreBounded(t *testing.T) {
	now := certtest.NotBefore
	var issuers issuerCache
	for i := range 1000 {
		issuers.put(fmt.Sprint(i), nil, 30_000, now)
		issuers.put(fmt.Sprint(i), nil, 60_000, now) // the same again, grown
		if issuers.bytes > maxIssuerBytes || issuers.bytes != 60_000*len(issuers.m) {
			t.Fatalf("%d bytes of %d issuers", issuers.bytes, len(issuers.m))
		}
	}
	l, err := parseCRL(certtest.NewCA(t, "R").CRL(t).Raw)
	if err != nil {
		t.Fatal(err)
	}
	one := func(i int) *kept { return &kept{list: l, at: now, used: now.Add(time.Duration(i))} }
	statuses := statusCache{bytes: maxStatusBytes - 10*one(0).size()}
	for i := range 100 {
		statuses.put(source{url: fmt.Sprint(i)}, one(i))
		statuses.put(source{url: fmt.Sprint(i)}, one(i))
	}
	if k, _ := statuses.get(source{url: "99"}, now); len(statuses.all) != 10 || statuses.bytes != maxStatusBytes || k == nil {
		t.Errorf("%d statuses, %d bytes", len(statuses.all), statuses.bytes)
	}
}
