package fileset

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// zipBender does operations to an archive.
type zipBender struct {
	t  testing.TB
	es []zipped
	b  []byte // nil: to be built of es
}

func (z *zipBender) bytes() []byte {
	if z.b == nil {
		z.b = rezipStored(z.t, z.es)
	}
	return z.b
}

// rezipStored builds an archive of stored entries with their sizes in front, so that both headers say the same.
func rezipStored(t testing.TB, es []zipped) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range es {
		h := &zip.FileHeader{Name: e.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(e.data), CompressedSize64: uint64(len(e.data)), UncompressedSize64: uint64(len(e.data))}
		f, err := w.CreateRaw(h)
		if err == nil {
			_, err = f.Write(e.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header finds the n-th header with a signature.
func (z *zipBender) header(sig string, n int) []byte {
	b := z.bytes()
	at := -1
	for range n + 1 {
		i := bytes.Index(b[at+1:], []byte(sig))
		if i < 0 {
			z.t.Fatalf("no header %d", n)
		}
		at += 1 + i
	}
	return b[at:]
}

func (z *zipBender) int(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		z.t.Fatal(err)
	}
	return n
}

// put writes 16 bits at an offset of a header: "local 1 8 12" is the method of the second entry.
func (z *zipBender) put(h []byte, off, v string) {
	binary.LittleEndian.PutUint16(h[z.int(off):], uint16(z.int(v)))
}

// do does one operation. Entries: "entry NAME" adds one; "local N OFF V", "central N OFF V", "end OFF V" put 16 bits into a header, "both N OFF V" into
// the local and, two bytes on, the central one; "inside N I" changes a byte of content; "share N M" gives entry N the bytes of M.
// Archives: "packed" is as we write it, "streamed" with descriptors; the others as they are called.
func (z *zipBender) do(op []string) {
	switch op[0] {
	case "entry":
		name := map[string]string{"long": strings.Repeat("A", 1025), "deep": strings.Repeat("A/", 40) + "A"}[op[1]]
		if name == "" {
			name = op[1]
		}
		z.es = append(slices.Clone(z.es), zipped{name, []byte("x")})
	case "othername":
		z.b = withOtherName(z.t, z.es)
	case "link":
		z.b = withLink(z.t, z.es)
	case "packed":
		z.b = smallSet(z.t)
	case "streamed":
		z.b = rezip(z.t, z.es)
	case "local":
		z.put(z.header("PK\x03\x04", z.int(op[1])), op[2], op[3])
	case "central":
		z.put(z.header("PK\x01\x02", z.int(op[1])), op[2], op[3])
	case "both":
		z.put(z.header("PK\x03\x04", z.int(op[1])), op[2], op[3])
		z.put(z.header("PK\x01\x02", z.int(op[1]))[2:], op[2], op[3])
	case "end":
		z.put(z.header("PK\x05\x06", 0), op[1], op[2])
	case "inside":
		z.header("PK\x03\x04", z.int(op[1]))[z.int(op[2])] ^= 0x10
	case "share":
		copy(z.header("PK\x01\x02", z.int(op[1]))[42:46], z.header("PK\x01\x02", z.int(op[2]))[42:46])
	default:
		z.archive(op)
	}
}

// archive does an operation to the bytes as a whole.
func (z *zipBender) archive(op []string) {
	b := z.bytes()
	switch op[0] {
	case "replace":
		z.b = bytes.Replace(b, []byte(op[1]), []byte(op[2]), 1)
	case "short":
		z.b = b[:len(b)-z.int(op[1])]
	case "half":
		z.b = b[:len(b)/2]
	case "front":
		z.b = slices.Concat([]byte(op[1]), b)
	case "behind":
		z.b = slices.Concat(b, []byte(op[1]))
	case "double":
		z.b = slices.Concat(b, b)
	case "instead":
		z.b = []byte(op[1])
	case "gap": // before the central directory, which is moved on
		at := bytes.Index(b, []byte("PK\x01\x02"))
		z.b = slices.Concat(b[:at], make([]byte, 9), b[at:])
		end := z.header("PK\x05\x06", 0)
		binary.LittleEndian.PutUint32(end[16:], uint32(at+9))
	case "zip64": // a locator whose record is not there
		at := bytes.Index(b, []byte("PK\x05\x06"))
		locator := make([]byte, 20)
		copy(locator, "PK\x06\x07")
		z.b = slices.Concat(b[:at], locator, b[at:])
	default:
		z.t.Fatalf("no operation %q", op)
	}
}

// The ZIP guard (DCM-15, DCM-22): what archive/zip and unzip let pass. ATT-39.
func TestMalformedZIPs(t *testing.T) {
	es := entriesOf(t, smallSet(t))
	if v := checkBytes(t, rezipStored(t, es)).Verdict; v != Complete {
		t.Fatalf("the base: %v", v)
	}
	cases := malformations(t, "zips.txt")
	if len(cases) < 25 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := &zipBender{t: t, es: es}
			for _, op := range c.ops {
				z.do(op)
			}
			b := z.bytes()
			judgedAs(t, c, b)
			dir := filepath.Join(t.TempDir(), "out")
			_, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, UnpackOptions{AllowIncomplete: true})
			if _, gone := os.Stat(dir); c.want == "DAMAGED" && (!errors.Is(err, ErrDamaged) || !errors.Is(gone, os.ErrNotExist)) {
				t.Errorf("unpacked: %v", err)
			}
		})
	}
}
