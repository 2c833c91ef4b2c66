package mailbox

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"carepost/dicom/fileset"
	"carepost/internal/demo/study"
)

// DCM-34: images in other packaging are taken over where somebody looks; what arrives is not judged by them, and papers are nothing.
func TestStudy(t *testing.T) {
	s := open(t)
	dir := filepath.Join(t.TempDir(), "study")
	if err := os.CopyFS(dir, study.FS()); err != nil {
		t.Fatal(err)
	}
	plan, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(plan.Instances[0].Source)
	if err != nil {
		t.Fatal(err)
	}
	archive := func(name string, data []byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, c := range []struct {
		name, head string
		data       []byte
		want       fileset.Verdict
		judged     bool // when it arrives
	}{
		{"a ZIP of images", "Content-Type: application/zip; name=images.zip", archive("left.dcm", image), fileset.Unverifiable, false},
		{"one that claims to be a set", "Content-Type: application/zip; name=DICOM.ZIP", archive("left.dcm", image), fileset.Unverifiable, true},
		{"DICOM MIME", "Content-Type: application/dicom; id=\"DICOM/IM1\"", image, fileset.Unverifiable, false},
		{"an attachment", "Content-Type: application/octet-stream; name=left.dcm", image, fileset.Unverifiable, false},
		{"a cut one", "Content-Type: application/octet-stream; name=left.dcm", image[:len(image)-100], fileset.Damaged, false},
		{"papers", "Content-Type: application/zip; name=papers.zip", archive("a.txt", bytes.Repeat([]byte("x"), 300)), 0, false},
		{"no ZIP", "Content-Type: application/zip; name=papers.zip", []byte("PK, and nothing more"), 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			mail := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + c.head + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
				base64.StdEncoding.EncodeToString(c.data) + "\r\n--b--\r\n"
			if set, err := FileSet(s.Blobs, bytes.NewReader([]byte(mail))); (err == nil) != c.judged || err != nil && !errors.Is(err, ErrNoFileSet) {
				t.Errorf("on arrival: %v", err)
			} else if err == nil {
				set.Close()
			}
			set, err := Study(s.Blobs, bytes.NewReader([]byte(mail)))
			if c.name == "papers" || c.name == "no ZIP" {
				if !errors.Is(err, ErrNoFileSet) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			r, err := set.Check(context.Background(), fileset.CheckOptions{})
			if err != nil || r.Verdict != c.want || set.Size() < 1000 {
				t.Errorf("%v %v", r, err)
			}
			out := filepath.Join(t.TempDir(), "out")
			_, err = set.Unpack(context.Background(), out, fileset.UnpackOptions{AllowUnverifiable: true})
			if (err == nil) != (c.want == fileset.Unverifiable) {
				t.Errorf("taken out: %v", err)
			}
		})
	}
}
