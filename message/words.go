package message

import (
	"io"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

const maxEncoded = 1000

// Text returns the value of the first field of that name for people to read: encoded words decoded (RFC 2047), control
// characters, which these can bring in, replaced by spaces. It is never for comparing or for writing back.
func (h Header) Text(name string) string { return DecodeText(h.Get(name)) }

// DecodeText decodes the encoded words of a value for people; see Header.Text. What is no encoded word stays as it is.
func DecodeText(s string) string {
	if !strings.Contains(s, "=?") {
		return printable(s)
	}
	d := mime.WordDecoder{CharsetReader: charsetReader}
	var b strings.Builder
	after := false // what precedes is an encoded word
	for {
		i := strings.Index(s, "=?")
		if i < 0 {
			b.WriteString(s)
			return printable(b.String())
		}
		word := s[i : i+wordLen(s[i:])]
		text, err := d.Decode(word)
		if word == "" || err != nil {
			b.WriteString(s[:i+2])
			s, after = s[i+2:], false
			continue
		}
		if !after || strings.Trim(s[:i], " \t") != "" { // RFC 2047 §6.2: white space between encoded words is not shown
			b.WriteString(s[:i])
		}
		b.WriteString(text)
		s, after = s[i+len(word):], true
	}
}

// wordLen finds the end of the encoded word that s seems to begin with, 0 if there is none. It looks no further than maxEncoded:
// RFC 2047 §2 allows 75, some programs write far longer ones, and without a limit the work would not be linear.
func wordLen(s string) int {
	s = s[:min(len(s), maxEncoded)]
	n := 2
	for range 2 { // over the character set and the encoding
		i := strings.IndexByte(s[n:], '?')
		if i < 0 {
			return 0
		}
		n += i + 1
	}
	if i := strings.Index(s[n:], "?="); i >= 0 {
		return n + i + 2
	}
	return 0
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		// Direction overrides make a name or subject look like another.
		if unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	e := charsetByName(charset)
	if e == nil {
		return nil, syntax("unknown character set")
	}
	return e.NewDecoder().Reader(r), nil
}

// toUTF8 decodes b from a named character set; without a known one, b must be UTF-8 and what is not becomes U+FFFD.
func toUTF8(charset string, b []byte) string {
	if !utf8.Valid(b) {
		if e := charsetByName(charset); e != nil {
			if u, err := e.NewDecoder().Bytes(b); err == nil {
				return string(u)
			}
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

// charsetByName knows the character sets that European and Japanese mail is written in, beside UTF-8.
func charsetByName(name string) encoding.Encoding {
	switch asciiLower(name) {
	case "iso-8859-1", "latin1", "windows-1252", "cp1252":
		return charmap.Windows1252
	case "iso-8859-2", "latin2":
		return charmap.ISO8859_2
	case "iso-8859-5":
		return charmap.ISO8859_5
	case "iso-8859-7":
		return charmap.ISO8859_7
	case "iso-8859-9", "windows-1254":
		return charmap.Windows1254
	case "iso-8859-15", "latin-9":
		return charmap.ISO8859_15
	case "windows-1250", "cp1250":
		return charmap.Windows1250
	case "windows-1251", "cp1251":
		return charmap.Windows1251
	case "windows-1253":
		return charmap.Windows1253
	case "koi8-r":
		return charmap.KOI8R
	case "iso-2022-jp":
		return japanese.ISO2022JP
	case "shift_jis":
		return japanese.ShiftJIS
	case "euc-jp":
		return japanese.EUCJP
	}
	return nil
}

// encodeWords writes s as encoded words (RFC 2047) that also a phrase may hold. room is the width left on the first line.
func encodeWords(s string, room int) string {
	const open, end = "=?utf-8?q?", "?="
	var b strings.Builder
	b.WriteString(open)
	n := len(open)
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		enc := qEncode(r)
		if n+len(enc)+len(end) > max(room, len(open)+len(end)+12) { // a character of four octets always fits
			b.WriteString(end + " " + open)
			n, room = len(open), foldColumn-3
		}
		b.WriteString(enc)
		n += len(enc)
	}
	b.WriteString(end)
	return b.String()
}

func qEncode(r rune) string {
	const hex = "0123456789ABCDEF"
	if r == ' ' {
		return "_"
	}
	if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("!*+-/", r)) {
		return string(r)
	}
	var b []byte
	for _, c := range []byte(string(r)) {
		b = append(b, '=', hex[c>>4], hex[c&15])
	}
	return string(b)
}
