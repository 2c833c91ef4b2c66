package zipmail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/dicom/fileset"
	"carepost/xdm"
)

// attachedFile is a part with a file as ordinary programs attach it.
func attachedFile(name string, b []byte) string {
	return "Content-Type: application/octet-stream; name=\"" + name + "\"\r\nContent-Disposition: attachment; filename=\"" + name +
		"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(b)
}

// DCM-12, DCM-22: which attachment is the File-set is told by what they hold, and whoever gets one of two knows that there is another.
func TestFindSet(t *testing.T) {
	var set bytes.Buffer
	if err := plan(t, "io8").WriteZIP(context.Background(), &set, nil); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(objects(t), "io12.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	archive := func(names ...string) []byte {
		var b bytes.Buffer
		w := fileset.NewArchiveWriter(&b)
		for _, n := range names {
			content := []byte("a letter that speaks of the DICOMDIR")
			if strings.HasSuffix(n, "IM1") {
				content = image
			}
			if err := w.Bytes(n, content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good, other := attachedFile("DICOM.ZIP", set.Bytes()), attachedFile("study.zip", set.Bytes())
	papers, images := attachedFile("papers.zip", archive("a.txt")), attachedFile("images.zip", archive("IM1"))
	documents := attachedFile("docs.zip", archive(xdm.FolderName+"/SUBSET01/IM1"))
	for _, c := range []struct {
		name, subject string
		parts         []string
		want, doubts  string
	}{
		{"one", "", []string{good}, "DICOM.ZIP", ""},
		{"papers beside", "", []string{papers, good}, "DICOM.ZIP", ""},
		{"papers in front, no name and no subject", "", []string{papers, other}, "study.zip", ""},
		{"papers in front, no name", "DICOM-ZIP", []string{papers, other}, "study.zip", ""},
		{"papers alone", "", []string{papers}, "", ""},
		{"papers with the subject", "Re: DICOM-ZIP", []string{papers}, "papers.zip", ""},
		{"two papers with the subject", "Re: DICOM-ZIP", []string{papers, papers}, "papers.zip", "mail-two-sets"},
		{"two sets of one name", "", []string{good, good}, "DICOM.ZIP", "mail-two-sets"},
		{"two sets", "", []string{other, good}, "DICOM.ZIP", "mail-two-sets"},
		{"two sets of other names", "", []string{other, other}, "study.zip", "mail-two-sets"},
		{"a second set that is cut", "", []string{good, attachedFile("study.zip", set.Bytes()[:set.Len()-90])}, "DICOM.ZIP", "mail-two-sets"},
		{"a file beside", "", []string{good, attachedFile("left.dcm", image)}, "DICOM.ZIP", "mail-objects-beside"},
		{"files and an archive beside", "", []string{images, good, attachedFile("left", image)}, "DICOM.ZIP", "mail-objects-beside"},
		{"documents beside", "", []string{good, documents}, "DICOM.ZIP", ""},
		{"an archive of images", "", []string{papers, images}, "", ""},
		{"an archive of images with the subject", "DICOM-ZIP", []string{papers, images}, "images.zip", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mail := strings.Replace(partsMail(t, "mixed", c.parts...), "images", c.subject, 1)
			part, findings, err := FindSet(parse(t, []byte(mail)), strings.NewReader(mail))
			got := ""
			if part != nil {
				got = part.Filename()
			}
			var doubts []string
			for _, f := range findings {
				if Doubt(f) {
					doubts = append(doubts, f.Rule)
				}
			}
			if err != nil || got != c.want || strings.Join(doubts, " ") != c.doubts {
				t.Errorf("%q %q %v", got, findings, err)
			}
		})
	}
	mail := partsMail(t, "mixed", papers, images)
	if part, findings, err := FindObjects(parse(t, []byte(mail)), strings.NewReader(mail)); err != nil || part.Filename() != "images.zip" || len(findings) == 0 {
		t.Errorf("%v %v %v", part, findings, err)
	}
	disk := errors.New("disk")
	if _, _, err := FindSet(parse(t, []byte(mail)), failingAt{disk}); !errors.Is(err, disk) {
		t.Errorf("a disk that fails: %v", err)
	}
}
