package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/zipmail"
	"carepost/internal/admind"
	"carepost/message"
	"carepost/xdm"
)

// send holds the flags of `send`.
type send struct {
	from, subject, text, textFile, profile string
	to, cc                                 []string
	noWait                                 bool
	packing
	allowSubject bool // that names a patient
	final        bool // a notice of the final delivery is asked for
	follow       string
	about        about
	deid         deidentification
	largest      largest // how large one mail may be
	wait         time.Duration
}

// mostText is how long the text of a letter may be, in bytes; what is longer is a file to attach.
const mostText = 1 << 20

func newSendCmd() *cobra.Command {
	var f send
	cmd := &cobra.Command{
		Use:   "send [PATH…]",
		Short: "Sends images, documents and letters, and follows them",
		Long: `Sends from an account of this installation. DICOM files, and folders of them, go as a DICOM File-set: one DICOM.ZIP with its
directory, made while it is sent. A DICOM.ZIP that is there already goes as it is, if it is whole and one mail may be that large; a ZIP of
another name that holds images becomes one. Other files are attached as they are. The text comes from --text or --text-file, and where
nothing else is sent from standard input.

Once the message is accepted it is durable, and its way is shown until every recipient's system has taken it over and said so,
or it has failed; Ctrl-C ends the watching, not the message. That nobody has the address, or that a study arrived damaged, is said
right after the processed notice, which is waited for a moment; a failure that is reported later still comes as a mail to the sender.
If no gateway runs, the message waits for "carepost serve".

With --deidentify names, numbers, dates, UIDs and private elements of the DICOM files are taken out or replaced first. What it
cannot see is said: pixels and files of other kinds go as they are.
A set that is larger than one mail may be goes in several, each with a File-set that is complete in itself: by study, by series, and
by images where a series alone is too large. Each says which part it is, and lists all of them. How large a mail may be is known from rules
(size) and from what the servers of the recipients have said; --max-size says it for this time. What is interrupted goes on where it was
when the same command is given again: no part is sent twice. "carepost transfer" shows all parts together.

With --xdm the files go as an IHE XDM package: one ZIP with their metadata, for records systems; images go into the same ZIP with their
DICOMDIR, beside it. --context attaches a Direct Context: what the message is about, for programs. Both hold patient data where
you give it, sealed with the message.

The subject is sealed with the message; the mail's own envelope shows nobody what it is about. Partners who know plain S/MIME alone (a rule
says who) get it outside, where everybody on the way can read it. A mail with a File-set says DICOM-ZIP in its subject, as the
standard wants it, and does not leave if its subject names a patient of the set: say it in the text.

--profile gen says that these objects need no protection, as phantoms and teaching files do. To partners for whom a rule says so they
leave neither encrypted nor signed, and marked; to all others sealed, as ever.

The message is signed for the account that sends. With a File-set in it, the signature attests that its sender is authorised to disclose
the images to the recipients (PS3.15 B.8): that is said before it is sent, stands in the mail, and the audit has who sent it. It attests
nothing clinical: digital signatures inside the images do, and leave as they are.

Exit codes:
  0  every recipient's system has taken the message over; with --no-wait:
     it is accepted
  1  it could not be done now, or watching ended before the message did
  2  wrong usage
  3  refused by a rule or by the other side: an untrusted or unknown
     recipient, a foreign sender, a profile broken
  4  a file is cut or damaged; nothing was sent`,
		Example: `  carepost send --to reception@south.example ~/studies/panoramic
  carepost send --from imaging@north.example --to reception@south.example \
      --subject "Referral" --text-file letter.txt report.pdf
  echo "Monday at ten." | carepost send --to reception@south.example
  carepost send --to records@south.example --xdm report.pdf \
      --patient "givenName=Ann; surname=Berg; dateOfBirth=1980-02-29" \
      --patient-id 1.2.276.0.76.3.1:4711 --context radiology/report
  carepost send --to reception@south.example --final-delivery --text "Call."
  carepost send --to reception@south.example --max-size 25MB ~/studies/ct
  carepost send --follow 01JD3Z…     # a message sent before`,
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
		DisableFlagsInUseLine: true,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "the `ACCOUNT` that sends (default: the only one)")
	fl.StringArrayVar(&f.to, "to", nil, "`ADDRESS` of a recipient; may be repeated")
	fl.StringArrayVar(&f.cc, "cc", nil, "`ADDRESS` of a recipient of a copy; may be repeated")
	fl.StringVar(&f.subject, "subject", "", "subject `TEXT`; name no patient in the subject of a File-set")
	fl.StringVar(&f.text, "text", "", "the `TEXT` to send")
	fl.StringVar(&f.textFile, "text-file", "", "a `FILE` with the text, UTF-8; \"-\" reads standard input")
	fl.StringVar(&f.profile, "profile", "gen-sec", "application profile `NAME` that DICOM files must fit: gen, gen-sec or dental")
	f.packing.register(cmd, "send")
	fl.BoolVar(&f.allowSubject, "allow-subject", false, "send although the subject names a patient of the File-set; the audit says so")
	fl.BoolVar(&f.final, "final-delivery", false, "ask for proof of the final delivery; without it in time the message has failed")
	fl.BoolVar(&f.noWait, "no-wait", false, "do not watch what becomes of the message")
	fl.DurationVar(&f.wait, "wait", 0, "watch no longer than this `TIME`, for example 10m (default: until it is over)")
	fl.StringVar(&f.follow, "follow", "", "send nothing; show the way of the message with this `ID`")
	f.about.register(cmd)
	f.deid.register(fl)
	f.largest.register(cmd)
	return ofInstallation(reports(cmd))
}

