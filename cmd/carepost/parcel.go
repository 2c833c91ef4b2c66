package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/admind"
	"carepost/mdn"
	"carepost/message"
	"carepost/xdm"
)

// parcel is the files of a letter.
type parcel struct {
	dicom   []string // files and folders of a File-set to be made
	archive string   // a DICOM.ZIP that is there already
	files   []file   // to be attached as they are
	zipped  []string // those of files that are ZIPs with images: the gateway makes a File-set of them

	plan      *fileset.Plan      // of dicom
	set       []fileset.Instance // of archive
	tree      []fileset.Patient  // of archive; of dicom as it was before it was de-identified
	judged    int64              // size of archive when it was judged
	overruled []fileset.Conflict // what was allowed
	sealed    func() error       // closes what plan was made of meanwhile; may be nil
	ready     string             // a file, or the archive, that is an XDM package already
	size      int64              // bytes to read, all in all
}

// file is attached as it is.
type file struct {
	path, media string
	size        int64
}

func (p *parcel) hasSet() bool { return len(p.dicom) > 0 || p.archive != "" }

// sortPaths looks at the beginning of every file that was named.
func sortPaths(ctx context.Context, paths []string) (p parcel, err error) {
	for _, path := range paths {
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		if err := p.add(path); err != nil {
			return p, err
		}
	}
	if p.archive != "" && len(p.dicom) > 0 {
		return p, usage(fmt.Errorf("%s is a File-set already: send it in a mail of its own", p.archive))
	}
	return p, nil
}

func (p *parcel) add(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return usage(fmt.Errorf("there is no %q", path))
	case err != nil:
		return notNow(err)
	case info.IsDir():
		p.dicom = append(p.dicom, path)
		return nil
	case !info.Mode().IsRegular():
		return usage(fmt.Errorf("%s is neither a file nor a folder", path))
	}
	f, err := os.Open(path)
	if err != nil {
		return notNow(err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return notNow(err)
	}
	head = head[:n]
	ext := strings.ToLower(filepath.Ext(path))
	media := mediaType(ext, head)
	if strings.HasPrefix(string(head), "PK\x03\x04") {
		ready, err := xdm.Contains(f, info.Size(), fileset.Limits{})
		if err != nil {
			return notNow(err)
		}
		if ready {
			p.ready, media = path, "application/zip" // ITI TF-2 3.32.4.1.4, whatever its name
		}
	}
	switch {
	case n >= 132 && string(head[128:132]) == "DICM", ext == ".dcm", ext == ".dicom":
		p.dicom = append(p.dicom, path)
	case strings.HasPrefix(string(head), "PK\x03\x04") && strings.EqualFold(filepath.Base(path), zipmail.AttachmentName):
		if p.archive != "" {
			return usage(fmt.Errorf("%s and %s are two File-sets: send them in mails of their own", p.archive, path))
		}
		p.archive = path
	default:
		if strings.HasPrefix(string(head), "PK\x03\x04") {
			g, err := fileset.GlanceZIP(f, info.Size())
			if err != nil {
				return notNow(err)
			}
			if g.Directory || g.Objects && !g.Package {
				p.zipped = append(p.zipped, path)
			}
		}
		p.files = append(p.files, file{path: path, media: media, size: info.Size()})
		p.size += info.Size()
	}
	return nil
}

// mediaType goes by the name, as the recipient's system will.
func mediaType(ext string, head []byte) string {
	known := map[string]string{
		".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".tif": "image/tiff",
		".tiff": "image/tiff", ".webp": "image/webp", ".heic": "image/heic", ".bmp": "image/bmp", ".svg": "image/svg+xml", ".xml": "application/xml",
		".json": "application/json", ".zip": "application/zip", ".rtf": "application/rtf", ".odt": "application/vnd.oasis.opendocument.text",
		".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".mp4":  "video/mp4", ".stl": "model/stl", ".ply": "application/octet-stream",
	}
	if t := known[ext]; t != "" {
		return t
	}
	if ext == ".txt" || ext == ".csv" || ext == ".md" || ext == ".hl7" {
		for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ { // a character may be cut at the end
			head = head[:len(head)-1]
		}
		if len(head) > 0 && utf8.Valid(head) && !strings.ContainsRune(string(head), 0) {
			return map[bool]string{true: "text/csv", false: "text/plain"}[ext == ".csv"] + "; charset=utf-8"
		}
	}
	return "application/octet-stream"
}

