package admin

import "testing"

// What one sign-in costs.
func BenchmarkHash(b *testing.B) {
	phc := newHash("correct horse battery")
	b.ReportAllocs()
	for b.Loop() {
		fits(phc, "correct horse battery")
	}
}
