package bench

import (
	"os"
	"strconv"
	"testing"
)

// full says that the sizes and rounds are those that the targets speak of.
var full = os.Getenv("CAREPOST_FULL") != ""

// pick is small unless the run is full.
func pick[T any](small, whole T) T {
	if full {
		return whole
	}
	return small
}

// number is an environment variable that a size or a count may be set by.
func number(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s=%s is no count", name, text)
	}
	return n
}
