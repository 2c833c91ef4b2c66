package fileset

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"carepost/dicom"
)

// usable gives a value as the record of an instance may have it (PS3.5 6.2): a date or time of ACR-NEMA in today's form, a whole number without
// decimals. What is no date, time or number at all is false: it would make the directory, which others read by the letter, an invalid one, and
// counts as missing. Texts are left as they are.
func usable(vr string, value []byte) ([]byte, bool) {
	var fix func(string) (string, bool)
	switch vr {
	case "DA":
		fix = plainDay
	case "TM":
		fix = plainTime
	case "IS":
		fix = plainNumber
	default:
		return value, true
	}
	was := dicom.Trim(value)
	if was == "" {
		return value, true
	}
	switch now, ok := fix(was); {
	case !ok:
		return nil, false
	case now == was:
		return value, true
	default:
		return []byte(now), true
	}
}

// plainDay reads YYYYMMDD, and YYYY.MM.DD of older instances.
func plainDay(s string) (string, bool) {
	if len(s) == 10 && s[4] == '.' && s[7] == '.' {
		s = s[:4] + s[5:7] + s[8:]
	}
	if len(s) != 8 || !digits(s) {
		return "", false
	}
	month, day := s[4:6], s[6:]
	return s, month >= "01" && month <= "12" && day >= "01" && day <= "31"
}

// plainTime reads HH, HHMM, HHMMSS and HHMMSS.FFFFFF, and HH:MM:SS of older instances.
func plainTime(s string) (string, bool) {
	if len(s) >= 5 && s[2] == ':' {
		s = strings.ReplaceAll(s, ":", "")
	}
	whole, fraction, found := strings.Cut(s, ".")
	if !digits(whole) || found && (len(whole) != 6 || len(fraction) > 6 || !digits(fraction)) || len(whole) != 2 && len(whole) != 4 && len(whole) != 6 {
		return "", false
	}
	limits := []string{"23", "59", "60"}
	for i := 0; i < len(whole); i += 2 {
		if whole[i:i+2] > limits[i/2] {
			return "", false
		}
	}
	return s, true
}

// plainNumber reads an integer of 32 bits; programs write decimals of nothing behind it.
func plainNumber(s string) (string, bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if strings.Trim(decimals, "0") != "" {
		return "", false
	}
	if _, err := strconv.ParseInt(whole, 10, 32); err != nil || len(whole) > 12 {
		return "", false
	}
	return whole, true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// longest are the characters of a value, or of a group of a name (PS3.5 Table 6.2-1).
var longest = map[string]int{"CS": 16, "SH": 16, "LO": 64, "PN": 64}

// odd says what is wrong with a text that stands in a record as it does in the instance; "" where nothing is.
func odd(vr string, value []byte, charset string) string {
	most, text := longest[vr], dicom.Trim(value)
	if most == 0 || text == "" {
		return ""
	}
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != 0x1B || r == 0x7F }) >= 0 {
		return "holds control characters"
	}
	if charset == "" && strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return "holds more than ASCII, and nothing says in which character set"
	}
	if vr == "CS" && strings.IndexFunc(text, func(r rune) bool { return unicode.IsLower(r) || r >= utf8.RuneSelf }) >= 0 {
		return "holds other characters than capitals, digits, spaces and underscores"
	}
	for group := range strings.FieldsFuncSeq(dicom.Text(value, charset), func(r rune) bool { return r == '\\' || vr == "PN" && r == '=' }) {
		if utf8.RuneCountInString(group) > most {
			return "is longer than " + strconv.Itoa(most) + " characters"
		}
	}
	return ""
}

// valued tells of a key of a record what is not as the standard has it, where nothing was supplied.
func (a *arranger) valued(r *record, k key, v []byte, m *member) {
	if slices.Contains(m.strange, k.tag) {
		a.p.Findings = append(a.p.Findings, ruleValue.at(m.src.path, "%s %v is none that the standard allows; the %s record does without", keyNames[k.tag], k.tag, r.name))
		return
	}
	if what := odd(dicom.VROf(k.tag).String(), v, m.charset); what != "" {
		a.p.Findings = append(a.p.Findings, ruleValue.at(m.src.path, "%s %v %s; it stands so in the %s record, and other programs may object", keyNames[k.tag], k.tag, what, r.name))
	}
}
