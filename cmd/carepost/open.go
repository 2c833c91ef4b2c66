package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// openFlags holds the flags of `open`.
type openFlags struct {
	judging
	to, from, key, cert string
	json                bool
}

func newOpenCmd() *cobra.Command {
	var f openFlags
	cmd := &cobra.Command{
		Use:   "open --to B --key K --cert C --anchor X [FILE…]  <in.eml >out.eml",
		Short: "Opens a sealed message, if its signer can be trusted",
		Long: `Reads a sealed message on standard input, or from FILE, decrypts it, checks its signature and judges the signer's certificate by the
anchors of the recipient: dates, signatures, revocation, binding to the sender's address, and a path to an anchor. The message
inside is written to standard output only if the verdict is good; until then it is kept in a temporary file that has no name
and is encrypted with a key that is nowhere but in memory. The verdict, with its clause and its checks, goes to standard error.

Signed, then encrypted, in the one form of Direct: that is what is read. --policy lenient reads what partners of DICOM PS3.15 B.8 send
as well: opaque signatures, signatures around the encrypted message, compressed content, SHA-1. The report names the form,
how the key of the encryption came, and every signature with its algorithm and what is wrong with it.

Several FILEs are the fragments of one message that was divided on its way (message/partial), in any order.

Nothing is fetched without --fetch. A certificate that points to a revocation list then stays undecided, unless --crl gives a
list that is still good.

Exit codes:
  0  trusted, and the message is written
  1  undecided, or a file or the network failed
  2  wrong usage
  3  refused by a rule, which is named
  4  damaged: cut, or not to be decrypted with this key`,
		Example: `  carepost open --to lab@b.example --key b.key --cert b.pem \
      --anchor a-ca.pem <wire.eml >message.eml
  carepost open --to lab@b.example --key b.key --cert b.pem \
      --anchor root.pem --crl root.crl --json <wire.eml >message.eml
  carepost open --to lab@b.example --key b.key --cert b.pem \
      --anchor a-ca.pem part1.eml part2.eml >message.eml`,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args, time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "the recipient's `ADDRESS`: the message was received for it")
	flags.StringVar(&f.key, "key", "", "the recipient's private key, `FILE` in PEM or DER: RSA, P-256, P-384 or X25519, not encrypted")
	flags.StringVar(&f.cert, "cert", "", "the recipient's certificate, `FILE` in PEM or DER")
	flags.StringVar(&f.from, "from", "", "the `ADDRESS` that sent it, as the envelope said (default: From of the message)")
	flags.BoolVar(&f.json, "json", false, "write the verdict as JSON")
	f.register(cmd, "the recipient")
	return cmd
}

// openJob is what the flags say, read and checked.
type openJob struct {
	to, from addr.Address
	own      cms.Recipient
	party    agent.Party
	judge    judgeWithLists
	now      time.Time // as of which is judged
	received time.Time // before which the message was signed
	remedy   func(trust.Status, string) string
}

// judgeWithLists puts the lists of --crl into every question.
type judgeWithLists struct {
	judge *trust.Judge
	lists []*x509.RevocationList
}

// Judge answers q as the agent asks it.
func (j judgeWithLists) Judge(ctx context.Context, q trust.Question) trust.Verdict {
	q.CRLs = j.lists
	return j.judge.Judge(ctx, q)
}

func (f *openFlags) run(cmd *cobra.Command, files []string, now time.Time) error {
	job, err := f.job(now)
	if err != nil {
		return err
	}
	draft, err := newSpool()
	if err != nil {
		return notNow(err)
	}
	defer draft.Close()
	in, done, err := newFileInput(cmd, "opening", files)
	if err != nil {
		return err
	}
	defer done()
	name := "standard input"
	if len(files) > 0 {
		name = files[0]
	}
	if err := wholeMessage(in, name, cmd.CommandPath()+" …"); err != nil {
		return err
	}
	r := job.open(cmd.Context(), draft, in)
	in.close()
	if err := cmd.Context().Err(); err != nil {
		return notNow(err) // no verdict
	}
	if err := r.write(cmd.ErrOrStderr(), f.json); err != nil {
		return notNow(err)
	}
	if r.Verdict != trust.Trusted.String() {
		return r.exit()
	}
	return notNowIf(draft.release(cmd.Context(), cmd.OutOrStdout()))
}

func notNowIf(err error) error {
	if err == nil {
		return nil
	}
	return notNow(err)
}

