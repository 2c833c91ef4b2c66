package fileset

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run starts a peer. A peer that is not installed fails the test: nothing would be proven.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := peer(dir, name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// peer is run of one that may fail.
func peer(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// zipReader is read by java as it stands: the stream reader of Java sees local headers only.
const zipReader = `
import java.io.*;
import java.util.zip.*;
public class Zip {
  public static void main(String[] a) throws Exception {
    try (ZipInputStream in = new ZipInputStream(new BufferedInputStream(new FileInputStream(a[0])))) {
      for (ZipEntry e; (e = in.getNextEntry()) != null; ) {
        long n = in.transferTo(OutputStream.nullOutputStream());
        System.out.println(e.getName() + " " + n);
      }
    }
  }
}`

// loadAll loads every instance that pydicom finds in a File-set.
const loadAll = `
import sys
from pydicom.fileset import FileSet
fs = FileSet(sys.argv[1])
for i in fs:
    i.load()
print(len(fs))`

// DCM-02, DCM-03, DCM-06, DCM-15: other makers' programs read what we write.
func TestPeers(t *testing.T) {
	dir := filepath.Join(shared(t), "files")
	mixed := []string{filepath.Join(shared(t), "fileset")}
	for _, name := range []string{"JPEG2000", "SC_rgb_jpeg_dcmtk", "chrGerm", "chrH32", "chrX1", "image_dfl", "rtdose", "io12", "dx10"} {
		mixed = append(mixed, filepath.Join(dir, name+".dcm"))
	}
	for name, paths := range map[string][]string{
		"dental": {demoStudy(t)}, "mixed": mixed, // the rest: TestEverySet
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judgedByPeers(t, scan(t, paths...))
		})
	}
}

func judgedByPeers(t *testing.T, p *Plan) {
	tmp := t.TempDir()
	b := packed(t, p)
	zipPath, set := writeFile(t, tmp, "DICOM.ZIP", b), filepath.Join(tmp, "set")
	r, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), set, UnpackOptions{})
	if err != nil || r.Verdict != Complete || r.Instances != len(p.Instances) || r.Bytes != p.Bytes {
		t.Fatalf("our own reader: %v %v %v", err, r.Verdict, r.Findings)
	}
	for _, x := range p.Instances {
		if !bytes.Equal(readFile(t, filepath.Join(set, x.FileID)), readFile(t, x.Source)) {
			t.Errorf("%s is not byte for byte its source", x.FileID)
		}
	}
	if first := entriesOf(t, b)[0].name; first != DirectoryName {
		t.Errorf("%s is the first entry", first)
	}
	out := run(t, set, "dciodvfy", DirectoryName)
	if strings.Contains(out, "Error") {
		t.Errorf("dciodvfy:\n%s", out)
	}
	dump := run(t, set, "dcdirdmp", DirectoryName)
	for _, x := range p.Instances {
		if !strings.Contains(dump, strings.ReplaceAll(x.FileID, "/", `\`)+"\n") {
			t.Errorf("dcdirdmp does not list %s", x.FileID)
		}
	}
	if n := strings.TrimSpace(run(t, set, "/usr/bin/python3", "-c", loadAll, DirectoryName)); n != fmt.Sprint(len(p.Instances)) {
		t.Errorf("pydicom loads %s of %d instances", n, len(p.Instances))
	}
	run(t, tmp, "unzip", "-tq", zipPath)
	java := run(t, tmp, "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", writeFile(t, tmp, "Zip.java", []byte(zipReader)), zipPath)
	for _, x := range p.Instances {
		if !strings.Contains(java, fmt.Sprintf("%s %d\n", x.FileID, x.Size)) {
			t.Errorf("java does not read %s:\n%s", x.FileID, java)
		}
	}
}

// Two blocks and more: streamed entries with descriptors, stored entries with their CRC in front (PS3.12 Y.2).
func TestPeersReadBigEntries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := readFile(t, filepath.Join(shared(t), "files", "CT_small.dcm"))
	writeFile(t, dir, "plain.dcm", append(bytes.Clone(plain), trailingPadding(3<<20)...))
	jpeg := readFile(t, filepath.Join(shared(t), "files", "JPEG2000.dcm"))
	writeFile(t, dir, "jpeg.dcm", append(bytes.Clone(jpeg), trailingPadding(2<<20)...))
	judgedByPeers(t, scan(t, dir))
}

// trailingPadding is a Data Set Trailing Padding element (FFFC,FFFC) of n bytes that do not deflate to nothing.
func trailingPadding(n int) []byte {
	b := []byte{0xFC, 0xFF, 0xFC, 0xFF, 'O', 'B', 0, 0, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	x := uint32(1)
	for range n {
		x = x*1664525 + 1013904223
		b = append(b, byte(x>>29))
	}
	return b
}

// The same sources give the same bytes, wherever the files lie and whatever they are called (facts of DCM-15: our own policy).
func TestDeterministic(t *testing.T) {
	dir := demoStudy(t)
	b := packed(t, scan(t, dir))
	other := t.TempDir()
	for i, x := range scan(t, dir).Instances {
		writeFile(t, other, fmt.Sprintf("%d/z%d", 9-i, i), readFile(t, x.Source))
	}
	if err := os.Chtimes(filepath.Join(other, "9", "z0"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, packed(t, scan(t, other))) {
		t.Error("other names and times, other bytes")
	}
}
