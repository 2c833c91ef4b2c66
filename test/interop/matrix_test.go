// Package interop has Carepost and its peers read what the other makes: every algorithm that package cms knows, every peer, both ways.
package interop

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"carepost/cms"
	"carepost/test/peers"
)

func try(f peers.Feature, p peers.Peer, d peers.Direction, w *peers.World, content []byte) error {
	who := w.Person(f)
	s := peers.Signing{Signers: []*peers.Person{who}, Hash: f.Hash, PSS: f.Signature == cms.RSAPSS}
	e := peers.Encryption{To: []*peers.Person{who}, Cipher: f.Cipher, Key: f.Key, KDF: f.Hash}
	var message, got []byte
	var err error
	switch {
	case f.Kind == peers.Signs && d == peers.Reads:
		if message, err = sign(content, s); err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		got, err = p.Verify(message, content)
	case f.Kind == peers.Signs:
		if message, err = p.Sign(content, s); err != nil {
			return err
		}
		if err = verify(message, content, f.Signature, f.Hash); err != nil {
			err = fmt.Errorf("ours: %w", err)
		}
		got = content
	case f.Kind == peers.Compresses && d == peers.Reads:
		return errors.New("not yet")
	case f.Kind == peers.Compresses:
		return errors.New("not yet")
	case d == peers.Reads:
		if message, err = encrypt(content, e); err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		got, err = p.Decrypt(message, who)
	default:
		if message, err = p.Encrypt(content, e); err != nil {
			return err
		}
		if got, err = decrypt(message, who, e); err != nil {
			err = fmt.Errorf("ours: %w", err)
		}
	}
	if err == nil && !bytes.Equal(got, content) {
		return errors.New("another content")
	}
	return err
}

func TestMatrix(t *testing.T) {
	lab, err := peers.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	content := bytes.Repeat([]byte("Content-Type: text/plain\r\n\r\nhello\r\n"), 300)
	for _, f := range peers.Features() {
		for _, p := range lab.All() {
			for _, d := range []peers.Direction{peers.Reads, peers.Makes} {
				if d == peers.Reads && !f.Made {
					continue
				}
				err := try(f, p, d, lab.World, content)
				if err != nil {
					t.Logf("%s | %s | %d | %.900s", f, p.Name(), d, err)
				}
			}
		}
	}
}
