package smime

import (
	"crypto"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"carepost/cms"
)

// streamed writes a message of size octets in another form to w, without holding it.
type streamed func(w io.Writer, size int64) error

// nested writes what body writes as an application/pkcs7-mime entity.
func nested(w io.Writer, contentType string, body func(w io.Writer) error) error {
	if _, err := io.WriteString(w, "Content-Type: "+contentType+"\r\nContent-Transfer-Encoding: base64\r\n\r\n"); err != nil {
		return err
	}
	lines := newLines(w)
	if err := body(lines); err != nil {
		return err
	}
	return lines.Close()
}

func encrypted(body func(w io.Writer) error) func(w io.Writer) error {
	return func(w io.Writer) error {
		env, err := cms.NewEnvelopedWriter(w, cms.Encryption{}, newWorld().bob.cert)
		if err != nil {
			return err
		}
		if err := body(env); err != nil {
			return err
		}
		return env.Close()
	}
}

func wrappedLines(size int64) io.Reader {
	return io.MultiReader(strings.NewReader("Content-Type: message/rfc822\r\n\r\n"), newMessage(size))
}

// opaqueStream writes SignedData in BER: segments of the content, after it was hashed.
func opaqueStream(size int64) func(w io.Writer) error {
	return func(w io.Writer) error {
		h := crypto.SHA256.New()
		if _, err := io.Copy(h, wrappedLines(size)); err != nil {
			return err
		}
		p7s, err := cms.SignDetached(map[crypto.Hash][]byte{crypto.SHA256: h.Sum(nil)}, nil, newWorld().alice.signer())
		if err != nil {
			return err
		}
		before, after, _ := strings.Cut(string(p7s), tlv(0x30, oidOfData))
		before = before[strings.Index(before, "\x02\x01\x01\x31"):]
		fmt.Fprintf(w, "\x30\x80%s\xa0\x80\x30\x80%s\x30\x80%s\xa0\x80\x24\x80", oidOfSigned, before, oidOfData)
		content := wrappedLines(size)
		for segment := make([]byte, 4+32<<10); ; {
			n, err := io.ReadFull(content, segment[4:])
			segment[0], segment[1], segment[2], segment[3] = 4, 0x82, byte(n>>8), byte(n)
			if _, err := w.Write(segment[:4+n]); err != nil {
				return err
			}
			if err != nil {
				break
			}
		}
		_, err = io.WriteString(w, strings.Repeat("\x00", 6)+after+strings.Repeat("\x00", 6))
		return err
	}
}

// TestFormsFlatMemory: the other forms take no more memory for a longer message than Direct's.
func TestFormsFlatMemory(t *testing.T) {
	const size = 24 << 20
	plain := func(size int64) func(w io.Writer) error {
		return func(w io.Writer) error { _, err := io.Copy(w, wrappedLines(size)); return err }
	}
	deflate := func(body func(w io.Writer) error) func(w io.Writer) error {
		return func(w io.Writer) error {
			z, err := cms.NewCompressedWriter(w)
			if err != nil {
				return err
			}
			if err := body(z); err != nil {
				return err
			}
			return z.Close()
		}
	}
	for name, write := range map[string]streamed{
		"opaque": func(w io.Writer, size int64) error {
			return nested(w, asEnveloped, encrypted(func(w io.Writer) error { return nested(w, asSigned, opaqueStream(size)) }))
		},
		"encrypted, then signed": func(w io.Writer, size int64) error {
			h := crypto.SHA256.New()
			fmt.Fprint(w, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=around\r\n\r\n--around\r\n")
			if err := nested(io.MultiWriter(w, h), asEnveloped, encrypted(plain(size))); err != nil {
				return err
			}
			p7s, err := cms.SignDetached(map[crypto.Hash][]byte{crypto.SHA256: h.Sum(nil)}, nil, newWorld().alice.signer())
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "\r\n--around\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--around--\r\n", base64Text(p7s))
			return nil
		},
		"compressed": func(w io.Writer, size int64) error {
			return nested(w, asEnveloped, encrypted(func(w io.Writer) error {
				return nested(w, asDeflated, deflate(func(w io.Writer) error { return nested(w, asSigned, opaqueStream(size)) }))
			}))
		},
	} {
		keys := []cms.Recipient{newWorld().bob.recipient()}
		open := func(size int64) (*Opened, error) {
			pr, pw := io.Pipe()
			go func() { pw.CloseWithError(write(pw, size)) }()
			return Open(io.Discard, pr, keys, OpenOptions{Forms: LenientForms, Algorithms: cms.Lenient.Algorithms()})
		}
		if _, err := open(1 << 20); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		o, err := open(size)
		runtime.ReadMemStats(&after)
		if err != nil || len(o.Good()) != 1 || o.Size < size {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: %d octets were allocated", name, n)
		}
	}
}