// open fills the draft and says what is to be thought of it.
func (j *openJob) open(ctx context.Context, draft *spool, in *input) *openReport {
	r := &openReport{}
	own := j.recipient() // before anything is decrypted
	if r.add(own); own.Status == trust.Refused {
		return r.close(own)
	}
	opened, err := smime.Open(draft, in, []cms.Recipient{j.own}, j.party.Open())
	switch {
	case err != nil && in.empty():
		return &openReport{Verdict: damaged, Clause: "Direct 2.4", Reason: "nothing came on standard input: carepost open … <in.eml >out.eml"}
	case err != nil:
		return reportError(err)
	}
	r.Message = newOpenForm(opened)
	r.add(trust.Check{Name: "decryption", Status: trust.Trusted, Clause: "Direct 2.7", Evidence: "decrypted, " + opened.Cipher.String() + " by " + opened.Key.String()})
	envelope := transit.Envelope{From: addr.Path{Address: j.from}, To: []addr.Address{j.to}}
	named := j.named(opened.Header)
	if r.add(named); named.Status == trust.Refused {
		return r.close(named)
	}
	a := agent.Agent{Judge: j.judge}
	judged := a.Inbound(ctx, j.party, agent.Arrival{Envelope: envelope, Opened: opened, Received: j.received}, j.now)
	r.judged(judged)
	r.signed(opened, judged.Signatures)
	if r.Verdict != trust.Trusted.String() {
		r.Remedy = j.remedy(judged.Verdict.Status, judged.Verdict.Clause)
		return r
	}
	return r.formed(draft)
}

// formed looks at the message inside, as its reader will: a trusted signer may pass on what hurts who reads it.
func (r *openReport) formed(draft *spool) *openReport {
	size, err := draft.whole()
	if err == nil {
		_, err = message.Parse(draft, size, message.Limits{})
	}
	switch {
	case errors.Is(err, message.ErrLimit), errors.Is(err, message.ErrAmbiguous):
		c := trust.Check{Name: "form", Status: trust.Refused, Clause: "Direct 2.1", Evidence: "the message inside is not fit to be read: " + bare(err)}
		r.add(c)
		return r.close(c)
	case err != nil && !errors.Is(err, message.ErrSyntax) && !errors.Is(err, message.ErrEncoding):
		return &openReport{Verdict: trust.Undecided.String(), Reason: bare(err)}
	}
	return r
}

// recipient obeys Direct 2.4: decryption is for the actual receiver, whom our certificate must name.
func (j *openJob) recipient() trust.Check {
	binding, evidence := trust.Bind(j.own.Certificate, j.to)
	c := trust.Check{Name: "recipient", Status: trust.Trusted, Clause: "Direct 2.4", Evidence: "the recipient's own certificate: " + evidence}
	if binding == trust.Unbound {
		c.Status, c.Evidence = trust.Refused, "the certificate in --cert does not belong to the address in --to: "+evidence
	}
	return c
}

// job reads what the flags name.
func (f *openFlags) job(now time.Time) (*openJob, error) {
	if err := missing(needed{"--to", f.to != ""}, needed{"--key", f.key != ""}, needed{"--cert", f.cert != ""},
		needed{"--anchor", len(f.anchors) > 0}); err != nil {
		return nil, err
	}
	j := &openJob{remedy: f.remedy}
	var err error
	if j.to, err = parseAddress("--to: ", f.to); err != nil {
		return nil, err
	}
	if f.from != "" {
		if j.from, err = parseAddress("--from: ", f.from); err != nil {
			return nil, err
		}
	}
	t, err := f.read(now)
	if err != nil {
		return nil, err
	}
	if j.own, err = recipientFiles(f.key, f.cert); err != nil {
		return nil, err
	}
	j.now, j.received = t.now, now
	j.party = agent.Party{Policy: t.policy, Tolerant: t.tolerant, Anchors: t.anchors, Intermediates: t.intermediates}
	j.judge = judgeWithLists{trust.NewJudge(t.fetcher), t.lists}
	return j, nil
}

// recipientFiles reads a private key and the certificate that belongs to it, the first of its file that does.
func recipientFiles(keyPath, certPath string) (cms.Recipient, error) {
	key, err := readKey(keyPath)
	if err != nil {
		return cms.Recipient{}, err
	}
	certs, err := certFiles("cert", certPath)
	if err != nil {
		return cms.Recipient{}, err
	}
	for _, c := range certs {
		if fits(key, c) {
			if cms.CanEncrypt(c) != nil {
				return cms.Recipient{}, usage(fmt.Errorf("--key: %s: nothing is encrypted to this key, %s: RSA of 2048 to 8192 bits, P-256, P-384 or X25519 is needed", keyPath, keyText(c)))
			}
			return cms.Recipient{Certificate: c, Key: key}, nil
		}
	}
	return cms.Recipient{}, usage(fmt.Errorf("--cert: %s holds no certificate of the key in %s", certPath, keyPath))
}
