package xdm

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carepost/dicom/fileset"
)

// file of an archive that another program made.
type packed struct{ name, body string }

// archive makes a ZIP with the standard library, as other makers' programs do: folders only where a name ends in a slash.
func archive(t testing.TB, files ...packed) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = io.WriteString(w, f.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// described is the METADATA.XML of one document, as the world writes it: another prefix, one namespace, no schema order.
func described(uri, body string) string {
	slots := fmt.Sprintf(`<ns2:Slot name="hash"><ns2:ValueList><ns2:Value>%X</ns2:Value></ns2:ValueList></ns2:Slot>
<ns2:Slot name="size"><ns2:ValueList><ns2:Value> %d </ns2:Value></ns2:ValueList></ns2:Slot>`, sha1.Sum([]byte(body)), len(body))
	if uri != "" {
		slots += `<ns2:Slot name="URI"><ns2:ValueList><ns2:Value>` + uri + `</ns2:Value></ns2:ValueList></ns2:Slot>`
	}
	return `<?xml version="1.0" encoding="UTF-8"?><ns2:SubmitObjectsRequest xmlns:ns2="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><ns2:RegistryObjectList>
<ns2:ExtrinsicObject id="d" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">` + slots + `
<ns2:ExternalIdentifier identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab" value="1.2.3"/></ns2:ExtrinsicObject>
<ns2:RegistryPackage id="s"><ns2:Slot name="submissionTime"><ns2:ValueList><ns2:Value>2026</ns2:Value></ns2:ValueList></ns2:Slot>
<ns2:Slot name="intendedRecipient"><ns2:ValueList><ns2:Value>Clinic^^^^^^^^^1.2.3|^Lee^Ann|^^Internet^lee@south.example</ns2:Value></ns2:ValueList></ns2:Slot>
<ns2:Classification classificationScheme="urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"><ns2:Slot name="authorTelecommunication"><ns2:ValueList>
<ns2:Value>^^Internet^a@north.example</ns2:Value></ns2:ValueList></ns2:Slot></ns2:Classification>
<ns2:Classification classificationScheme="urn:uuid:aa543740-bdda-424e-8c96-df4873be8500" nodeRepresentation="x"/>
<ns2:Classification classificationScheme="urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"/>
<ns2:ExternalIdentifier identificationScheme="urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8" value="1.2.4"/></ns2:RegistryPackage>
<ns2:Classification classifiedObject="s" classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/></ns2:RegistryObjectList></ns2:SubmitObjectsRequest>`
}

// rules lists those of the findings, each once; notes are in brackets.
func rules(r *Report) string {
	var out []string
	for _, f := range r.Findings {
		if name := f.Rule; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

const body = "<ClinicalDocument/>"

// DIR-08: packages as other makers write them are read, and each departure is named.
func TestRead(t *testing.T) {
	meta, page := described("DOC0001.XML", body), packed{"INDEX.HTM", "<html/>"}
	readme := packed{"README.TXT", "x"}
	folders := []packed{{"IHE_XDM/", ""}, {"IHE_XDM/SUBSET01/", ""}}
	good := func(more ...packed) []packed { return append(slices.Concat([]packed{page, readme}, folders), more...) }
	latin := strings.Replace(strings.Replace(meta, "UTF-8", "ISO-8859-1", 1), "submissionTime", "submissionTime", 1)
	for _, c := range []struct {
		name    string
		files   []packed
		verdict fileset.Verdict
		rules   string
	}{
		{"as it should be", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Complete, ""},
		{"Java: no slash, lower case", []packed{{"INDEX.htm", "x"}, {"README.txt", "x"}, {"IHE_XDM/SUBSET01METADATA.xml", meta}, {"IHE_XDM/SUBSET01DOC0001.xml", body}},
			fileset.Violations, "xdm-path xdm-name-case xdm-folder-entry xdm-iso-9660"},
		{"C#: another folder", good(packed{"IHE_XDM/Default/METADATA.XML", meta}, packed{"IHE_XDM/Default/DOC0001.XML", body}), fileset.Violations, "xdm-folder-entry xdm-iso-9660"},
		{"lower case", []packed{{"index.htm", "x"}, {"readme.txt", "x"}, {"ihe_xdm/subset/metadata.xml", meta}, {"ihe_xdm/subset/doc0001.xml", body}},
			fileset.Violations, "xdm-name-case xdm-folder-entry xdm-iso-9660"},
		{"by its hash alone", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/CDA.XML", body}), fileset.Violations, "xdm-linked-by-hash"},
		{"no URI", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", described("", body)}, packed{"IHE_XDM/SUBSET01/CDA.XML", body}), fileset.Violations, "xdm-document-value xdm-linked-by-hash"},
		{"URI in pieces", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", described("1|DOC0</ns2:Value><ns2:Value>2|001.XML", body)}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Complete, ""},
		{"URI with a dot", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", described("./DOC0001.XML", body)}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Complete, ""},
		{"URI from the root", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", described(`IHE_XDM\SUBSET01\DOC0001.XML`, body)}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Violations, "xdm-path"},
		{"inside a request", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", "<ProvideAndRegisterDocumentSetRequest>" + meta[strings.Index(meta, "?>")+2:] + "</ProvideAndRegisterDocumentSetRequest>"},
			packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Complete, ""},
		{"Latin 1, BOM", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", latin}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Complete, ""},
		{"a file too many", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}, packed{"IHE_XDM/SUBSET01/CDA.XSL", "x"}), fileset.Complete, "xdm-file-unreferenced"},
		{"no index", append(slices.Clone(folders), packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Violations, "xdm-no-index"},
		{"no document", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}), fileset.Incomplete, "xdm-document-missing"},
		{"no metadata", good(packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Incomplete, "xdm-no-metadata xdm-file-unreferenced"},
		{"changed", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", strings.ToLower(body)}), fileset.Damaged, "xdm-hash"},
		{"longer", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", meta}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body + "\n"}), fileset.Damaged, "xdm-size"},
		{"two entries of one name", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", strings.Replace(meta, "1.2.4", "1.2.3", 1)}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}),
			fileset.Violations, "xdm-identifier-twice"},
		{"no author, no time", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", strings.NewReplacer("a7058bb9", "00000000", "submissionTime", "x").Replace(meta)},
			packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Violations, "xdm-submission-set-value xdm-author-address"},
		{"no submission set", good(packed{"IHE_XDM/SUBSET01/METADATA.XML", strings.ReplaceAll(meta, "RegistryPackage", "Folder")},
			packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}), fileset.Violations, "xdm-submission-set"},
	} {
		r := check(t, archive(t, c.files...))
		if r.Verdict != c.verdict || rules(r) != c.rules {
			t.Errorf("%s: %v %q rather than %v %q", c.name, r.Verdict, rules(r), c.verdict, c.rules)
		}
		if c.verdict >= fileset.Violations && (r.Documents != 1 || r.Found != 1 || r.Bytes != int64(len(body))) {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.name == "as it should be" {
			s := r.Sets[0]
			if s.Recipients[0] != "lee@south.example" || s.Authors[0] != "a@north.example" || !s.Limited || s.Documents[0].Size != int64(len(body)) {
				t.Errorf("%+v", s)
			}
		}
	}
	papers := archive(t, packed{"letter.pdf", "%PDF"})
	if _, err := Check(context.Background(), bytes.NewReader(papers), int64(len(papers)), Options{}); !errors.Is(err, ErrNoPackage) {
		t.Errorf("papers: %v", err)
	}
	if ok, err := Contains(bytes.NewReader(papers), int64(len(papers)), fileset.Limits{}); ok || err != nil {
		t.Errorf("papers: %v %v", ok, err)
	}
}

// ATT-32: metadata that would have its reader expand, fetch, nest or read without end; archives that lead elsewhere. Nothing is taken out.
func TestHostile(t *testing.T) {
	wrap := func(metadata string) []byte {
		return archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", metadata}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body})
	}
	plain := described("DOC0001.XML", body)
	head := plain[:strings.Index(plain, "?>")+2]
	rest := plain[len(head):]
	for name, b := range map[string][]byte{
		"entities":          wrap(head + `<!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.Replace(rest, "1.2.3", "&b;", 1)),
		"a file of ours":    wrap(head + `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + rest),
		"a foreign DTD":     wrap(head + `<!DOCTYPE a SYSTEM "http://198.51.100.1/x.dtd">` + rest),
		"unknown entity":    wrap(head + strings.Replace(rest, "1.2.3", "&x;", 1)),
		"depth":             wrap(strings.Repeat("<a>", 10_000) + strings.Repeat("</a>", 10_000)),
		"elements":          wrap("<a>" + strings.Repeat("<b/>", maxElements+1) + "</a>"),
		"attributes":        wrap("<a " + strings.Repeat(`b="" `, 1000) + "/>"),
		"length":            wrap("<a>" + strings.Repeat(strings.Repeat(" ", maxText)+"<b/>", maxMetadata/maxText) + "</a>"),
		"cut":               wrap(plain[:len(plain)/2]),
		"crossed":           wrap("<a><b></a></b>"),
		"two roots":         wrap("<a/><a/>"),
		"nothing":           wrap(""),
		"another encoding":  wrap(strings.Replace(plain, "UTF-8", "UTF-7", 1)),
		"no text":           wrap(plain + "\xff\xfe\x00"),
		"out of the folder": archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", plain}, packed{"IHE_XDM/../../DOC0001.XML", body}),
		"absolute":          archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", plain}, packed{"/IHE_XDM/DOC0001.XML", body}),
		"one on some systems": archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", plain}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body},
			packed{"IHE_XDM/subset01/doc0001.xml", "<Other/>"}),
		"cut archive": wrap(plain)[:600],
		"a changed byte": func() []byte {
			b := wrap(plain)
			b[bytes.Index(b, []byte("METADATA.XML"))+40] ^= 1
			return b
		}(),
	} {
		dir := filepath.Join(t.TempDir(), "out")
		r, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, UnpackOptions{AllowIncomplete: true})
		if !errors.Is(err, ErrDamaged) || r.Verdict != fileset.Damaged {
			t.Errorf("%s: %v %+v", name, err, r)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: something was taken out", name)
		}
	}
	// URIs lead to entries of the archive, or nowhere.
	for _, uri := range []string{"../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..\\..\\x", "%2e%2e/%2e%2e/x", "METADATA.XML/..", strings.Repeat("../", 1000)} {
		b := archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", described(uri, "other")}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body})
		if r := check(t, b); r.Found != 0 || r.Verdict != fileset.Incomplete {
			t.Errorf("%s: %+v", uri, r)
		}
	}
	// What strangers write does not come out as it is where people read it.
	b := archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", described("a&#x202E;b&#x85;\u009b2J", "other")}, packed{"IHE_XDM/SUBSET01/x\u202ey", body})
	for _, f := range check(t, b).Findings {
		if strings.ContainsAny(f.Where+f.Text, "\u202e\u0085\u009b") {
			t.Errorf("%q", f)
		}
	}
}

// Many entries that no file fits cost no more than one look at each file.
func TestManyUnlinked(t *testing.T) {
	one := described("gone", "other")
	i, j := strings.Index(one, "<ns2:ExtrinsicObject"), strings.Index(one, "<ns2:RegistryPackage")
	files := []packed{{"IHE_XDM/SUBSET01/METADATA.XML", one[:i] + strings.Repeat(one[i:j], 1000) + one[j:]}}
	for n := range 2000 {
		files = append(files, packed{fmt.Sprintf("IHE_XDM/SUBSET01/F%d", n), "x"})
	}
	r := check(t, archive(t, files...))
	if r.Verdict != fileset.Incomplete || r.Documents != 1000 || r.Found != 0 || len(r.Findings) > 4*maxFindings {
		t.Errorf("%v %d %d", r.Verdict, r.Documents, len(r.Findings))
	}
}

func TestUnpack(t *testing.T) {
	l := letter(t, input("Letter", "text/plain", "hello\r\n"))
	b := write(t, l)
	dir := filepath.Join(t.TempDir(), "a", "out")
	unpack := func(b []byte, o UnpackOptions) (*Report, error) {
		return Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, o)
	}
	if r, err := unpack(b, UnpackOptions{}); err != nil || r.Verdict != fileset.Complete {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "IHE_XDM", "SUBSET01", "DOC0001.TXT"))
	if err != nil || string(got) != "hello\r\n" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := unpack(b, UnpackOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder that is not empty: %v", err)
	}
	dir += "2"
	missing := archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", described("DOC0001.XML", body)})
	if _, err := unpack(missing, UnpackOptions{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("incomplete: %v", err)
	}
	if _, err := unpack(missing, UnpackOptions{AllowIncomplete: true}); err != nil {
		t.Errorf("incomplete, allowed: %v", err)
	}
	dir += "3"
	java := archive(t, packed{"IHE_XDM/SUBSET01METADATA.xml", described("a.xml", body)}, packed{"IHE_XDM/SUBSET01a.xml", body})
	if r, err := unpack(java, UnpackOptions{}); err != nil || r.Verdict != fileset.Violations {
		t.Errorf("whole, though it breaks rules: %v %+v", err, r)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(described("DOC0001.XML", body)))
	f.Add([]byte(`<a><RegistryPackage/><ExtrinsicObject><Slot name="URI"><ValueList><Value>1|</Value></ValueList></Slot></ExtrinsicObject></a>`))
	f.Fuzz(func(t *testing.T, metadata []byte) {
		b := archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", string(metadata)}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body})
		r, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), Options{})
		if err != nil || r.Found > r.Documents || r.Verdict == fileset.Complete && r.Found != r.Documents {
			t.Errorf("%v %+v", err, r)
		}
	})
}
