package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// What comes through is what went in, however it comes, and errors come after it.
func TestInterruptibleReads(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	late := errors.New("late")
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(data), "halves": iotest.HalfReader(bytes.NewReader(data)), "with EOF": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, err := io.ReadAll(newInterruptible(t.Context(), r))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	got, err := io.ReadAll(newInterruptible(t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(late))))
	if !errors.Is(err, late) || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestInterruptibleEnds(t *testing.T) {
	silent, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r := newInterruptible(ctx, silent)
	go cancel()
	for range 2 {
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d, %v", n, err)
		}
	}
}

func TestWrap(t *testing.T) {
	const text = "Judges a set:\n\n  COMPLETE  all is there, and this line is long\n\nThe worst finding\ngives the verdict, and that is that.\n\nTry it:  carepost demo"
	const want = "Judges a set:\n\n  COMPLETE  all is there, and this line is long\n\nThe worst finding gives the\nverdict, and that is that.\n\nTry it:  carepost demo"
	if got := wrap(text, 27); got != want {
		t.Errorf("%q", got)
	}
}
