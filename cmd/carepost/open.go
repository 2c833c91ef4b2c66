package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
)

// openFlags holds the flags of `open`.
type openFlags struct {
	to, from, key, cert, at, policy string
	anchors, intermediates, crls    []string
	allow                           []string
	fetch, json                     bool
}

func newOpenCmd() *cobra.Command {
	var f openFlags
	cmd := &cobra.Command{
		Use:   "open --to ADDRESS --key FILE --cert FILE --anchor FILE…  <in.eml >out.eml",
		Short: "Opens a sealed message, if its signer can be trusted",
		Long: `Reads a sealed message, decrypts it, checks its signature and judges the signer's certificate by the anchors of the
recipient: dates, signatures, revocation, binding to the sender's address, and a path to an anchor. The message inside is
written only if the verdict is good; until then it is kept in a temporary file that has no name and is encrypted with a key
that is nowhere but in memory. The verdict, with its clause and its checks, goes to the standard error output.

Nothing is fetched without --fetch. A certificate that points to a revocation list then stays undecided, unless --crl gives a
list that is still good.

Exit codes: 0 trusted, and the message is written; 1 undecided, or a file or the network failed; 2 wrong usage; 3 refused by
a rule; 4 damaged: cut, or not to be decrypted with this key.`,
		Example: `  carepost open --to lab@b.example --key b.key --cert b.pem --anchor a-ca.pem <wire.eml >message.eml
  carepost open --to lab@b.example --key b.key --cert b.pem --anchor root.pem --crl root.crl --json <wire.eml >message.eml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New("open: the message is read from the standard input: carepost open … <in.eml"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "the `ADDRESS` that received the message")
	flags.StringVar(&f.key, "key", "", "its private key, `FILE` in PEM")
	flags.StringVar(&f.cert, "cert", "", "its certificate, `FILE` in PEM or DER")
	flags.StringSliceVar(&f.anchors, "anchor", nil, "trust anchors of the address, `FILE` in PEM or DER; may be repeated")
	flags.StringSliceVar(&f.intermediates, "intermediate", nil, "certificates for the way between, `FILE` in PEM or DER; may be repeated")
	flags.StringSliceVar(&f.crls, "crl", nil, "certificate revocation lists, `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.from, "from", "", "the `ADDRESS` that sent it, as the envelope said (default: From of the message)")
	flags.StringVar(&f.at, "at", "", "judge as of this `TIME`, RFC 3339 (default: now)")
	flags.StringVar(&f.policy, "policy", "v1.2", "`PROFILE` of rules: v1.2, v1.3 or lenient")
	flags.BoolVar(&f.fetch, "fetch", false, "fetch missing issuers and revocation lists")
	flags.StringSliceVar(&f.allow, "fetch-allow", nil, "with --fetch: also from this `IP:PORT`, although it is not public (trials)")
	flags.BoolVar(&f.json, "json", false, "write the verdict as JSON")
	return cmd
}

