// Package textsr makes documents out of texts that belong to studies: Basic Text SR instances (PS3.3 A.35.1), which archives keep beside the
// images and viewers show.
//
// One text belongs to studies of one patient: each gets a document of its own, with the text in it once, which names those of the other
// studies (Identical Documents Sequence, PS3.3 C.17.2). Who the patient is, and what the study is called, is taken over from an instance of
// the study, in UTF-8; a name that cannot be decoded makes no document. The document stands in a series of its own, is COMPLETE and
// UNVERIFIED, for nobody attests it, and refers to no image.
//
// The same text and the same studies make the same documents, byte for byte and under the same UIDs.
package textsr

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/dicom"
)

// SOPClass is Basic Text SR Storage.
const SOPClass = "1.2.840.10008.5.1.4.1.1.88.11"

// TransferSyntax is Explicit VR Little Endian.
const TransferSyntax = "1.2.840.10008.1.2.1"

// What makes no document.
var (
	ErrStudy = errors.New("textsr: a study without Study Instance UID, or studies of several patients")
	ErrText  = errors.New("textsr: no text, or a name or a text that cannot be written in UTF-8")
)

// Code is a coded entry (PS3.3 Table 8.8-1).
type Code struct{ Value, Scheme, Meaning string }

// Text is what documents are made of.
type Text struct {
	Title, Item  Code // of the document, and of the one text in it
	Text         string
	Series       string    // Series Description
	Manufacturer string    // who makes the document
	At           time.Time // Content Date and Time, as its zone has them
}

// Document is one instance.
type Document struct {
	Study, SOPInstance string
	File               []byte // Part 10
}

// Wanted are the attributes that a study is to be read with.
func Wanted() []dicom.Tag {
	out := []dicom.Tag{tagCharset, tagStudy}
	for _, t := range taken {
		out = append(out, t.tag)
	}
	return out
}

const (
	tagCharset dicom.Tag = 0x00080005
	tagStudy   dicom.Tag = 0x0020000D
)

// taken are the attributes of patient and study (PS3.3 C.7.1.1, C.7.2.1) that are taken over; those of type 2 stand there without value too.
var taken = []struct {
	tag  dicom.Tag
	vr   string
	two  bool
	same bool // whose it is: the same in all studies
}{
	{0x00080020, "DA", true, false}, {0x00080030, "TM", true, false}, {0x00080050, "SH", true, false}, {0x00080090, "PN", true, false},
	{0x00081030, "LO", false, false}, {0x00100010, "PN", true, false}, {0x00100020, "LO", true, true}, {0x00100021, "LO", false, true},
	{0x00100030, "DA", true, false}, {0x00100040, "CS", true, false}, {0x00200010, "SH", true, false},
}

// study is one as it goes into a document.
type study struct {
	uid              string
	values           map[dicom.Tag]string // in UTF-8
	instance, series string               // UIDs of its document
}

// Make makes one document for each study: of each an instance's attributes (Wanted). ErrStudy, ErrText.
func Make(t Text, studies []dicom.DataSet) ([]Document, error) {
	text := lines(t.Text)
	if strings.TrimSpace(text) == "" || !utf8.ValidString(t.Text) {
		return nil, ErrText
	}
	var all []study
	for _, d := range studies {
		s, err := read(d)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		for _, x := range taken {
			if x.same && s.values[x.tag] != all[0].values[x.tag] {
				return nil, ErrStudy
			}
		}
	}
	whole := sha256.New()
	fmt.Fprintf(whole, "%q %q %q %q %s\n", []Code{t.Title, t.Item}, text, t.Series, t.Manufacturer, t.At.Format(time.RFC3339))
	for _, s := range all {
		fmt.Fprintf(whole, "%q %q\n", s.uid, s.values) // maps are printed in the order of their keys
	}
	for i := range all {
		all[i].instance, all[i].series = uid(whole, "instance", all[i].uid), uid(whole, "series", all[i].uid)
	}
	var out []Document
	for i, s := range all {
		out = append(out, Document{s.uid, s.instance, file(t, text, all, i)})
	}
	return out, nil
}

// read takes over what is to be known of a study.
func read(d dicom.DataSet) (study, error) {
	s := study{uid: d.String(tagStudy), values: map[dicom.Tag]string{}}
	if !dicom.ValidUID(s.uid) {
		return s, ErrStudy
	}
	charset := d.String(tagCharset)
	for _, x := range taken {
		e, _ := d.Get(x.tag)
		v := dicom.Text(e.Value, charset)
		if strings.ContainsRune(v, utf8.RuneError) {
			return s, ErrText
		}
		s.values[x.tag] = v
	}
	return s, nil
}