func (f *send) run(cmd *cobra.Command, paths []string) error {
	if f.wait < 0 {
		return usage(errors.New("--wait: a time is longer than nothing"))
	}
	if f.follow != "" {
		return f.rejoin(cmd, paths)
	}
	l, err := f.read(cmd, paths)
	if err != nil {
		return err
	}
	c, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	return f.dispatch(cmd, c, l)
}

// rejoin follows a message that was sent before.
func (f *send) rejoin(cmd *cobra.Command, paths []string) error {
	if len(paths) > 0 || len(f.to) > 0 || len(f.cc) > 0 || f.text != "" || f.textFile != "" || f.subject != "" || f.final {
		return usage(errors.New("--follow sends nothing: it goes with neither recipients, text nor files"))
	}
	c, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	status, err := c.Status(cmd.Context())
	if err != nil {
		return clientError(err)
	}
	return f.watch(cmd, c, f.follow, status.Serving)
}

// letter is what is to be sent.
type letter struct {
	to, cc       []addr.Address
	text         string
	profile      zipmail.Profile
	parcel       parcel
	about        *about    // what programs are told
	packed       *xdm.Plan // of --xdm
	final        bool      // a notice of the final delivery is asked for
	part         *part     // of a set that goes in several mails
	largest      int64     // bytes that one mail may have as it leaves; 0: as its recipients take it. Who takes the message divides it
	deidentified string    // how, for the audit
}

// read reads the flags and looks at the files, before anybody is asked for anything.
func (f *send) read(cmd *cobra.Command, paths []string) (l letter, err error) {
	if l.to, err = recipients("--to", f.to); err != nil {
		return l, err
	}
	if l.cc, err = recipients("--cc", f.cc); err != nil {
		return l, err
	}
	if len(l.to)+len(l.cc) == 0 {
		return l, usage(errors.New("--to is missing"))
	}
	if f.from != "" {
		if _, err := parseAddress("--from: ", f.from); err != nil {
			return l, err
		}
	}
	l.final, l.deidentified = f.final, f.deid.said()
	if l.profile, err = zipmail.ParseProfile(f.profile); err != nil {
		return l, usage(fmt.Errorf("--profile: %s", bare(err)))
	}
	if err := new(message.Builder).Add("Subject", f.subject).Err(); err != nil || !utf8.ValidString(f.subject) {
		return l, usage(errors.New("--subject: a subject is one line of text"))
	}
	if l.parcel, err = sortPaths(cmd.Context(), paths); err != nil {
		return l, err
	}
	l.about = &f.about
	if err := f.about.read(&l.parcel); err != nil {
		return l, err
	}
	if cmd.Flags().Changed("profile") && !l.parcel.hasSet() {
		return l, usage(errors.New("--profile is for DICOM files, and there are none"))
	}
	if err := f.deid.fits(l.parcel); err != nil {
		return l, err
	}
	if err := f.fits(&l.parcel); err != nil {
		return l, err
	}
	l.text, err = f.readText(cmd, len(paths) == 0)
	return l, err
}

// recipients reads addresses, one or several of them at a time, with or without names.
func recipients(flag string, given []string) (out []addr.Address, err error) {
	for _, text := range given {
		if a, err := addr.Parse(text); err == nil {
			out = append(out, a)
			continue
		}
		list, err := message.ParseMailboxes(text)
		if err != nil || len(list) == 0 {
			if _, err = parseAddress(flag+": "+cut(plain(text), 60)+": ", text); err == nil {
				err = usage(fmt.Errorf("%s: not an address such as lab@clinic.example", flag))
			}
			return nil, err
		}
		for _, m := range list {
			out = append(out, m.Address)
		}
	}
	return out, nil
}

