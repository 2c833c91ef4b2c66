package textsr

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/dicom"
)

var at = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func letter(text string) Text {
	return Text{Title: Code{"LETTER", "99CAREPOST", "Letter that came by mail"}, Item: Code{"121106", "DCM", "Comment"}, Text: text,
		Series: "Letter that came by mail", Manufacturer: "Carepost", At: at}
}

func of(uid, id, name, charset string) dicom.DataSet {
	text := func(t dicom.Tag, v string) dicom.Element {
		return dicom.Element{Tag: t, VR: dicom.VR{'L', 'O'}, Value: []byte(v)}
	}
	return dicom.DataSet{text(0x00080005, charset), text(0x00080020, "20261120"), text(0x00100010, name), text(0x00100020, id), text(0x00100021, "north"), text(0x00100030, "19700101"),
		text(tagStudy, uid)}
}

const words = "From:       lab\n\nPlease compare with May.\n\tGrüße"

// What a document says is what it was given, as others read it too. DCM-27.
func TestDocuments(t *testing.T) {
	studies := []dicom.DataSet{of("1.2.3.1", "17", "Br\xfccke^Anna", "ISO_IR 100"), of("1.2.3.2", "17", "Brücke^Anna", "ISO_IR 192")}
	docs, err := Make(letter(words), studies)
	if err != nil || len(docs) != 2 {
		t.Fatal(docs, err)
	}
	again, err := Make(letter(words), studies)
	if err != nil || !bytes.Equal(again[0].File, docs[0].File) || !bytes.Equal(again[1].File, docs[1].File) {
		t.Errorf("another time other bytes: %v", err)
	}
	other, err := Make(letter(words+"!"), studies)
	if err != nil || other[0].SOPInstance == docs[0].SOPInstance {
		t.Errorf("another text under the same UID: %v", err)
	}
	for i, d := range docs {
		f, err := dicom.NewScanner(dicom.Options{Walk: true, Wanted: []dicom.Tag{0x00080005, 0x00080018, 0x00100010, 0x00100020, 0x00100021, tagStudy, 0x0040A525, 0x0040A730}}).ScanAt(bytes.NewReader(d.File), int64(len(d.File)))
		if err != nil {
			t.Fatal(err)
		}
		item, _ := f.Data.Get(0x0040A730)
		twins, _ := f.Data.Get(0x0040A525)
		if f.SOPClass != SOPClass || f.SOPInstance != d.SOPInstance || f.Data.String(tagStudy) != d.Study || f.Data.String(0x00100010) != "Brücke^Anna" ||
			f.Data.String(0x00100020) != "17" || f.Data.String(0x00100021) != "north" || len(item.Items) != 1 ||
			item.Items[0].String(0x0040A160) != strings.NewReplacer("\n", "\r\n", "\t", "    ").Replace(words) || len(twins.Items) != 1 || twins.Items[0].String(tagStudy) != docs[1-i].Study {
			t.Errorf("%d: %+v", i, f.Data)
		}
		path := filepath.Join(t.TempDir(), "letter.dcm")
		if err := os.WriteFile(path, d.File, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("dciodvfy", "-new", path).CombinedOutput()
		if strings.Contains(string(out), "Error") || !strings.Contains(string(out), "BasicTextSR") {
			t.Errorf("dciodvfy (scripts/peers): %v\n%s", err, out)
		}
		out, err = exec.Command("dsrdump", "+Pl", path).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Please compare with May.") || !strings.Contains(string(out), "Brücke") {
			t.Errorf("dsrdump (scripts/peers): %v\n%s", err, out)
		}
	}
}

// No document joins two patients, or tells a name that cannot be read.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		text    string
		studies []dicom.DataSet
		want    error
	}{
		"two patients":        {words, []dicom.DataSet{of("1.2.3.1", "17", "A", ""), of("1.2.3.2", "18", "A", "")}, ErrStudy},
		"no study":            {words, []dicom.DataSet{of("", "17", "A", "")}, ErrStudy},
		"no UID":              {words, []dicom.DataSet{of("1..2", "17", "A", "")}, ErrStudy},
		"no text":             {" \r\n\x00", []dicom.DataSet{of("1.2.3.1", "17", "A", "")}, ErrText},
		"no UTF-8":            {"\xff", []dicom.DataSet{of("1.2.3.1", "17", "A", "")}, ErrText},
		"a name of which set": {words, []dicom.DataSet{of("1.2.3.1", "17", "\xff\xfe", "ISO_IR 192")}, ErrText},
	} {
		if docs, err := Make(letter(tc.text), tc.studies); !errors.Is(err, tc.want) || docs != nil {
			t.Errorf("%s: %v, %v", name, docs, err)
		}
	}
	if docs, err := Make(letter(words), nil); err != nil || docs != nil {
		t.Errorf("of nothing: %v, %v", docs, err)
	}
}
