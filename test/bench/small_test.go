package bench

import (
	"bytes"
	"context"
	"crypto"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/test/peers"
	"carepost/trust"
)

// job is something that is done again and again; run tells the processor time of n times.
type job struct {
	engine, what string
	run          func(n int) (time.Duration, error)
	rates        []float64 // a second, round by round
	loop         *loop     // of another engine
	alone        []float64 // the rates by the time of the loop's one thread
}

// BenchmarkSmall seals and opens 10 KB messages in loops, round by round: packages smime and trust, the bare operation with the private key,
// Bouncy Castle with both providers, OpenSSL's library. SHA-256, RSA-2048, AES-128. Rates are per second of processor time of one core.
//
// The time is that of the whole process, collection of garbage included. What the working thread of another engine took alone is printed
// beside it, and Bouncy Castle is compared by that: its machine still compiles when it has long been warm, which a server does once. Ours
// and Bouncy Castle's remember the chain, OpenSSL's cannot. All open the same message.
//
// CAREPOST_FULL takes medians of 7 rounds that are long, after a long warming up of the Java machines, and has the targets met.
func BenchmarkSmall(b *testing.B) {
	w := newWorld(b)
	defer w.remove()
	w.messages("small", 7<<10) // 9.6 KB in base64, with its headers and wrapping about 10,000 octets
	ours := &small{w: w, message: must(os.ReadFile(w.path("small.eml"))), judge: trust.NewJudge(nil)}
	var sealed bytes.Buffer
	check(ours.seal(&sealed, cms.AES128CBC))
	ours.sealed = sealed.Bytes()
	w.write("small.sealed", ours.sealed)
	defer debug.SetGCPercent(debug.SetGCPercent(300)) // as carepost serve has it
	jobs := ours.jobs()
	for _, l := range w.loops(b) {
		for _, what := range []string{"seal", "open"} {
			jobs = append(jobs, &job{engine: l.name, what: what, loop: l.loop,
				run: func(n int) (time.Duration, error) { return l.run(what, n) }})
		}
	}
	warm(b, jobs)
	for b.Loop() {
		for r := range number(b, "CAREPOST_BENCH_ROUNDS", pick(3, 7)) {
			round(b, jobs, r)
		}
	}
	b.ReportMetric(0, "ns/op")
	rates := reportRates(b, jobs)
	castle := func(what string) float64 {
		return max(rates["Bouncy Castle, JDK provider "+what+" alone"], rates["Bouncy Castle, BC provider "+what+" alone"])
	}
	judge(b, []target{
		{what: "seal 10 KB, carepost/bare private key", got: rates["carepost seal"] / rates["bare key seal"], least: 0.8},
		{what: "open 10 KB, carepost/bare private key", got: rates["carepost open"] / rates["bare key open"], least: 0.8},
		{what: "seal 10 KB, carepost/Bouncy Castle", got: rates["carepost seal"] / castle("seal"), least: 1.1},
		{what: "open 10 KB, carepost/Bouncy Castle", got: rates["carepost open"] / castle("open"), least: 1.1},
	})
}

// warm runs each job until it has its caches and its compiled code.
func warm(b *testing.B, jobs []*job) {
	for _, j := range jobs {
		for left := pick(2*time.Second, 8*time.Second); left > 0; {
			d, err := j.run(50)
			if err != nil {
				b.Fatalf("%s, %s: %v", j.engine, j.what, err)
			}
			left -= d
			if !strings.HasPrefix(j.engine, "Bouncy") {
				break
			}
		}
	}
}

// round runs every job once, after a pause, and each round in another order: what follows a Java machine is disturbed by what that still
// compiles and collects.
func round(b *testing.B, jobs []*job, r int) {
	n := pick(200, 1000)
	for _, i := range rand.New(rand.NewPCG(uint64(r), 0)).Perm(len(jobs)) {
		j := jobs[i]
		time.Sleep(200 * time.Millisecond)
		d, err := j.run(n)
		if err != nil {
			b.Fatalf("%s, %s: %v", j.engine, j.what, err)
		}
		j.rates = append(j.rates, float64(n)/d.Seconds())
		if j.loop != nil {
			j.alone = append(j.alone, float64(n)/j.loop.thread.Seconds())
		}
	}
}

func reportRates(b *testing.B, jobs []*job) map[string]float64 {
	rates := make(map[string]float64)
	var text strings.Builder
	fmt.Fprintf(&text, "10 KB messages per second of processor time, medians of %d\n", len(jobs[0].rates))
	for _, j := range jobs {
		r := median(j.rates)
		rates[j.engine+" "+j.what] = r
		fmt.Fprintf(&text, "%-30s %s %8.0f", j.engine, j.what, r)
		if j.loop != nil {
			alone := median(j.alone)
			rates[j.engine+" "+j.what+" alone"] = alone
			fmt.Fprintf(&text, "   its thread alone %8.0f", alone)
		}
		fmt.Fprintln(&text)
		b.ReportMetric(r, unit(j.engine, j.what+"/s"))
	}
	say("%s", &text)
	return rates
}

