package interop

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/test/peers"
)

// letter is what is signed and encrypted: text in canonical form, longer than any buffer of a peer.
var letter = []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("Dear Bob, all is well.\r\n", 2500))

// TestMatrix: DIR-12, DIR-15, DIR-18, DIR-19: every algorithm, every peer, both ways. What a peer is claimed to do it does, and what it is
// claimed to refuse it refuses. docs/interop.md shows what came out.
func TestMatrix(t *testing.T) {
	l := lab(t)
	var cells table
	t.Run("cells", func(t *testing.T) {
		for _, p := range l.All() {
			t.Run(p.Name(), func(t *testing.T) {
				t.Parallel()
				for _, f := range peers.Features() {
					for _, d := range []peers.Direction{peers.Reads, peers.Makes} {
						if err := try(f, p, d, l.World); err != nil {
							t.Errorf("%s %s %s: %v", p.Name(), d, f, err)
						}
					}
				}
			})
		}
	})
	for _, f := range peers.Features() {
		for _, p := range l.All() {
			for _, d := range []peers.Direction{peers.Reads, peers.Makes} {
				cells.add(f, p, d)
			}
		}
	}
	t.Logf("\n%s", cells.plain())
	cells.compare(t, "../../docs/interop.md")
}

// try finds out about one cell and compares it with what is claimed.
func try(f peers.Feature, p peers.Peer, d peers.Direction, w *peers.World) error {
	if d == peers.Reads && !f.Made {
		return unmade(f, w)
	}
	claimed := peers.Capable(p, f, d)
	message, err := made(f, p, d, w)
	if err == nil && d == peers.Makes {
		if err = ours(f, w, message); err == nil && !claimed.Can {
			return errors.New("does what it is claimed not to")
		}
		return err
	}
	if err == nil {
		err = theirs(f, p, w, message)
	} else if d == peers.Reads {
		return fmt.Errorf("we cannot make it: %w", err)
	}
	switch noWay := errors.Is(err, peers.ErrNoWay); {
	case claimed.Can:
		return err
	case err == nil:
		return errors.New("does what it is claimed not to")
	case noWay != claimed.NoWay:
		return fmt.Errorf("claimed to have no way: %v, but: %w", claimed.NoWay, err)
	}
	return nil
}

// unmade proves that we do not make f, as far as it can be asked for.
func unmade(f peers.Feature, w *peers.World) error {
	var err error
	switch {
	case f.Kind == peers.Signs:
		_, err = sign(letter, signing(f, w))
	case f.Key == cms.RSAESOAEPSHA1:
		_, err = encrypt(letter, encryption(f, w))
	default:
		return nil // the key derivation is ours to choose
	}
	if !errors.Is(err, cms.ErrAlgorithm) {
		return fmt.Errorf("we make it: %v", err)
	}
	return nil
}

func signing(f peers.Feature, w *peers.World) peers.Signing {
	return peers.Signing{Signers: []*peers.Person{w.Person(f)}, Hash: f.Hash, PSS: f.Signature == cms.RSAPSS}
}

func encryption(f peers.Feature, w *peers.World) peers.Encryption {
	return peers.Encryption{To: []*peers.Person{w.Person(f)}, Cipher: f.Cipher, Key: f.Key, KDF: f.Hash, HKDF: f.HKDF}
}

// made is a message by the peer, or by us where the peer is to read.
func made(f peers.Feature, p peers.Peer, d peers.Direction, w *peers.World) ([]byte, error) {
	switch own := d == peers.Reads; {
	case f.Kind == peers.Signs && own:
		return sign(letter, signing(f, w))
	case f.Kind == peers.Signs:
		return p.Sign(letter, signing(f, w))
	case f.Kind == peers.Compresses && own:
		return compress(letter)
	case f.Kind == peers.Compresses:
		return p.Compress(letter)
	case own:
		return encrypt(letter, encryption(f, w))
	}
	return p.Encrypt(letter, encryption(f, w))
}

// theirs is what the peer says of our message.
func theirs(f peers.Feature, p peers.Peer, w *peers.World, message []byte) (err error) {
	var got []byte
	switch f.Kind {
	case peers.Signs:
		if _, err := p.Verify(message, letter[1:]); err == nil {
			return errors.New("would verify anything")
		}
		got, err = p.Verify(message, letter)
	case peers.Compresses:
		got, err = p.Decompress(message)
	default:
		got, err = p.Decrypt(message, w.Person(f))
	}
	return same(got, err)
}

// ours is what we say of a peer's message.
func ours(f peers.Feature, w *peers.World, message []byte) (err error) {
	var got []byte
	switch f.Kind {
	case peers.Signs:
		return verify(message, letter, f.Signature, f.Hash)
	case peers.Compresses:
		got, err = decompress(message)
	default:
		got, err = decrypt(message, w.Person(f), encryption(f, w))
	}
	return same(got, err)
}

func same(got []byte, err error) error {
	if err == nil && !bytes.Equal(got, letter) {
		return errors.New("another content")
	}
	return err
}

// TestEveryAlgorithm: no algorithm that is read is without a row, and Made is what the lenient profile sends.
func TestEveryAlgorithm(t *testing.T) {
	all := cms.Lenient.Algorithms()
	rows := make(map[cms.Algorithm]bool)
	made := make(map[cms.Algorithm]bool)
	for _, f := range peers.Features() {
		for _, x := range f.Uses() {
			rows[x] = true
			made[x] = made[x] || f.Made
		}
	}
	for x := cms.SHA1; x <= cms.ZLIB; x++ {
		if all.Use(x) != cms.Refuse && !rows[x] {
			t.Errorf("%s has no row", x)
		}
		if all.Use(x) == cms.Send && !made[x] {
			t.Errorf("%s is sent, and no peer reads it here", x)
		}
	}
	if name := (cms.ZLIB + 1).String(); name != cms.Algorithm(0).String() {
		t.Errorf("%s is a newer algorithm than this test", name)
	}
}