// open plans the File-set, or judges the one that is there.
func (p *parcel) open(ctx context.Context, f *send, profile zipmail.Profile) (err error) {
	switch {
	case len(p.dicom) > 0:
		o := f.options()
		o.Hold = f.deid.options == "" // those are made anew, of files that are opened in their turn
		p.plan, err = fileset.Scan(ctx, o, p.dicom...)
		var bad *fileset.InputError
		if errors.As(err, &bad) {
			if slices.ContainsFunc(bad.Problems, unreadable) && !slices.ContainsFunc(bad.Problems, func(p fileset.Problem) bool { return p.Damaged }) {
				return notNow(err)
			}
			return f.hint(bad)
		}
		if err != nil {
			return notNow(err)
		}
		p.overruled = p.plan.Overruled
		if f.deid.options != "" {
			p.tree = p.plan.Tree // subject and text may tell still whose the images are
		}
		if p.plan, p.sealed, err = f.deid.apply(ctx, p.plan, f.options()); err != nil {
			return err
		}
		if err := f.beside(p.plan, f.from, f.deid.options != ""); err != nil {
			return err
		}
		p.size += p.plan.Bytes
		if err := zipmail.Allow(profile, p.plan.Instances); err != nil {
			return refused(fmt.Errorf("nothing was sent (--profile %s): %s", f.profile, bare(err)))
		}
	case p.archive != "":
		return p.judge(ctx, f, profile)
	}
	return nil
}

// close forgets what was made to be sent.
func (p *parcel) close() {
	if p.plan != nil {
		p.plan.Close()
	}
	if p.sealed != nil {
		p.sealed()
	}
}

// hint tells what is wrong with the input, and what can be done about it.
func (f *send) hint(bad *fileset.InputError) error {
	err := badInput(bad)
	return &exitError{exitCode(err), fmt.Errorf("%w%s", err, f.advice(bad, "send"))}
}

// judge looks whether an archive is fit to be sent: what the recipient would refuse does not leave.
func (p *parcel) judge(ctx context.Context, f *send, profile zipmail.Profile) error {
	file, err := os.Open(p.archive)
	if err != nil {
		return notNow(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return notNow(err)
	}
	report, err := fileset.CheckZIP(ctx, file, info.Size(), fileset.CheckOptions{})
	if err != nil {
		return notNow(err)
	}
	report.Add(zipmail.CheckProfile(profile, instances(report.Tree))...)
	p.overrule(f, report)
	p.judged = info.Size()
	p.size += p.judged
	p.set, p.tree = instances(report.Tree), report.Tree
	if err := verdictError(p.archive, report.Verdict); err != nil {
		return &exitError{exitCode(err), fmt.Errorf("nothing was sent: %s is %s (carepost dicom check %s tells why)", p.archive, report.Verdict, p.archive)}
	}
	return nil
}

// overrule takes out of a report what was allowed, and remembers that it was.
func (p *parcel) overrule(f *send, report *fileset.Report) {
	if report.Verdict != fileset.Violations {
		return
	}
	left := slices.DeleteFunc(slices.Clone(report.Findings), func(x fileset.Finding) bool {
		c := fileset.Overrules(x)
		if allowed := c != "" && f.allows(c); !allowed {
			return false
		}
		if c := fileset.Overrules(x); !slices.Contains(p.overruled, c) {
			p.overruled = append(p.overruled, c)
		}
		return true
	})
	report.Verdict = fileset.VerdictOf(left)
}

// fits refuses flags of a set that is to be made where there is none, or where its pages are made otherwise.
func (f *send) fits(p *parcel) error {
	switch {
	case f.adds() && len(p.dicom) == 0:
		return usage(errors.New("--with, --readme and --pdi go with DICOM files that are packed; other files are attached when they are named"))
	case (f.pdi || f.readme != "") && f.about.xdm:
		return usage(errors.New("--xdm makes README.TXT and INDEX.HTM of its own; they serve IHE PDI too"))
	case f.largest.size > 0 && !p.hasSet():
		return usage(errors.New("--max-size is for DICOM files, which alone can go in several mails, and there are none"))
	case f.largest.telemedicine && len(p.dicom) == 0:
		return usage(errors.New("--telemedicine goes with DICOM files that are packed: name them, or their folder"))
	}
	return nil
}

// send composes l while it is handed over. Nothing of it is written anywhere on the way.
func (l *letter) send(ctx context.Context, progress io.Writer, c *admind.Client, from addr.Address, subject string) (id string, err error) {
	messageID, err := message.NewMessageID(rand.Reader, from.Domain)
	if err != nil {
		return "", notNow(err)
	}
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return "", notNow(err)
	}
	z := zipmail.Letter{From: from, To: l.to, Cc: l.cc, Subject: subject, Text: l.text, Date: time.Now(), MessageID: messageID, Profile: l.profile}
	if l.part != nil {
		l.part.mark(&z)
	}
	if l.final {
		z.Fields = append(z.Fields, mdn.AskDelivery(from)...)
	}
	if l.about.xdm {
		if l.packed, err = l.pack(ctx, &z, from); err != nil {
			return "", err
		}
	}
	switch {
	case l.about.xdm:
	case l.parcel.ready != "" && l.parcel.ready == l.parcel.archive:
		z.Subject = xdm.Subject(z.Subject, zipmail.SubjectPhrase)
	case l.parcel.ready != "":
		z.Subject = xdm.Subject(z.Subject)
	}
	var context []message.Attachment
	switch {
	case l.about.xdm || l.parcel.ready != "":
		z.Fields = append(z.Fields, xdm.Framework(xdm.MetadataXD)...)
	case l.about.said != nil:
		z.Fields = append(z.Fields, xdm.Framework(xdm.MetadataContext)...)
	}
	if l.about.said != nil {
		part, field, err := l.about.attach(z.MessageID)
		if err != nil {
			return "", err
		}
		context, z.Fields = []message.Attachment{part}, append(z.Fields, field)
	}
	what := "sending"
	if l.part != nil {
		what = fmt.Sprintf("sending %d of %d", l.part.N, l.part.Of)
	}
	bar := newDicomBar(progress, what)
	r, pipe := io.Pipe()
	done, composed := make(chan struct{}), false
	go func() {
		defer close(done)
		w := bufio.NewWriterSize(pipe, 256<<10)
		err := l.compose(ctx, w, z, context, boundary, bar)
		if err == nil {
			err = w.Flush()
		}
		composed = err == nil
		pipe.CloseWithError(err)
	}()
	id, err = c.SendSet(ctx, from, slices.Concat(l.to, l.cc), admind.Set{Overruled: l.parcel.overruled, Largest: l.largest, Deidentified: l.deidentified}, r)
	r.CloseWithError(io.ErrClosedPipe) // a refused message is not composed to its end
	<-done
	bar.stop()
	var answer *admind.Error
	switch {
	case errors.Is(err, fileset.ErrChanged):
		return "", incomplete(fmt.Errorf("nothing was sent: %s", bare(err)))
	case err != nil && composed && !errors.As(err, &answer):
		const unsure = "all of the message was handed over, but no answer came: see \"carepost queue list\" before it is sent again"
		if ctx.Err() != nil {
			fmt.Fprintln(progress, unsure)
			return "", ctx.Err()
		}
		return "", notNow(fmt.Errorf("%s: %w", unsure, err))
	case err != nil:
		return "", clientError(err)
	}
	return id, nil
}

