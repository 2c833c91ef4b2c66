package keywrap

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectors are those of RFC 3394 §4.1 to §4.6.
var vectors = []struct{ section, kek, key, wrapped string }{
	{"4.1", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
		"1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5"},
	{"4.2", "000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF",
		"96778B25AE6CA435 F92B5B97C050AED2 468AB8A17AD84E5D"},
	{"4.3", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF",
		"64E8C3F9CE0F5BA2 63E9777905818A2A 93C8191E7D6E8AE7"},
	{"4.4", "000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF0001020304050607",
		"031D33264E15D332 68F24EC260743EDC E1C6C7DDEE725A93 6BA814915C6762D2"},
	{"4.5", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF0001020304050607",
		"A8F9BC1612C68B3F F6E6F4FBE30E71E4 769C8B80A32CB895 8CD5D17D6B254DA1"},
	{"4.6", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
		"00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
		"28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326 CBC7F0E71A99F43B FB988B9B7A02DD21"},
}

// RFC 3394 §4.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		kek, key, wrapped := unhex(t, v.kek), unhex(t, v.key), unhex(t, v.wrapped)
		if got, err := Wrap(kek, key); err != nil || !bytes.Equal(got, wrapped) {
			t.Errorf("§%s: wrapped %x, %v", v.section, got, err)
		}
		if got, err := Unwrap(kek, wrapped); err != nil || !bytes.Equal(got, key) {
			t.Errorf("§%s: unwrapped %x, %v", v.section, got, err)
		}
	}
}

// Every single bit of a wrapped key is protected, and a refused one is not changed.
func TestIntegrity(t *testing.T) {
	for _, v := range vectors {
		kek, wrapped := unhex(t, v.kek), unhex(t, v.wrapped)
		for i := range 8 * len(wrapped) {
			wrapped[i/8] ^= 1 << (i % 8)
			before := bytes.Clone(wrapped)
			if got, err := Unwrap(kek, wrapped); err != ErrIntegrity || got != nil {
				t.Fatalf("§%s, bit %d: %x, %v", v.section, i, got, err)
			}
			if !bytes.Equal(before, wrapped) {
				t.Fatalf("§%s: the input was changed", v.section)
			}
			wrapped[i/8] ^= 1 << (i % 8)
		}
		kek[0] ^= 1
		if _, err := Unwrap(kek, wrapped); err != ErrIntegrity {
			t.Errorf("§%s, another key: %v", v.section, err)
		}
	}
}

// What is no key, or none that can be wrapped (RFC 3394 §2: n >= 2).
func TestLengths(t *testing.T) {
	kek := make([]byte, 16)
	for _, n := range []int{0, 1, 7, 8, 9, 15, 17, 23, 25, 33} {
		if _, err := Wrap(kek, make([]byte, n)); err != ErrLength {
			t.Errorf("wrapping %d octets: %v", n, err)
		}
		if _, err := Unwrap(kek, make([]byte, n)); err != ErrLength {
			t.Errorf("unwrapping %d octets: %v", n, err)
		}
	}
	if _, err := Unwrap(kek, make([]byte, 16)); err != ErrLength {
		t.Errorf("unwrapping 16 octets: %v", err)
	}
	for _, n := range []int{0, 15, 20, 33} {
		var size aes.KeySizeError
		if _, err := Wrap(make([]byte, n), make([]byte, 16)); !errors.As(err, &size) {
			t.Errorf("key of %d octets: %v", n, err)
		}
		if _, err := Unwrap(make([]byte, n), make([]byte, 24)); !errors.As(err, &size) {
			t.Errorf("key of %d octets: %v", n, err)
		}
	}
}

// The openssl command line unwraps what we wrap, and wraps the same.
func TestOpenSSL(t *testing.T) {
	dir := t.TempDir()
	key := []byte("a key of four semiblocks, unlike")
	for _, bits := range []int{128, 192, 256} {
		kek := bytes.Repeat([]byte{byte(bits), 7}, bits/16)
		want, err := Wrap(kek, key)
		if err != nil {
			t.Fatal(err)
		}
		in := filepath.Join(dir, "key")
		if err := os.WriteFile(in, key, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("openssl", "enc", fmt.Sprintf("-id-aes%d-wrap", bits), "-in", in,
			"-K", hex.EncodeToString(kek), "-iv", "A6A6A6A6A6A6A6A6").Output()
		if err != nil || !bytes.Equal(out, want) {
			t.Errorf("AES-%d: openssl wraps %x, we %x: %v", bits, out, want, err)
		}
	}
}

func FuzzKeywrap(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.kek), unhex(f, v.key))
		f.Add(unhex(f, v.kek), unhex(f, v.wrapped))
	}
	f.Fuzz(func(t *testing.T, kek, in []byte) {
		if wrapped, err := Wrap(kek, in); err == nil {
			if got, err := Unwrap(kek, wrapped); err != nil || !bytes.Equal(got, in) {
				t.Fatalf("unwrapped %x, %v", got, err)
			}
		}
		if key, err := Unwrap(kek, in); err == nil {
			if got, err := Wrap(kek, key); err != nil || !bytes.Equal(got, in) {
				t.Fatalf("wrapped %x, %v", got, err)
			}
		}
	})
}
