package bench

import (
	"os"
	"testing"
)

// full says that the sizes and rounds are those the targets speak of.
var full = os.Getenv("CAREPOST_FULL") != ""

// BenchmarkLarge seals and opens one message with a long attachment, beside the peers.
func BenchmarkLarge(b *testing.B) {}
