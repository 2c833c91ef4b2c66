package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// median of the rounds.
func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func medianOf(all []cost, of func(cost) float64) float64 {
	var figures []float64
	for _, c := range all {
		figures = append(figures, of(c))
	}
	return median(figures)
}

// unit is a metric's name, which has no blanks.
func unit(words ...string) string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(strings.Join(words, "-"))
}

// target is what a figure is to be at most, or at least.
type target struct {
	what  string // a ratio, or a size with its unit
	got   float64
	most  float64 // 0 where least is meant
	least float64
}

func (t target) missed() bool { return t.most != 0 && t.got > t.most || t.got < t.least }

func (t target) String() string {
	verdict, bound := "met", fmt.Sprintf("≤ %g", t.most)
	if t.most == 0 {
		bound = fmt.Sprintf("≥ %g", t.least)
	}
	if t.missed() {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-58s %8.2f   %-8s %s", t.what, t.got, bound, verdict)
}

// say prints past the log of a benchmark, of which ten lines are shown.
func say(format string, args ...any) { fmt.Printf("\n"+format, args...) }

// judge prints the targets and reports each as a metric. They are for full sizes and counts: a miss fails only there.
func judge(b *testing.B, targets []target) {
	var text strings.Builder
	for _, t := range targets {
		fmt.Fprintln(&text, t)
		b.ReportMetric(t.got, unit(t.what))
	}
	say("targets\n%s", &text)
	if !full {
		return
	}
	for _, t := range targets {
		if t.missed() {
			b.Errorf("missed: %v", t)
		}
	}
}
