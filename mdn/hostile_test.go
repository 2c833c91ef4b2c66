package mdn

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"carepost/message"
)

// A quarter of a megabyte of tiny fields, each in a group of its own, takes memory in proportion: what is read, and no buffers or
// joined texts for each.
func TestManyFields(t *testing.T) {
	for _, line := range []string{"X:\r\n\r\n", "Error:x\r\n\r\n", "Error:x\r\n"} {
		src := []byte("From: a@h.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n" +
			"--b\r\n\r\nx\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: a;processed\r\n" +
			strings.Repeat(line, 250<<10/len(line)) + "\r\n--b--\r\n")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := read(src); err != nil && !errors.Is(err, message.ErrLimit) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%q: %d MiB for %d KiB", line, n>>20, len(src)>>10)
		}
	}
}