// readText reads the text of the letter; bare says that there is nothing else to send.
func (f *send) readText(cmd *cobra.Command, bare bool) (string, error) {
	given := cmd.Flags().Changed("text")
	switch {
	case given && f.textFile != "":
		return "", usage(errors.New("--text and --text-file are two texts; give one"))
	case given:
		return checkText("--text", f.text, bare)
	case f.textFile == "-", f.textFile == "" && bare:
		in := newInput(cmd, "reading")
		defer in.close()
		b, err := io.ReadAll(io.LimitReader(in, mostText+1))
		if err != nil {
			return "", notNow(err)
		}
		return checkText("standard input", string(b), bare)
	case f.textFile == "":
		return "", nil
	}
	file, err := os.Open(f.textFile)
	if errors.Is(err, os.ErrNotExist) {
		return "", usage(fmt.Errorf("there is no %q", f.textFile))
	}
	if err != nil {
		return "", notNow(err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, mostText+1))
	if err != nil {
		return "", notNow(err)
	}
	return checkText(f.textFile, string(b), bare)
}

func checkText(what, text string, bare bool) (string, error) {
	switch {
	case len(text) > mostText:
		return "", usage(fmt.Errorf("%s: longer than %s; attach it as a file", what, byteCount(mostText)))
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "", usage(fmt.Errorf("%s: no text in UTF-8; attach it as a file", what))
	case bare && strings.TrimSpace(text) == "":
		return "", usage(errors.New("there is nothing to send: name files, or give a text with --text"))
	case text != "" && !strings.HasSuffix(text, "\n"):
		text += "\n"
	}
	return text, nil
}

// dispatch sends l and follows it.
func (f *send) dispatch(cmd *cobra.Command, c *admind.Client, l letter) error {
	ctx := cmd.Context()
	from, err := theAccount(ctx, c, f.from, "name it with --from")
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return clientError(err)
	}
	defer l.parcel.close()
	f.from = from.String()
	if err := l.parcel.open(ctx, f, l.profile); err != nil {
		return err
	}
	f.deid.tell(cmd.ErrOrStderr(), l.parcel)
	if err := f.disclose(cmd, &l, from); err != nil {
		return err
	}
	parts, err := f.divide(cmd, c, from, &l)
	if err != nil {
		return err
	}
	if len(parts) > 1 {
		return f.sendParts(cmd, c, from, &l, parts, status.Serving)
	}
	id, err := l.send(ctx, cmd.ErrOrStderr(), c, from, f.subject)
	if err != nil {
		return err
	}
	if l.parcel.archive != "" {
		t, err := dividedAs(ctx, c, id)
		if err != nil {
			return err
		}
		if t.ID != "" {
			return f.tellParts(cmd, c, t, l.parcel.judged, status.Serving)
		}
	}
	out := cmd.OutOrStdout()
	switch {
	case status.Serving && !f.noWait:
		return f.watch(cmd, c, id, true)
	case asJSON(cmd):
		return f.tell(cmd, c, id)
	}
	if _, err := fmt.Fprintf(out, "accepted as %s\n", id); err != nil {
		return notNow(err)
	}
	if !status.Serving {
		fmt.Fprintf(out, "It waits: no gateway runs. This sends it:  %s\n", again(cmd, "serve", ""))
	}
	_, err = fmt.Fprintf(out, "Its way:  %s\n", again(cmd, "send", "--follow "+id))
	return err
}

// tell prints a timeline as JSON.
func (f *send) tell(cmd *cobra.Command, c *admind.Client, id string) error {
	t, err := c.Message(cmd.Context(), id)
	if err != nil {
		return clientError(err)
	}
	return writeJSON(cmd.OutOrStdout(), t)
}

// watch follows a message to its end. Where no gateway runs nothing will happen: what did is told.
func (f *send) watch(cmd *cobra.Command, c *admind.Client, id string, serving bool) error {
	ctx := cmd.Context()
	if f.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.wait)
		defer cancel()
	}
	w := &watcher{c: c, id: id, out: cmd.OutOrStdout(), columns: columns(os.Stdout), quiet: asJSON(cmd), once: f.noWait || !serving,
		again: func(verb, rest string) string { return again(cmd, verb, rest) }}
	t, err := w.follow(ctx)
	if asJSON(cmd) && t.ID != "" {
		if err := writeJSON(cmd.OutOrStdout(), t); err != nil {
			return notNow(err)
		}
	}
	switch {
	case errors.Is(err, errAway):
		return notNow(fmt.Errorf("%w: the message is kept; this goes on with it:  %s", err, again(cmd, "serve", "")))
	case err != nil && ctx.Err() == nil:
		return err
	case over(t):
		return verdictOn(t)
	case err == nil && f.noWait:
		return nil
	case err == nil:
		return notNow(fmt.Errorf("it waits: no gateway runs; this goes on with it:  %s", again(cmd, "serve", "")))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The message goes on; this shows how it fares:\n  %s\n", again(cmd, "send", "--follow "+id))
	if cmd.Context().Err() != nil {
		return cmd.Context().Err()
	}
	return notNow(fmt.Errorf("not over after %s", f.wait))
}
