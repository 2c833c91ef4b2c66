package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// engine seals and opens files.
type engine struct {
	name             string
	of               string // what it seals and what comes out: ".eml", a message, or ".entity"
	seal, open       func(in, out string) (cost, error)
	sealing, opening []cost // round by round
}

// BenchmarkLarge seals and opens a message with a long attachment from file to file: the built carepost, OpenSSL's command line and Bouncy
// Castle, round by round, all opening what carepost sealed. SHA-256, RSA-2048, AES-128-CBC. Processor times and memory are those of
// whole processes.
//
// carepost seals and opens messages, the others the entities made of them, which are 31 octets longer. All look at the chain. carepost
// alone keeps what it opens out of sight until the signature is found good and trusted, and so writes it twice.
//
// CAREPOST_BENCH_MB and CAREPOST_BENCH_ROUNDS set the attachment's size before base64 and the rounds. CAREPOST_FULL makes them 512 and 7,
// has carepost seal and open 4 GB besides, and the targets met.
func BenchmarkLarge(b *testing.B) {
	w := newWorld(b)
	defer w.remove()
	ours, ssl := w.carepost(b), w.openssl()
	jdk, bc := w.bouncyCastle(b, "JDK"), w.bouncyCastle(b, "BC")
	all := []*engine{ours, ssl, jdk, bc}
	w.agree(b, all)
	size := number(b, "CAREPOST_BENCH_MB", pick(64, 512))
	w.messages("large", int64(size)<<20)
	if _, err := ours.seal(w.path("large.eml"), w.path("large.sealed")); err != nil {
		b.Fatal(err)
	}
	rounds := number(b, "CAREPOST_BENCH_ROUNDS", pick(1, 7))
	for b.Loop() {
		for range rounds {
			for _, e := range all {
				e.round(b, w)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	report(b, size, all)
	castle := min(cpu(jdk.opening), cpu(bc.opening)) // the faster one
	targets := []target{
		{what: "seal CPU, carepost/OpenSSL", got: cpu(ours.sealing) / cpu(ssl.sealing), most: 0.65},
		{what: "open CPU, carepost/OpenSSL", got: cpu(ours.opening) / cpu(ssl.opening), most: 0.10},
		{what: "open CPU, carepost/Bouncy Castle", got: cpu(ours.opening) / castle, most: 0.30},
		{what: "carepost's memory, MiB", got: max(memory(ours.sealing), memory(ours.opening)), most: 32},
	}
	if full {
		targets = append(targets, target{what: "carepost's memory at 4 GB, MiB", got: w.huge(b, ours), most: 32})
	}
	judge(b, targets)
}

// agree has carepost open what each engine seals, and each what carepost seals: what is timed is the right thing.
func (w *world) agree(b *testing.B, all []*engine) {
	w.messages("small", 1<<20)
	ours := all[0]
	for _, e := range all {
		sealed, out := w.path("small.sealed"), w.path("out")
		if _, err := e.seal(w.path("small"+e.of), sealed); err != nil {
			b.Fatalf("%s seals: %v", e.name, err)
		}
		if _, err := ours.open(sealed, out); err != nil || !same(out, w.path("small"+ours.of)) {
			b.Fatalf("carepost opens what %s sealed: %v", e.name, err)
		}
		if _, err := ours.seal(w.path("small"+ours.of), sealed); err != nil {
			b.Fatal(err)
		}
		if _, err := e.open(sealed, out); err != nil || !same(out, w.path("small"+e.of)) {
			b.Fatalf("%s opens what carepost sealed: %v", e.name, err)
		}
	}
}

func same(a, b string) bool {
	return string(must(os.ReadFile(a))) == string(must(os.ReadFile(b)))
}

// round seals and opens once.
func (e *engine) round(b *testing.B, w *world) {
	out := w.path("out")
	defer os.Remove(out)
	touch(6 * length(w.path("large.eml")))
	c, err := e.seal(w.path("large"+e.of), out)
	if err != nil {
		b.Fatalf("%s seals: %v", e.name, err)
	}
	e.sealing = append(e.sealing, c)
	check(os.Remove(out)) // cutting a file to nothing is work as well, and nobody's here
	touch(6 * length(w.path("large.eml")))
	if c, err = e.open(w.path("large.sealed"), out); err != nil {
		b.Fatalf("%s opens: %v", e.name, err)
	}
	e.opening = append(e.opening, c)
	if got, want := length(out), length(w.path("large"+e.of)); got != want {
		b.Fatalf("%s opens: %d octets of %d", e.name, got, want)
	}
}

// touch has the machine fetch so much memory, and gives it back: more than an engine is going to fill with its pages and its files. In a
// virtual machine memory comes from the host when it is first touched and goes back when it lies idle. That takes seconds in which
// no engine has a part, and would be counted for whichever comes first.
func touch(octets int64) {
	f, err := os.CreateTemp("/dev/shm", "bench")
	if err != nil {
		return // no such place
	}
	defer f.Close()
	check(os.Remove(f.Name()))
	block := make([]byte, 1<<20)
	for ; octets > 0; octets -= int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return // as much as there is
		}
	}
}

func length(path string) int64 { return must(os.Stat(path)).Size() }

// huge is carepost's greatest memory, MiB, over a message of 4 GB.
func (w *world) huge(b *testing.B, ours *engine) float64 {
	check(os.Remove(w.path("large.sealed")))
	check(os.Remove(w.path("large.entity")))
	mail, sealed, out := w.path("large.eml"), w.path("large.sealed"), w.path("out")
	w.one(mail, "", 4<<30)
	defer os.Remove(out)
	s, err := ours.seal(mail, sealed)
	if err != nil {
		b.Fatal(err)
	}
	o, err := ours.open(sealed, out)
	if err != nil || length(out) != length(mail) {
		b.Fatalf("4 GB: %v", err)
	}
	return max(memory([]cost{s}), memory([]cost{o}))
}

// report prints the medians and reports them as metrics.
func report(b *testing.B, size int, all []*engine) {
	var text strings.Builder
	fmt.Fprintf(&text, "%d MB attached, medians of %d\n%-28s %10s %8s %8s %8s   %10s %8s %8s %8s\n", size, len(all[0].sealing), "",
		"seal CPU s", "kernel", "wall s", "MiB", "open CPU s", "kernel", "wall s", "MiB")
	for _, e := range all {
		fmt.Fprintf(&text, "%-28s", e.name)
		for _, did := range []struct {
			what string
			cost []cost
		}{{"seal", e.sealing}, {"open", e.opening}} {
			fmt.Fprintf(&text, " %10.3f %8.3f %8.3f %8.1f  ", cpu(did.cost), sys(did.cost), wall(did.cost), memory(did.cost))
			b.ReportMetric(cpu(did.cost), unit(e.name, did.what, "CPU-s"))
			b.ReportMetric(memory(did.cost), unit(e.name, did.what, "MiB"))
		}
		fmt.Fprintln(&text)
	}
	say("%s", &text)
}

func cpu(all []cost) float64  { return medianOf(all, func(c cost) float64 { return c.cpu }) }
func sys(all []cost) float64  { return medianOf(all, func(c cost) float64 { return c.sys }) }
func wall(all []cost) float64 { return medianOf(all, func(c cost) float64 { return c.wall }) }

// memory is in MiB, the greatest of all rounds.
func memory(all []cost) (most float64) {
	for _, c := range all {
		most = max(most, float64(c.rss)/(1<<20))
	}
	return most
}
