package trial_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// letter is the tale's message: canaries in its subject and text, and at least size bytes.
func (x *tale) letter(size int) string {
	var b strings.Builder
	b.WriteString(x.header(x.subject()))
	b.WriteString("Content-Type: text/plain; charset=us-ascii\n\n")
	for b.Len() < size {
		b.WriteString("The " + canaryBody + " sings of a knee that is better than it was, and of nothing else.\n")
	}
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

// subject tells this tale from all others, and holds the phrase that a DICOM.ZIP wants (PS3.11 X.3.2 e).
func (x *tale) subject() string { return "DICOM-ZIP " + canarySubject + " " + x.messageID }

func (x *tale) header(subject string) string {
	return fmt.Sprintf("From: %s\nTo: %s\nDate: %s\nMessage-ID: %s\nSubject: %s\nMIME-Version: 1.0\n",
		x.sender, x.recipient, time.Now().UTC().Format(time.RFC1123Z), x.messageID, subject)
}

// study is the tale's message as a mail program writes it that attaches a DICOM.ZIP.
func (x *tale) study(archive []byte) string {
	var b strings.Builder
	b.WriteString(x.header(x.subject()))
	b.WriteString("Content-Type: multipart/mixed; boundary=\"limit of a part\"\n\n--limit of a part\nContent-Type: text/plain\n\n")
	b.WriteString("The " + canaryBody + " sings of an image.\n\n--limit of a part\n")
	b.WriteString("Content-Type: application/zip; id=\"DICOM.ZIP\"; name=\"DICOM.ZIP\"\nContent-Transfer-Encoding: base64\n")
	b.WriteString("Content-Disposition: attachment; filename=\"DICOM.ZIP\"\n\n")
	text := base64.StdEncoding.EncodeToString(archive)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	b.WriteString(text + "\n--limit of a part--\n")
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

// pack makes a DICOM.ZIP of the files in a folder.
func pack(t testing.TB, binary, folder string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "DICOM.ZIP")
	if out, err := exec.Command(binary, "dicom", "pack", "-q", "-o", path, folder).CombinedOutput(); err != nil {
		t.Fatalf("packing: %v\n%s", err, out)
	}
	archive, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// smallStudy is the one that the demo carries: four images, 0.8 MB.
func smallStudy(t testing.TB, binary string) []byte {
	t.Helper()
	return pack(t, binary, filepath.Join("..", "demo", "study", "files"))
}
