package audit

import (
	"testing"

	"carepost/internal/store/storetest"
)

// BenchmarkLog seals and verifies 2,000 entries.
func BenchmarkLog(b *testing.B) {
	s := storetest.SQLite(b)
	l := newLog(b, s)
	const n = 2000
	for b.Loop() {
		b.StopTimer()
		write(b, s, n)
		b.StartTimer()
		seal(b, l)
	}
	v := verify(b, s, VerifyOptions{})
	if len(v.Findings) > 0 {
		b.Fatal(v.Findings)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(v.Entries), "µs/entry")
}

// BenchmarkVerify reads a log of 20,000 entries.
func BenchmarkVerify(b *testing.B) {
	s := storetest.SQLite(b)
	const n = 20_000
	for range n / 2000 {
		write(b, s, 2000)
	}
	seal(b, newLog(b, s))
	for b.Loop() {
		if v := verify(b, s, VerifyOptions{}); v.Entries != n {
			b.Fatal(v)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/entry")
}
