package dicom

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// CharacterSet is a value of Specific Character Set that Text and Exact decode (PS3.3 C.12.1.1.2).
type CharacterSet struct {
	Term        string // defined term: "ISO_IR 100"; empty is the default repertoire
	Extended    string // the term of the same set with code extensions: "ISO 2022 IR 100"; empty: there is none
	Description string

	number string // by which it is found, whatever stands before it
	enc    encoding.Encoding
}

// charsets is data: PS3.3 Tables C.12-2 to C.12-5. Where enc is nil a set is designated by escapes alone, or is ASCII.
var charsets = []CharacterSet{
	{"", "ISO 2022 IR 6", "default repertoire", "6", nil},
	{"ISO_IR 100", "ISO 2022 IR 100", "Latin alphabet No. 1", "100", charmap.ISO8859_1},
	{"ISO_IR 101", "ISO 2022 IR 101", "Latin alphabet No. 2", "101", charmap.ISO8859_2},
	{"ISO_IR 109", "ISO 2022 IR 109", "Latin alphabet No. 3", "109", charmap.ISO8859_3},
	{"ISO_IR 110", "ISO 2022 IR 110", "Latin alphabet No. 4", "110", charmap.ISO8859_4},
	{"ISO_IR 144", "ISO 2022 IR 144", "Cyrillic", "144", charmap.ISO8859_5},
	{"ISO_IR 127", "ISO 2022 IR 127", "Arabic", "127", charmap.ISO8859_6},
	{"ISO_IR 126", "ISO 2022 IR 126", "Greek", "126", charmap.ISO8859_7},
	{"ISO_IR 138", "ISO 2022 IR 138", "Hebrew", "138", charmap.ISO8859_8},
	{"ISO_IR 148", "ISO 2022 IR 148", "Latin alphabet No. 5", "148", charmap.ISO8859_9},
	{"ISO_IR 203", "ISO 2022 IR 203", "Latin alphabet No. 9", "203", charmap.ISO8859_15},
	{"ISO_IR 13", "ISO 2022 IR 13", "Japanese, JIS X 0201", "13", japanese.ShiftJIS}, // its one-byte half
	{"ISO_IR 166", "ISO 2022 IR 166", "Thai", "166", charmap.Windows874},
	{"", "ISO 2022 IR 87", "Japanese, JIS X 0208", "87", nil},
	{"", "ISO 2022 IR 159", "Japanese, JIS X 0212", "159", nil},
	{"", "ISO 2022 IR 149", "Korean, KS X 1001", "149", korean.EUCKR},
	{"", "ISO 2022 IR 58", "Simplified Chinese, GB 2312", "58", simplifiedchinese.GB18030},
	{"ISO_IR 192", "", "Unicode in UTF-8", "192", encoding.Nop},
	{"GB18030", "", "GB18030", "GB18030", simplifiedchinese.GB18030},
	{"GBK", "", "GBK", "GBK", simplifiedchinese.GB18030},
}

// CharacterSets are those that are decoded for people and for comparing. What is in any other is kept byte for byte all the same.
func CharacterSets() []CharacterSet { return append([]CharacterSet(nil), charsets...) }

var spaced = strings.NewReplacer("-", " ", "_", " ")

// charset gives the encoding of a defined term of Specific Character Set, nil for ASCII and for what is unknown. The misspelling
// "ISO-IR 100" occurs.
func charset(term string) encoding.Encoding {
	term = spaced.Replace(strings.ToUpper(strings.TrimSpace(term)))
	term = strings.TrimPrefix(strings.TrimPrefix(term, "ISO IR "), "ISO 2022 IR ")
	for i := range charsets {
		if charsets[i].number == term {
			return charsets[i].enc
		}
	}
	return nil
}
