package trust

import (
	"testing"
	"time"
)

// Lists for some reasons that are good together are as old as the oldest of them, and count by grace if one does: a later list for other
// reasons does not take a certificate off hold. RFC 5280 §6.3.3 (d) to (f).
func TestTally(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 6, n, 0, 0, 0, 0, time.UTC) }
	const some, others = reasons(1 << 6), allReasons &^ (1 << 6)
	hold := answer{state: onHold, reasons: some, made: day(2)}
	late := answer{state: good, reasons: others, made: day(3), overdue: true}
	for name, tc := range map[string]struct {
		answers []answer
		want    state
		overdue bool
	}{
		"one part":                      {[]answer{{state: good, reasons: some, made: day(1)}}, silent, false},
		"both parts":                    {[]answer{{state: good, reasons: some, made: day(1)}, {state: good, reasons: others, made: day(3)}}, good, false},
		"a part by grace, first":        {[]answer{late, {state: good, reasons: some, made: day(1)}}, good, true},
		"a part by grace, last":         {[]answer{{state: good, reasons: some, made: day(1)}, late}, good, true},
		"held, other part later":        {[]answer{{state: good, reasons: some, made: day(1)}, hold, {state: good, reasons: others, made: day(3)}}, onHold, false},
		"held, lifted later":            {[]answer{hold, {state: good, reasons: allReasons, made: day(3)}}, good, false},
		"good by grace, then in date":   {[]answer{{state: good, reasons: allReasons, made: day(3), overdue: true}, {state: good, reasons: allReasons, made: day(1)}}, good, false},
		"good in date, then by grace":   {[]answer{{state: good, reasons: allReasons, made: day(1)}, {state: good, reasons: allReasons, made: day(3), overdue: true}}, good, false},
		"revoked, then good":            {[]answer{{state: revoked, made: day(1)}, {state: good, reasons: allReasons, made: day(3)}}, revoked, false},
		"good, then revoked before it":  {[]answer{{state: good, reasons: allReasons, made: day(3)}, {state: revoked, made: day(1)}}, revoked, false},
		"on hold, then revoked earlier": {[]answer{hold, {state: revoked, made: day(1)}}, revoked, false},
	} {
		var got tally
		for _, a := range tc.answers {
			got.add(a)
		}
		if got.state != tc.want || got.overdue != tc.overdue {
			t.Errorf("%s: %v, overdue %v; want %v, %v", name, got.state, got.overdue, tc.want, tc.overdue)
		}
	}
}
