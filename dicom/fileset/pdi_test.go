package fileset

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// IHE PDI beside a set: two pages, well formed, the same every time; no patient in README.TXT; nobody's text becomes markup.
func TestPDI(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a", ct("P<1>", "Berg^Ann & Co^^Dr.", "1.1", "1.2", "1.3", appendText(nil, tagStudyDate, "20260102"), appendText(nil, tagStudyDesc, "<script>")))
	writeFile(t, dir, "b", person("P2", "=\xe4\xbb\x96^X", "ISO_IR 192", "2"))
	p := scan(t, dir)
	if err := p.AddExtras(extra("OTHER/LETTER.PDF", "x")); err != nil {
		t.Fatal(err)
	}
	if err := p.AddPDI(PDI{Contact: "Imaging <north.example>"}); err != nil {
		t.Fatal(err)
	}
	b := packed(t, p)
	files := unzipped(t, b)
	page, readme := string(files[PageName]), string(files[ReadmeName])
	for _, want := range []string{"Berg, Ann &amp; Co Dr.", "P&lt;1&gt;", "2026-01-02", "&lt;script&gt;", "他, X", `href="OTHER/LETTER.PDF"`, "Imaging &lt;north.example&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(readme, "Berg") || strings.Contains(readme, "P<1>") || !strings.Contains(readme, "Imaging <north.example>\r\n") {
		t.Errorf("%s", readme)
	}
	for line := range strings.Lines(readme) {
		if len(line) > 82 || strings.Trim(line, "\r\n") != strings.TrimRight(line, "\r\n") {
			t.Errorf("%q", line)
		}
	}
	path := filepath.Join(t.TempDir(), PageName)
	if err := os.WriteFile(path, files[PageName], 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, filepath.Dir(path), "xmllint", "--noout", "--nonet", path)
	if r := checkBytes(t, b); r.Verdict != Complete || len(r.Other) != 3 {
		t.Errorf("%v %v", r.Verdict, r.Findings)
	}
	again := scan(t, dir)
	if err := again.AddExtras(extra("OTHER/LETTER.PDF", "x")); err != nil {
		t.Fatal(err)
	}
	if err := again.AddPDI(PDI{Contact: "Imaging <north.example>"}); err != nil || !bytes.Equal(b, packed(t, again)) {
		t.Errorf("other bytes the second time: %v", err)
	}
	if err := again.AddPDI(PDI{}); err == nil {
		t.Error("twice")
	}
	changed := scan(t, dir)
	if err := changed.AddPDI(PDI{Changed: true}); err != nil || !strings.Contains(string(unzipped(t, packed(t, changed))[ReadmeName]), "de-identified") ||
		strings.Contains(string(unzipped(t, packed(t, changed))[ReadmeName]), "nothing in them was changed") {
		t.Errorf("README.TXT of a set that was de-identified: %v\n%s", err, unzipped(t, packed(t, changed))[ReadmeName])
	}
	jpeg := scan(t, filepath.Join(shared(t), "files", "JPEG2000.dcm"))
	if err := jpeg.AddPDI(PDI{Readme: []byte("ours")}); err != nil || !hasRule(jpeg.Findings, "pdi-transfer-syntax") || string(unzipped(t, packed(t, jpeg))[ReadmeName]) != "ours" {
		t.Errorf("%v %v", err, jpeg.Findings)
	}
}