// uid is made of what the documents say (PS3.5 §B.2, with a UUID of RFC 9562 §5.8).
func uid(whole hash.Hash, use, of string) string {
	b := sha256.Sum256(append(whole.Sum(nil), use+" "+of...))
	b[6], b[8] = b[6]&0x0F|0x80, b[8]&0x3F|0x80
	return "2.25." + new(big.Int).SetBytes(b[:16]).String()
}

// lines ends lines with CR LF (PS3.5 §6.1.3), and leaves out every other control character.
func lines(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		switch {
		case r == '\n':
			b.WriteString("\r\n")
		case r == '\t':
			b.WriteString("    ")
		case r >= ' ' && (r < 0x7F || r > 0x9F):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// file is the Part 10 file of document i.
func file(t Text, text string, all []study, i int) []byte {
	s := all[i]
	var meta, b elements
	meta.add(0x00020001, "OB", "\x00\x01")
	meta.add(0x00020002, "UI", SOPClass)
	meta.add(0x00020003, "UI", s.instance)
	meta.add(0x00020010, "UI", TransferSyntax)
	meta.add(0x00020012, "UI", dicom.ImplementationUID)
	meta.add(0x00020013, "SH", dicom.ImplementationName)
	var out elements
	out = append(append(out, make([]byte, 128)...), "DICM"...)
	out.add(0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))))
	out = append(out, meta...)

	more := map[dicom.Tag]func(*elements){}
	put := func(tag dicom.Tag, vr, v string) { more[tag] = func(b *elements) { b.add(tag, vr, v) } }
	put(tagCharset, "CS", "ISO_IR 192")
	put(0x00080016, "UI", SOPClass)
	put(0x00080018, "UI", s.instance)
	put(0x00080023, "DA", t.At.Format("20060102"))
	put(0x00080033, "TM", t.At.Format("150405"))
	put(0x00080060, "CS", "SR")
	put(0x00080070, "LO", t.Manufacturer)
	put(0x0008103E, "LO", t.Series)
	put(0x00081111, "SQ", "")
	put(tagStudy, "UI", s.uid)
	put(0x0020000E, "UI", s.series)
	put(0x00200011, "IS", "1")
	put(0x00200013, "IS", "1")
	put(0x0040A040, "CS", "CONTAINER")
	more[0x0040A043] = func(b *elements) { b.sequence(0x0040A043, t.Title.item()) }
	put(0x0040A050, "CS", "SEPARATE")
	put(0x0040A372, "SQ", "")
	put(0x0040A491, "CS", "COMPLETE")
	put(0x0040A493, "CS", "UNVERIFIED")
	if len(all) > 1 {
		more[0x0040A525] = func(b *elements) { b.sequence(0x0040A525, identical(all, i)...) }
	}
	more[0x0040A730] = func(b *elements) { b.sequence(0x0040A730, t.item(text)) }
	for _, x := range taken {
		if v := s.values[x.tag]; v != "" || x.two {
			put(x.tag, x.vr, v)
		}
	}
	b.all(more)
	return append(out, b...)
}

// item is the text as a content item (PS3.3 C.17.3).
func (t Text) item(text string) (b elements) {
	b.add(0x0040A010, "CS", "CONTAINS")
	b.add(0x0040A040, "CS", "TEXT")
	b.sequence(0x0040A043, t.Item.item())
	b.add(0x0040A160, "UT", text)
	return b
}

func (c Code) item() (b elements) {
	b.add(0x00080100, "SH", c.Value)
	b.add(0x00080102, "SH", c.Scheme)
	b.add(0x00080104, "LO", c.Meaning)
	return b
}

// identical names the documents of the other studies (PS3.3 Table C.17-3).
func identical(all []study, but int) (out []elements) {
	for i, s := range all {
		if i == but {
			continue
		}
		var instance, series, one elements
		instance.add(0x00081150, "UI", SOPClass)
		instance.add(0x00081155, "UI", s.instance)
		series.sequence(0x00081199, instance)
		series.add(0x0020000E, "UI", s.series)
		one.sequence(0x00081115, series)
		one.add(tagStudy, "UI", s.uid)
		out = append(out, one)
	}
	return out
}