// compose writes the message. Without a File-set it is an ordinary mail.
func (l *letter) compose(ctx context.Context, w io.Writer, z zipmail.Letter, more []message.Attachment, boundary string, bar *dicomBar) error {
	p, read := &l.parcel, int64(0)
	count := func(n int64) {
		read += n
		bar.set(read, p.size)
	}
	for _, f := range p.files {
		if l.packed != nil {
			break // they are in the package
		}
		z.Attachments = append(z.Attachments, message.NewAttachment(f.path, f.media, func(w io.Writer) error { return copyFile(ctx, w, f.path, f.size, count) }))
	}
	if l.packed != nil && p.plan == nil {
		z.Attachments = append(z.Attachments, packageAttachment(ctx, l.packed, z.MessageID, count))
	}
	z.Attachments = append(z.Attachments, more...)
	switch {
	case p.plan != nil:
		before := int64(0)
		told := func(done, _ int64) {
			count(done - before)
			before = done
		}
		var beside fileset.Beside
		if l.packed != nil {
			beside = l.packed.Beside(ctx, nil)
		}
		return zipmail.ComposeSet(w, z, p.plan.Instances, func(w io.Writer) error { return p.plan.WriteWith(ctx, w, beside, told) }, boundary)
	case p.archive != "":
		return zipmail.ComposeSet(w, z, p.set, func(w io.Writer) error { return copyFile(ctx, w, p.archive, p.judged, count) }, boundary)
	}
	head := new(message.Builder).AddMailboxes("From", message.Mailbox{Address: z.From})
	for _, x := range []struct {
		name string
		list []addr.Address
	}{{"To", z.To}, {"Cc", z.Cc}} {
		var ms []message.Mailbox
		for _, a := range x.list {
			ms = append(ms, message.Mailbox{Address: a})
		}
		if len(ms) > 0 {
			head.AddMailboxes(x.name, ms...)
		}
	}
	if z.Subject != "" {
		head.Add("Subject", z.Subject)
	}
	head.AddDate(z.Date).Add("Message-ID", z.MessageID)
	for _, f := range z.Fields {
		head.AddRaw(f)
	}
	return message.WriteLetter(w, head, z.Text, boundary, z.Attachments...)
}

// copyFile copies a file that must still have the size that it had.
func copyFile(ctx context.Context, w io.Writer, path string, size int64, count func(int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, buf := int64(0), make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k, err := f.Read(buf)
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return err
			}
			n += int64(k)
			count(int64(k))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != size {
		return fmt.Errorf("%w: %s", fileset.ErrChanged, path)
	}
	return nil
}
