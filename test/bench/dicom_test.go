package bench

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packer is a program that makes a directory or an archive of a corpus.
type packer struct {
	name string
	args func(c *corpus, out string) []string
	all  []cost // round by round
}

// BenchmarkDICOM makes directories and archives of two corpora, large slices and many small files, round by round: the built carepost,
// dcmmkdir and zip, to the null device. Processor times and memory are those of whole processes; files are in the page cache. What an
// archive costs carepost is told whole. What is compared with zip is what zip does too: without the headers that are read and the DICOMDIR that is
// made of them (the dry run beside it), and without the SHA-256 of every file (timed here, of as many octets). CRC-32 both make.
//
// CAREPOST_FULL takes 2,000 CT of half a megabyte and 50,000 files of 10 KB, five rounds, and has the targets met.
func BenchmarkDICOM(b *testing.B) {
	dir := must(os.MkdirTemp("", "bench"))
	defer os.RemoveAll(dir)
	ours := filepath.Join(dir, "carepost")
	if out, err := exec.Command("go", "build", "-o", ours, "carepost/cmd/carepost").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	for _, c := range []*corpus{
		{name: "CT", files: pick(200, 2000), side: 512, series: 200, class: "1.2.840.10008.5.1.4.1.1.2"},
		{name: "small", files: pick(4000, 50_000), side: 64, series: 500, class: "1.2.840.10008.5.1.4.1.1.4"},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.dir = filepath.Join(dir, c.name)
			defer os.RemoveAll(c.dir)
			c.write()
			packers := []*packer{
				{name: "carepost directory", args: func(c *corpus, _ string) []string {
					return []string{ours, "dicom", "pack", "--dry-run", "--quiet", c.dir}
				}},
				{name: "dcmmkdir", args: func(c *corpus, out string) []string {
					return []string{"dcmmkdir", "-Pgp", "-nb", "+D", out, "+r", "+id", c.dir}
				}},
				{name: "carepost deflated", args: func(c *corpus, _ string) []string {
					return []string{ours, "dicom", "pack", "--quiet", "-o", "-", c.dir}
				}},
				{name: "zip -1", args: func(c *corpus, _ string) []string { return []string{"zip", "-q", "-1", "-r", "-", c.dir} }},
				{name: "carepost stored", args: func(c *corpus, _ string) []string {
					return []string{ours, "dicom", "pack", "--quiet", "--stored", "-o", "-", c.dir}
				}},
				{name: "zip -0", args: func(c *corpus, _ string) []string { return []string{"zip", "-q", "-0", "-r", "-", c.dir} }},
			}
			for b.Loop() {
				for range number(b, "CAREPOST_BENCH_ROUNDS", pick(1, 5)) {
					for _, p := range packers {
						p.round(b, c, dir)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			c.report(b, packers, must(own(c.hash)).Seconds())
		})
	}
}

func (p *packer) round(b *testing.B, c *corpus, dir string) {
	out := filepath.Join(dir, "DICOMDIR")
	defer os.Remove(out)
	took, err := pipe("", os.DevNull, &stage{args: p.args(c, out)})
	if err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	p.all = append(p.all, took)
}

// hash makes the SHA-256 of as many octets, in as many files.
func (c *corpus) hash() error {
	one := make([]byte, c.bytes/int64(c.files))
	for range c.files {
		one[0] ^= sha256.Sum256(one)[0]
	}
	return nil
}

// report prints what each took, and judges.
func (c *corpus) report(b *testing.B, ps []*packer, hashing float64) {
	var text strings.Builder
	for _, p := range ps {
		t := cpu(p.all)
		fmt.Fprintf(&text, "%-20s %8.2f s of processor  %7.0f MB/s  %6.0f MiB\n", p.name, t, float64(c.bytes)/1e6/t, memory(p.all))
	}
	say("%s: %d files, %d MB, their SHA-256 %.2f s\n%s", c.name, c.files, c.bytes/1e6, hashing, &text)
	directory, peer := cpu(ps[0].all), cpu(ps[1].all)
	apart := func(p *packer) float64 { return cpu(p.all) - directory - hashing }
	judge(b, []target{
		{what: c.name + ": DICOMDIR CPU, carepost/dcmmkdir", got: directory / peer, most: map[string]float64{"CT": 0.3, "small": 0.4}[c.name]},
		{what: c.name + ": deflated per CPU second, carepost/zip -1", got: cpu(ps[3].all) / apart(ps[2]), least: 2.3},
		{what: c.name + ": the same with headers, DICOMDIR and SHA-256", got: cpu(ps[3].all) / cpu(ps[2].all), least: 1},
		{what: c.name + ": stored per CPU second, carepost/zip -0", got: cpu(ps[5].all) / apart(ps[4]), least: 5},
		{what: c.name + ": carepost's memory, MiB", got: max(memory(ps[0].all), memory(ps[2].all), memory(ps[4].all)), most: 150},
	})
}