// openJob is what the flags say, read and checked.
type openJob struct {
	to, from addr.Address
	own      cms.Recipient
	party    agent.Party
	judge    judgeWithLists
	now      time.Time
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

func (f *openFlags) run(cmd *cobra.Command) error {
	job, err := f.job()
	if err != nil {
		return err
	}
	draft, err := newSpool()
	if err != nil {
		return notNow(err)
	}
	defer draft.Close()
	r := job.open(cmd.Context(), draft, cmd.InOrStdin())
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
func (j *openJob) open(ctx context.Context, draft io.Writer, in io.Reader) *openReport {
	r := &openReport{}
	own := j.recipient() // before anything is decrypted
	if r.add(own); own.Status == trust.Refused {
		return r.close(own)
	}
	opened, err := smime.Open(draft, readerUntil{ctx, in}, []cms.Recipient{j.own}, smime.OpenOptions{})
	if err != nil {
		return reportError(err)
	}
	r.Wrapped = opened.Wrapped
	r.add(trust.Check{Name: "decryption", Status: trust.Trusted, Clause: "Direct 2.7", Evidence: "decrypted, " + opened.Cipher.String()})
	envelope := transit.Envelope{From: addr.Path{Address: j.from}, To: []addr.Address{j.to}}
	named := j.named(opened.Header)
	if r.add(named); named.Status == trust.Refused {
		return r.close(named)
	}
	a := agent.Agent{Judge: j.judge}
	r.judged(a.Inbound(ctx, j.party, agent.Arrival{Envelope: envelope, Opened: opened}, j.now))
	return r
}

// recipient obeys Direct 2.4: decryption is for the actual receiver, whom our certificate must name.
func (j *openJob) recipient() trust.Check {
	binding, evidence := trust.Bind(j.own.Certificate, j.to)
	c := trust.Check{Name: "recipient", Status: trust.Trusted, Clause: "Direct 2.4", Evidence: "the recipient's own certificate: " + evidence}
	if binding == trust.Unbound {
		c.Status = trust.Refused
	}
	return c
}

// job reads what the flags name.
func (f *openFlags) job() (*openJob, error) {
	for name, value := range map[string]string{"to": f.to, "key": f.key, "cert": f.cert} {
		if value == "" {
			return nil, usage(fmt.Errorf("open: --%s is missing", name))
		}
	}
	if len(f.anchors) == 0 {
		return nil, usage(errors.New("open: --anchor is missing: without anchors nobody is trusted"))
	}
	j := &openJob{now: time.Now()}
	var err error
	if j.to, err = addr.Parse(f.to); err != nil {
		return nil, usage(fmt.Errorf("--to: %w", err))
	}
	if f.from != "" {
		if j.from, err = addr.Parse(f.from); err != nil {
			return nil, usage(fmt.Errorf("--from: %w", err))
		}
	}
	if f.at != "" {
		if j.now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, usage(fmt.Errorf("--at: %q is no RFC 3339 time such as 2026-07-01T12:00:00Z", f.at))
		}
	}
	policies := map[string]trust.Policy{"v1.2": trust.V12, "v1.3": trust.V13, "lenient": trust.Lenient}
	var known bool
	if j.party.Policy, known = policies[f.policy]; !known {
		return nil, usage(fmt.Errorf("--policy: %q is none of v1.2, v1.3, lenient", f.policy))
	}
	if j.own, err = recipientFiles(f.key, f.cert); err != nil {
		return nil, err
	}
	if j.party.Anchors, err = certFiles(f.anchors); err != nil {
		return nil, err
	}
	if j.party.Intermediates, err = certFiles(f.intermediates); err != nil {
		return nil, err
	}
	if j.judge.lists, err = crlFiles(f.crls); err != nil {
		return nil, err
	}
	fetcher, err := (&certFind{fetch: f.fetch, allow: f.allow}).fetcher()
	if err != nil {
		return nil, err
	}
	j.judge.judge = trust.NewJudge(fetcher)
	return j, nil
}

// recipientFiles reads a private key and the certificate that belongs to it, the first of its file that does.
func recipientFiles(keyPath, certPath string) (cms.Recipient, error) {
	key, err := keyFile(keyPath)
	if err != nil {
		return cms.Recipient{}, err
	}
	decrypter, ok := key.(crypto.Decrypter)
	if !ok {
		return cms.Recipient{}, usage(fmt.Errorf("%s: the key cannot decrypt: RSA is needed", keyPath))
	}
	certs, err := certFiles([]string{certPath})
	if err != nil {
		return cms.Recipient{}, err
	}
	public, _ := decrypter.Public().(interface{ Equal(crypto.PublicKey) bool })
	for _, c := range certs {
		if public != nil && public.Equal(c.PublicKey) {
			return cms.Recipient{Certificate: c, Key: decrypter}, nil
		}
	}
	return cms.Recipient{}, usage(fmt.Errorf("%s holds no certificate of the key in %s", certPath, keyPath))
}

// keyFile reads a private key: PKCS #8, PKCS #1 or SEC 1, in PEM. Other blocks of the file are passed over.
func keyFile(path string) (crypto.PrivateKey, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, usage(err)
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, usage(fmt.Errorf("%s: no private key in PEM", path))
		}
		var key crypto.PrivateKey
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, usage(fmt.Errorf("%s: the key is protected by a password; openssl pkey takes it off", path))
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, usage(fmt.Errorf("%s: the key is protected by a password; openssl pkey takes it off", path))
		default:
			continue
		}
		if err != nil {
			return nil, usage(fmt.Errorf("%s: no private key of a kind that is in use here", path))
		}
		return key, nil
	}
}

// crlFiles reads revocation lists, PEM or DER, several to a PEM file.
func crlFiles(paths []string) ([]*x509.RevocationList, error) {
	var out []*x509.RevocationList
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usage(err)
		}
		var lists [][]byte
		for rest := data; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "X509 CRL" {
				lists = append(lists, block.Bytes)
			}
		}
		if lists == nil {
			lists = [][]byte{data}
		}
		for _, der := range lists {
			l, err := x509.ParseRevocationList(der)
			if err != nil {
				return nil, usage(fmt.Errorf("%s: no certificate revocation list in PEM or DER", path))
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// readerUntil ends with ctx.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