// small is our engine over one message, as the gateway uses it.
type small struct {
	w               *world
	message, sealed []byte
	judge           *trust.Judge
}

func (s *small) seal(dst *bytes.Buffer, cipher cms.Algorithm) error {
	return smime.Seal(dst, bytes.NewReader(s.message), smime.SealOptions{
		Signers: []cms.Signer{{Key: s.w.aliceKey, Certificate: s.w.alice.Certificate,
			Chain: []*x509.Certificate{s.w.middle.Certificate}, Time: time.Now()}},
		Recipients: []*x509.Certificate{s.w.bob.Certificate}, Cipher: cipher})
}

// open opens sealed and judges it at the present moment.
func (s *small) open(dst *bytes.Buffer, sealed []byte, algorithms cms.Algorithms) error {
	opened, err := smime.Open(dst, bytes.NewReader(sealed), []cms.Recipient{s.w.recipient()}, smime.OpenOptions{Algorithms: algorithms})
	if err != nil {
		return err
	}
	alice, bob := must(addr.Parse("alice@clinic.example")), must(addr.Parse("bob@lab.example"))
	a := agent.Agent{Judge: s.judge}
	judged := a.Inbound(context.Background(), agent.Party{Anchors: []*x509.Certificate{s.w.anchor.Certificate}}, agent.Arrival{
		Envelope: transit.Envelope{From: addr.Path{Address: alice}, To: []addr.Address{bob}}, Opened: opened}, time.Now())
	if judged.Verdict.Status != trust.Trusted || dst.Len() != len(s.message) {
		return fmt.Errorf("%v %s, %d octets", judged.Verdict.Status, judged.Verdict.Reason, dst.Len())
	}
	return nil
}

// times does f n times with an empty buffer.
func times(f func(dst *bytes.Buffer) error) func(n int) (time.Duration, error) {
	return func(n int) (time.Duration, error) {
		return own(func() error {
			var dst bytes.Buffer
			for range n {
				dst.Reset()
				if err := f(&dst); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// jobs are ours, by AES-CBC and for information by AES-GCM, and what the private keys cost alone.
func (s *small) jobs() []*job {
	var gcm bytes.Buffer
	check(s.seal(&gcm, cms.AES128GCM))
	hash := sha256.Sum256(nil)
	//lint:ignore SA1019 it is what is measured
	wrapped := must(rsa.EncryptPKCS1v15(crand.Reader, &s.w.bobKey.PublicKey, make([]byte, 16)))
	return []*job{
		{engine: "carepost", what: "seal", run: times(func(dst *bytes.Buffer) error { return s.seal(dst, cms.AES128CBC) })},
		{engine: "carepost", what: "open", run: times(func(dst *bytes.Buffer) error { return s.open(dst, s.sealed, cms.Algorithms{}) })},
		{engine: "bare key", what: "seal", run: times(func(*bytes.Buffer) error {
			_, err := rsa.SignPKCS1v15(nil, s.w.aliceKey, crypto.SHA256, hash[:])
			return err
		})},
		{engine: "bare key", what: "open", run: times(func(*bytes.Buffer) error {
			//lint:ignore SA1019 it is what is measured
			return rsa.DecryptPKCS1v15SessionKey(nil, s.w.bobKey, wrapped, make([]byte, 16))
		})},
		{engine: "carepost, AES-GCM", what: "seal", run: times(func(dst *bytes.Buffer) error { return s.seal(dst, cms.AES128GCM) })},
		{engine: "carepost, AES-GCM", what: "open", run: times(func(dst *bytes.Buffer) error { return s.open(dst, gcm.Bytes(), cms.V13.Algorithms()) })},
	}
}

// named is a loop of another engine.
type named struct {
	*loop
	name string
}

// loops starts the other engines.
func (w *world) loops(b *testing.B) (all []named) {
	source := must(peers.Driver(w.dir, "mail.c"))
	if out, err := exec.Command("gcc", "-O2", "-o", w.path("mail"), source, "-lcrypto").CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
	check(peers.Javac(w.dir, "Mail.java"))
	entity, sealed := w.path("small.entity"), w.path("small.sealed")
	for _, e := range []struct {
		name string
		args []string
	}{
		{"OpenSSL, library", []string{w.path("mail"), w.dir, entity, sealed}},
		{"Bouncy Castle, JDK provider", w.java("-Xmx256m", "loop", "JDK", w.dir, entity, sealed)},
		{"Bouncy Castle, BC provider", w.java("-Xmx256m", "loop", "BC", w.dir, entity, sealed)},
	} {
		l, err := startLoop(e.args...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := l.stop(); err != nil && !errors.Is(err, os.ErrClosed) {
				b.Error(err)
			}
		})
		all = append(all, named{l, e.name})
	}
	return all
}
