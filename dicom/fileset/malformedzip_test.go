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

// withRecords64 gives an archive the end records of ZIP64, and the second entry its field, as who writes them without need does.
func withRecords64(t testing.TB, b []byte, extra ...string) []byte {
	t.Helper()
	at := bytes.Index(b, []byte("PK\x01\x02"))
	end := bytes.Index(b, []byte("PK\x05\x06"))
	second := at + 1 + bytes.Index(b[at+1:], []byte("PK\x01\x02"))
	le := binary.LittleEndian
	field := le.AppendUint64([]byte{1, 0, 8, 0}, uint64(le.Uint32(b[second+42:])))
	if len(extra) > 0 {
		if n, err := strconv.Atoi(extra[0]); err == nil {
			field = bytes.Repeat(field, n)
		} else {
			field = []byte(extra[0])
		}
	}
	behind := second + 46 + int(le.Uint16(b[second+28:]))
	out := slices.Concat(b[:behind], field, b[behind:end])
	le.PutUint16(out[second+30:], uint16(len(field)))
	le.PutUint32(out[second+42:], max32)
	count, size := uint64(le.Uint16(b[end+10:])), uint64(len(out)-at)
	record := slices.Concat([]byte("PK\x06\x06"), le.AppendUint64(nil, 44), []byte{45, 0, 45, 0}, make([]byte, 8))
	for _, n := range []uint64{count, count, size, uint64(at)} {
		record = le.AppendUint64(record, n)
	}
	from := uint64(len(out))
	out = append(out, record...)
	out = append(le.AppendUint64(append(out, "PK\x06\x07\x00\x00\x00\x00"...), from), 1, 0, 0, 0)
	out = append(append(out, "PK\x05\x06\x00\x00\x00\x00"...), bytes.Repeat([]byte{0xFF}, 12)...)
	return append(out, 0, 0)
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
// the local and, two bytes on, the central one; "inside N I" changes a byte of content; "share N M" gives entry N the bytes of M. "big" has ZIP64
// records and field, of which "record OFF V" and "locator OFF V" put 16 bits; "big N" gives the field N times, "big EXTRA" other bytes for it.
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
	case "big":
		z.b = withRecords64(z.t, z.bytes(), op[1:]...)
	case "record":
		z.put(z.header("PK\x06\x06", 0), op[1], op[2])
	case "locator":
		z.put(z.header("PK\x06\x07", 0), op[1], op[2])
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
	if r := checkBytes(t, withRecords64(t, rezipStored(t, es))); r.Verdict != Complete {
		t.Fatalf("with the records of ZIP64: %v", r)
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
