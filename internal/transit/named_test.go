package transit

import "testing"

// What names a patient in a line that everybody can read. PS3.15 B.8 note 2, DIR-49.
func TestNamedIn(t *testing.T) {
	s := Subjects{Patients: []Patient{
		{ID: "PAT-0815", Name: "Example^Ann Lee^^Dr", Studies: []Study{{Accession: "A.77123"}}},
		{ID: "7", Name: "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{Name: "Müller^Jörg"}, {ID: "4711^^^&1.2.276&ISO"},
	}}
	for text, want := range map[string]bool{
		"DICOM-ZIP panoramic": false, "": false, "DICOM-ZIP": false,
		"DICOM-ZIP EXAMPLE, Ann": true, "Re: images of ann": true, "an annual review": false, "examples": false,
		"pat 0815": true, "PAT-08151": false, "(a.77123)": true, "case 7": false, "Dr Lee": true, "dr": false,
		"山田様の画像": true, "山の画像": false, "müller's teeth": true, "MÜLLER": true, "Mueller": false, "yamada": true, "no. 4711": true, "1.2.276": false,
	} {
		if got := s.NamedIn(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if (Subjects{Patients: []Patient{{}}}).NamedIn("anything") {
		t.Error("nobody is named")
	}
}
