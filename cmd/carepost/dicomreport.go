package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"carepost/dicom/fileset"
)

// dicomPrinter writes reports for people. The first error stays.
type dicomPrinter struct {
	w    io.Writer
	all  bool
	more string // flags that show the rest of a list; empty: --all, --json
	err  error
}

// Lists for people end after so many lines; --all and --json have the rest.
const (
	shownInstances = 8
	shownFindings  = 20
)

func (p *dicomPrinter) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, harmless(fmt.Sprintf(format, args...), "\n\t")+"\n") // names and texts come from others
	}
}

func printReport(w io.Writer, r *fileset.Report, all bool) error {
	p := &dicomPrinter{w: w, all: all}
	p.line("%-10s  %s", r.Verdict, counts(r.Patients, r.Studies, r.Series, r.Instances, r.Bytes))
	switch {
	case r.Verdict == fileset.Complete && r.Hashed:
		p.line("%12severy file is what was packed (SHA-256)", "")
	case r.Verdict == fileset.Complete:
		p.line("%12severy file that the DICOMDIR names is there", "")
	case r.Verdict == fileset.Unverifiable:
		p.line("%12snothing says whether this is all that was sent: ask the sender how many images there should be", "")
	}
	p.tree(r.Tree)
	if len(r.Missing) > 0 {
		p.line("\nmissing (%d):", len(r.Missing))
		p.list(len(r.Missing), func(i int) string { return r.Missing[i] })
	}
	p.findings(r.Findings)
	if len(r.Other) > 0 {
		p.line("\nother files (%d):", len(r.Other))
		p.list(len(r.Other), func(i int) string { return r.Other[i] })
	}
	return p.err
}

// list prints n lines, or the first of them.
func (p *dicomPrinter) list(n int, line func(int) string) {
	for i := range n {
		if !p.all && i == shownFindings && n > shownFindings+1 {
			p.line("  … and %d more (%s)", n-i, or(p.more, "--all, --json"))
			return
		}
		p.line("  %s", line(i))
	}
}

func (p *dicomPrinter) findings(fs []fileset.Finding) {
	if len(fs) == 0 {
		return
	}
	p.line("\nfindings (%d):", len(fs))
	p.list(len(fs), func(i int) string { return fs[i].String() })
}

// tree prints patients, studies, series and instances.
func (p *dicomPrinter) tree(tree []fileset.Patient) {
	for _, pt := range tree {
		p.line("\n%s  %s", orDash(personName(pt.Name)), pt.ID)
		for i, st := range pt.Studies {
			branch, below := twig(i, len(pt.Studies))
			p.line("%s%s", branch, joinWords("study "+orDash(st.ID), dicomDate(st.Date, st.Time), st.Description, prefixed("accession ", st.Accession)))
			for j, se := range st.Series {
				branch, deeper := twig(j, len(st.Series))
				p.line("%s%sseries %s · %s · %s", below, branch, orDash(se.Number), orDash(se.Modality), count(len(se.Instances), "instance"))
				p.leaves(below+deeper, se.Instances)
			}
		}
	}
}

func (p *dicomPrinter) leaves(indent string, xs []fileset.Instance) {
	for i, x := range xs {
		if !p.all && i == shownInstances && len(xs) > shownInstances+1 {
			p.line("%s└─ … and %d more", indent, len(xs)-i)
			return
		}
		branch, _ := twig(i, len(xs))
		size := "MISSING"
		if x.Size >= 0 {
			size = byteCount(x.Size)
		}
		p.line("%s%s%s", indent, branch, joinWords(strings.TrimSpace(x.Type+" "+x.Number), fileset.ClassName(x.SOPClass), size, x.FileID, signedWord(x)))
	}
}

func twig(i, n int) (branch, below string) {
	if i == n-1 {
		return "└─ ", "   "
	}
	return "├─ ", "│  "
}

func joinWords(words ...string) string {
	var kept []string
	for _, w := range words {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " · ")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// personName shows the first group of a DICOM name as "Family, Given Middle".
func personName(s string) string {
	group, rest, _ := strings.Cut(s, "=")
	if group == "" {
		group, _, _ = strings.Cut(rest, "=")
	}
	family, given, _ := strings.Cut(strings.TrimRight(group, "^"), "^")
	given = strings.Join(strings.Fields(strings.ReplaceAll(given, "^", " ")), " ")
	if given == "" {
		return family
	}
	return family + ", " + given
}

// dicomDate shows YYYYMMDD and HHMMSS as people write them; anything else as it is.
func dicomDate(date, clock string) string {
	t, err := time.Parse("20060102", date)
	if err != nil {
		return date
	}
	out := t.Format(time.DateOnly)
	if len(clock) >= 4 {
		if t, err := time.Parse("1504", clock[:4]); err == nil {
			out += t.Format(" 15:04")
		}
	}
	return out
}

func counts(patients, studies, series, instances int, bytes int64) string {
	return strings.Join([]string{count(patients, "patient"), plural(studies, "study", "studies"), plural(series, "series", "series"),
		count(instances, "instance"), byteCount(bytes)}, ", ")
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// byteCount shows bytes in decimal units.
func byteCount(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.5 && unit < 4 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %s", v, []string{"kB", "MB", "GB", "TB", "PB"}[unit])
}

// dicomBar is a progress bar on a terminal, for what takes longer than a second.
type dicomBar struct {
	w     io.Writer
	what  string
	start time.Time
	p     *mpb.Progress
	bar   *mpb.Bar
}

func newDicomBar(w io.Writer, what string) *dicomBar {
	b := &dicomBar{what: what, start: time.Now()}
	if f, ok := w.(*os.File); ok && columns(f) > 0 {
		b.w = w
	}
	return b
}

// set is called from one goroutine at a time.
func (b *dicomBar) set(done, total int64) {
	if b.w == nil || b.bar == nil && time.Since(b.start) < time.Second {
		return
	}
	if b.bar == nil {
		b.p = mpb.New(mpb.WithOutput(b.w), mpb.WithWidth(60))
		b.bar = b.p.AddBar(total, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(b.what+" ")),
			mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	}
	b.bar.SetCurrent(done)
}

// stop takes the bar away.
func (b *dicomBar) stop() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.p.Wait()
	}
}

func signedWord(x fileset.Instance) string {
	if x.Signed {
		return "digitally signed"
	}
	return ""
}
