package zipmail

import (
	"testing"

	"carepost/dicom/fileset"
)

// What tells a patient is found in a subject, and what only looks a little like it is not. PS3.15 B.8 note 2, DCM-31.
func TestNamesPatient(t *testing.T) {
	tree := []fileset.Patient{
		{ID: "4711", Name: "Berg^Ann Marie^^Dr."}, {ID: "12", Name: "Lé^An"}, {ID: "P-00 17", Name: "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{ID: "A-99/X", Name: "O'Brien^Zoë"}, {ID: "", Name: "MUELLER^KJELL"}, {ID: "", Name: "Weiß^Łucja"}, {ID: "", Name: "Hong^Gildong=洪^吉洞=홍^길동"},
		{ID: "", Name: "Wang^Wei=王^伟"}, {ID: "", Name: ""}, {ID: "DICOM-ZIP", Name: "Müller-Lüdenscheidt^Jo"},
	}
	for subject, want := range map[string]bool{
		"": false, "DICOM-ZIP": false, "DICOM-ZIP panoramic of tooth 11": false, "Referral, please read by Monday": false,
		"DICOM-ZIP Ann Berg": true, "BERG": true, "re: berg, left hip": true, "Bergstrasse 5": false, "Icebergs": false, "Dr. Who": false,
		"marie": true, "Lé": true, "An update": false, "x-ray of 4711": true, "(4711)": true, "#4711.": true, "14711": false, "12 images": false,
		"山田さんの写真": true, "写真": false, "p-00 17": true, "P-00": false, "Lüdenscheidt": true, "Jo asks": false, "Müller": true,
		// as people type them: composed otherwise, in other widths, with and without accents
		"Mu\u0308ller": true, "Mueller": true, "Muller, hip": true, "ｍüｌｌｅｒ": true, "zoe": true, "OBrien": true, "o'brien": true, "Brienz": false,
		"Weiss": true, "LUCJA": true, "weiches Gewebe": false, "홍길동의 사진": true, "사진": false, "王伟": true, "王国": false, "ＤＩＣＯＭ－ＺＩＰ": false,
		"ID=A-99/X": true, "A-99/XY": false, "BA-99/X": false, "pour le docteur": false, "A-99/XY A-99/X": true, "luedenscheidt": true,
	} {
		if got := NamesPatient(subject, tree); got != want {
			t.Errorf("%q: %v", subject, got)
		}
	}
}
