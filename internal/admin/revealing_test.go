package admin

import (
	"strings"
	"testing"
	"time"

	"carepost/addr"
)

// DIR-58: an address that gives somebody away is warned of: dates of birth, long numbers, diseases, programmes. What gives nothing away
// is not.
func TestRevealing(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for address, want := range map[string]string{
		"jane.doe.1985-03-12":   "1985-03-12\" looks like a date",
		"jane.doe.12031985":     "date", // day first
		"jane.doe.03251985":     "date", // month first
		"jane19850312":          "date",
		"jane.120385":           "date",
		"jane.850312":           "date",
		"jane.12.3.85":          "date",
		"jane_3_25_1985":        "date",
		"jane.doe.1985":         "year of birth",
		"jane1999":              "year of birth",
		"a123456789":            "number of a record", // a German health insurance number
		"nhs-943-476-5919":      "number of a record",
		"mrn.0012345":           "number of a record",
		"jane.hiv":              "\"hiv\" names a disease",
		"HIV-clinic":            "\"hiv\" names a disease",
		"diabetes.group":        "diabet\" names a disease",
		"brust-krebs":           "\"krebs\" names a disease",
		"multiple.sclerosis.07": "disease",
		"dépression":            "depress",
		"methadone":             "methadon\" names a treatment",
		"onkologie":             "treatment or a programme",
		"psychiatric.ward":      "treatment or a programme",
		"patient.17":            "treatment or a programme",

		"desk":              "",
		"dr.lee":            "",
		"lab":               "",
		"radiology":         "",
		"jane.doe":          "",
		"room.12":           "",
		"ward7":             "",
		"postmaster":        "",
		"reception.42":      "",
		"jane.doe2":         "",
		"station-31-2":      "",
		"x.1234":            "", // no year
		"box.310299":        "",
		"box.999999":        "",
		"box.3199":          "",
		"jane.doe.2027":     "", // to come
		"krebsbach":         "",
		"christina.archive": "", // holds no hiv that stands alone
	} {
		got := strings.Join(Revealing(addr.Address{Endpoint: address, Domain: "north.example"}, now), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

// The list is as its head says: lower case, ASCII, and words that are found anywhere are long enough to mean something.
func TestRevealingWords(t *testing.T) {
	seen, programmes := map[string]bool{}, 0
	for w := range revealing() {
		if seen[w.text] || !w.alone && len(w.text) < 5 || strings.ContainsFunc(w.text, func(r rune) bool { return r < 'a' || r > 'z' }) {
			t.Errorf("%q stands twice, is too short to be found anywhere, or is no word", w.text)
		}
		seen[w.text] = true
		if w.programme {
			programmes++
		}
	}
	if len(seen) < 100 || programmes < 20 {
		t.Errorf("%d words, %d of programmes", len(seen), programmes)
	}
}

func FuzzRevealing(f *testing.F) {
	f.Add("jane.12.3.85")
	f.Fuzz(func(t *testing.T, endpoint string) {
		Revealing(addr.Address{Endpoint: endpoint}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	})
}
