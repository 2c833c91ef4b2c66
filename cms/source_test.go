package cms

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A source that breaks is not a message that is cut: also where it says so in the words of io.ReadFull, as an HTTP body does. At every
// place, its error comes out and none that puts it down to the message, which would be refused for good.
func TestBrokenSource(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer())
	check(t, err)
	agreed, k := sealed(t, content(100)), kariTo(kinds()[ECDHP256], ECDHP256)
	k.rid = keyIdentifier(k.to.cert.SubjectKeyId)
	agreed.infos = [][]byte{toBER(k.bytes(t, agreed.cek), 1)}
	judged := 0
	for name, msg := range map[string][]byte{
		"signed": toBER(p7s, 4), "opaque": opaqueBy(t, someText, c.alice), "enveloped": seal(t, someText, AES128CBC, c.bob.cert),
		"agreed": agreed.bytes(), "authenticated": seal(t, someText, AES128GCM, c.bob.cert), "compressed": compress(t, someText),
	} {
		for i, read := range readers {
			if whole := read(bytes.NewReader(msg)); whole != nil && whole != ErrDecrypt { // the key of these readers is another
				continue // a reader of another kind of message
			}
			judged++
			for n := 0; n < len(msg); n += 7 {
				for _, broken := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe} {
					err := read(io.MultiReader(bytes.NewReader(msg[:n]), iotest.ErrReader(broken)))
					if !errors.Is(err, broken) || errors.Is(err, ErrSyntax) || errors.Is(err, ErrDecrypt) {
						t.Fatalf("%s, reader %d, broken by %q at %d of %d: %v", name, i, broken, n, len(msg), err)
					}
				}
			}
		}
	}
	if judged != 6 {
		t.Errorf("%d messages read", judged)
	}
}
