package dicom

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// escapes are the designations of PS3.3 Tables C.12-3 and C.12-4: what follows ESC, and what then is spoken.
var escapes = []struct {
	seq  string
	enc  encoding.Encoding
	lead string // set in front of the text, for decoders that want to see it
	high bool   // the bytes are those of a 94×94 set without their high bits
}{
	{"$B", japanese.ISO2022JP, "\x1b$B", false},
	{"$@", japanese.ISO2022JP, "\x1b$@", false},
	{"$(D", japanese.EUCJP, "", true},
	{"(J", nil, "", false},
	{"(B", nil, "", false},
	{")I", japanese.ShiftJIS, "", false},
	{"(I", japanese.ISO2022JP, "\x1b(I", false},
	{"$)C", korean.EUCKR, "", false},
	{"$)A", simplifiedchinese.GBK, "", false},
	{"-A", charmap.ISO8859_1, "", false},
	{"-B", charmap.ISO8859_2, "", false},
	{"-C", charmap.ISO8859_3, "", false},
	{"-D", charmap.ISO8859_4, "", false},
	{"-L", charmap.ISO8859_5, "", false},
	{"-G", charmap.ISO8859_6, "", false},
	{"-F", charmap.ISO8859_7, "", false},
	{"-H", charmap.ISO8859_8, "", false},
	{"-M", charmap.ISO8859_9, "", false},
	{"-T", charmap.Windows874, "", false},
}

// Text decodes a value for people: specific is the trimmed value of (0008,0005). What cannot be decoded becomes U+FFFD, control
// characters go, so the result may be printed on a terminal. Never use it to compare what must be equal to the byte.
func Text(value []byte, specific string) string {
	return strings.Map(printable, decoded(Trim(value), specific))
}

// Exact decodes a value for comparing: what says the same in two character sets is the same, and what cannot be decoded or holds
// control characters stands for its bytes, so two values that only look alike never meet. It is not for people.
func Exact(value []byte, specific string) string {
	raw := Trim(value)
	s := decoded(raw, specific)
	if strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || printable(r) < 0 }) {
		return "\x00" + strconv.QuoteToASCII(raw)
	}
	return s
}

func decoded(raw, specific string) string {
	first, _, _ := strings.Cut(specific, `\`)
	base := charset(first)
	var b strings.Builder
	parts := strings.Split(raw, "\x1b")
	b.WriteString(decode(parts[0], base))
	for _, part := range parts[1:] {
		b.WriteString(escaped(part, base))
	}
	return b.String()
}

// escaped decodes what follows one ESC. Designations end at the name's delimiters (PS3.5 §6.1.2.5.3), where base speaks again.
func escaped(part string, base encoding.Encoding) string {
	for _, e := range escapes {
		text, ok := strings.CutPrefix(part, e.seq)
		if !ok {
			continue
		}
		end := len(text)
		if i := strings.IndexAny(text, "^=\\\r\n"); i >= 0 && !strings.HasPrefix(e.seq, "$B") && e.lead == "" && !e.high {
			end = i
		}
		body := text[:end]
		if e.high {
			body = jisx0212(body)
		}
		return decode(e.lead+body, e.enc) + decode(text[end:], base)
	}
	return decode(part, base)
}

// jisx0212 dresses two-byte codes for EUC-JP: SS3 and high bits.
func jisx0212(s string) string {
	var b strings.Builder
	for i := 0; i+1 < len(s); i += 2 {
		b.WriteByte(0x8F)
		b.WriteByte(s[i] | 0x80)
		b.WriteByte(s[i+1] | 0x80)
	}
	return b.String()
}

func decode(s string, e encoding.Encoding) string {
	if e == nil || e == encoding.Nop {
		return strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	out, err := e.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	return out
}

func printable(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

// SameName says that two person names of Exact are the same: their alphabetic groups, without padding, empty components and case
// (PS3.5 §6.2.1). A name that lacks a group says nothing about it; FullerName keeps what several say together.
func SameName(a, b string) bool {
	ga, gb := strings.Split(a, "="), strings.Split(b, "=")
	for i := range min(len(ga), len(gb)) {
		x, y := plainName(ga[i]), plainName(gb[i])
		if x != "" && y != "" && !strings.EqualFold(x, y) {
			return false
		}
	}
	return true
}

// FullerName gives a with the groups that only b has.
func FullerName(a, b string) string {
	ga := strings.Split(a, "=")
	for i, g := range strings.Split(b, "=") {
		switch {
		case i >= len(ga):
			ga = append(ga, g)
		case plainName(ga[i]) == "":
			ga[i] = g
		}
	}
	return strings.Join(ga, "=")
}

func plainName(s string) string {
	parts := strings.Split(s, "^")
	for i := range parts {
		parts[i] = strings.Join(strings.Fields(parts[i]), " ")
	}
	return strings.TrimRight(strings.Join(parts, "^"), "^")
}
