package dicom

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// PS3.15 C, DCM-25: a digital signature is found where an item of a sequence carries it, at whatever depth, however lengths are told, wherever
// the buffer ends; and nothing is taken for one that is none.
func TestSignaturesOfItems(t *testing.T) {
	id := element(patientID, "LO", 4, []byte("ID1 ")...)
	sq := func(tag Tag, items ...[]byte) []byte {
		b := join(items...)
		return element(tag, "SQ", uint32(len(b)), b...)
	}
	item := func(parts ...[]byte) []byte { b := join(parts...); return raw(tagItem, uint32(len(b)), b...) }
	implicitSQ := func(tag Tag, items ...[]byte) []byte { b := join(items...); return raw(tag, uint32(len(b)), b...) }
	un := func(tag Tag, items ...[]byte) []byte {
		b := join(items...)
		return element(tag, "UN", uint32(len(b)), b...)
	}
	signature := sq(tagSigned, item(element(0x04000100, "UI", 4, '1', '.', '2', 0)))
	bare := implicitSQ(tagSigned, item(raw(0x04000100, 4, '1', '.', '2', 0)))
	fill := func(n int) []byte {
		return element(0x00091002, "OB", uint32(n), bytes.Repeat([]byte{0xFA, 0xFF}, n/2)...)
	}
	for name, tc := range map[string]struct {
		parts  [][]byte
		signed bool
	}{
		"an item":                 {[][]byte{sq(0x00081140, item(signature)), id}, true},
		"an item of an item":      {[][]byte{sq(0x00081140, item(sq(0x00081199, item(signature)))), id}, true},
		"of undefined length":     {[][]byte{element(0x00081140, "SQ", undefined), raw(tagItem, undefined), sq(0x00081199, item(signature)), raw(tagItemEnd, 0), raw(tagSeqEnd, 0), id}, true},
		"a sequence sent as UN":   {[][]byte{un(0x00091001, item(bare)), id}, true},
		"the second item":         {[][]byte{sq(0x00081140, item(fill(4)), item(signature)), id}, true},
		"none":                    {[][]byte{sq(0x00081140, item(id)), id}, false},
		"the octets in a value":   {[][]byte{sq(0x00081140, item(fill(400))), id}, false},
		"the tag alone in an UN":  {[][]byte{element(0x00091001, "UN", 14, append([]byte("\xfe\xff\x00\xe0\x06\x00\x00\x00"), "\xfa\xff\xfa\xffSQ"...)...), id}, false},
		"an empty one at the end": {[][]byte{sq(0x00081140, item(element(tagSigned, "SQ", 0))), id}, false},
	} {
		f, err := both(t, file(append([][]byte{first}, tc.parts...)...), keysAndAll)
		if err != nil || f.Signed != tc.signed || f.Data.String(patientID) != "ID1" {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
	for n := 16<<10 - 300; n < 16<<10+20; n += 2 { // over the end of a buffer
		b := file(first, sq(0x00081140, item(fill(n), signature, fill(n))), id)
		f, err := both(t, b, keysAndAll)
		g, _ := NewScanner(keysAndAll).Scan(bytes.NewReader(b))
		if err != nil || !f.Signed || !g.Signed || f.Data.String(patientID) != "ID1" {
			t.Fatalf("%d: %v, %+v", n, err, f)
		}
		if _, err := both(t, b[:len(b)-n-20], keysAndAll); err == nil {
			t.Fatalf("%d: cut, and nobody says so", n)
		}
	}
	// Written by DCMTK in all encodings.
	dir := t.TempDir()
	for _, how := range []string{"+te", "+tb", "+ti"} {
		dump := filepath.Join(dir, "nested.dump")
		write := "(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7\n(0008,0018) UI 1.2.3\n(0010,0020) LO ID1\n(0040,0275) SQ\n(fffe,e000) na\n(fffa,fffa) SQ\n(fffe,e000) na\n(0400,0100) UI 1.2.4\n" +
			"(fffe,e00d) na\n(fffe,e0dd) na\n(fffe,e00d) na\n(fffe,e0dd) na\n"
		if err := os.WriteFile(dump, []byte(write), 0o600); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "nested.dcm")
		if out, err := exec.Command("dump2dcm", "-q", "+l", "4096", "+e", how, dump, to).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewScanner(keysAndAll).Scan(bytes.NewReader(b))
		if err != nil || !f.Signed || f.Data.String(patientID) != "ID1" {
			t.Errorf("%s: %v, %+v", how, err, f)
		}
	}
}
