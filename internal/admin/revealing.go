package admin

import (
	"bufio"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"carepost/addr"
)

//go:embed revealing/words.txt
var revealingWords string

// maxNumber is how many digits in a row, separators aside, an address may have before it looks like somebody's number: records,
// insurances and telephones have more.
const maxNumber = 6

// Revealing says what an address gives away of whoever has it (Direct 6.1): sentences for the one who makes it. Addresses stand
// unsealed on every envelope and in DNS. The rules, in the order of the answer:
//
//  1. A date of birth: a day of the calendar from 1900 to now, in the order of year, month and day or their reverse or the American
//     one, with or without separators, the year with four digits or two; or a year from 1900 to now that stands alone.
//  2. A long number, of more than six digits.
//  3. A word for a disease or a state of health, or for a treatment or a programme: those of revealing/words.txt, with separators
//     and digits left out.
//
// The rules warn; they are wrong at times, and some names of people are names of diseases.
func Revealing(a addr.Address, now time.Time) (out []string) {
	text := plainLetters(a.Endpoint)
	digits := regexp.MustCompile(`[0-9]+(?:[-._/][0-9]+)*`) // with what people put between the parts of a number
	for _, n := range digits.FindAllString(text, -1) {
		all := strings.Map(onlyDigits, n)
		switch {
		case isDate(n, all, now):
			out = append(out, fmt.Sprintf("%q looks like a date or year of birth", n))
		case len(all) > maxNumber:
			out = append(out, fmt.Sprintf("%q looks like the number of a record, an insurance or a telephone", n))
		}
	}
	for _, w := range wordsIn(text) {
		what := "a disease or a state of health"
		if w.programme {
			what = "a treatment or a programme"
		}
		out = append(out, fmt.Sprintf("%q names %s", w.text, what))
	}
	return slices.Compact(out)
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

func onlyDigits(r rune) rune {
	if notDigit(r) {
		return -1
	}
	return r
}

// plainLetters is a local part in lower case, in the letters of the word list.
func plainLetters(s string) string {
	return strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ê", "e", "á", "a", "à", "a", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "ç", "c").
		Replace(strings.ToLower(s))
}

// isDate says whether a number is a day from 1900 to now, or such a year.
func isDate(n, all string, now time.Time) bool {
	parts := strings.FieldsFunc(n, notDigit)
	switch {
	case len(parts) == 3:
		return anyDate(parts[0], parts[1], parts[2], now)
	case len(parts) > 1:
		return false
	case len(all) == 8:
		return anyDate(all[:4], all[4:6], all[6:], now) || anyDate(all[:2], all[2:4], all[4:], now)
	case len(all) == 6:
		return anyDate(all[:2], all[2:4], all[4:], now)
	case len(all) == 4:
		y, _ := strconv.Atoi(all)
		return y >= 1900 && y <= now.Year()
	}
	return false
}

// anyDate reads three numbers as year-month-day, day-month-year or month-day-year.
func anyDate(a, b, c string, now time.Time) bool {
	x, y, z := number(a), number(b), number(c)
	switch {
	case len(a) == 4:
		return day(x, y, z, now)
	case len(c) == 4:
		return day(z, y, x, now) || day(z, x, y, now)
	case len(a) > 2 || len(b) > 2 || len(c) > 2:
		return false
	}
	for _, century := range []int{1900, 2000} {
		if day(century+z, y, x, now) || day(century+z, x, y, now) || day(century+x, y, z, now) {
			return true
		}
	}
	return false
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func day(y, m, d int, now time.Time) bool {
	if y < 1900 || m < 1 || m > 12 || d < 1 {
		return false
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return t.Day() == d && !t.After(now)
}

// word is a line of the list.
type word struct {
	text             string
	alone, programme bool
}

// wordsIn are the words of the list that text holds.
func wordsIn(text string) (out []word) {
	notLetter := func(r rune) bool { return !unicode.IsLetter(r) }
	pieces := strings.FieldsFunc(text, notLetter)
	joined := strings.Join(pieces, "")
	for w := range revealing() {
		if w.alone && slices.Contains(pieces, w.text) || !w.alone && strings.Contains(joined, w.text) {
			out = append(out, w)
		}
	}
	return out
}

// revealing reads the list.
func revealing() func(yield func(word) bool) {
	return func(yield func(word) bool) {
		programme := false
		for s := bufio.NewScanner(strings.NewReader(revealingWords)); s.Scan(); {
			line := strings.TrimSpace(s.Text())
			switch {
			case line == "" || line[0] == '#':
				continue
			case line[0] == '[':
				programme = line == "[programme]"
				continue
			}
			text, alone := strings.CutPrefix(line, "=")
			if !yield(word{text, alone, programme}) {
				return
			}
		}
	}
}
