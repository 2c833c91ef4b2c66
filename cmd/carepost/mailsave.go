package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/admind"
)

// mailSave holds the flags of `mail save`.
type mailSave struct {
	*mailCmd
	attachments, study, packed, incomplete bool
}

func newMailSaveCmd(m *mailCmd) *cobra.Command {
	f := mailSave{mailCmd: m}
	cmd := &cobra.Command{
		Use:   "save [ACCOUNT] UID DIR",
		Short: "Writes one mail, its attachments or its study to files",
		Long: `Writes into DIR, which is made if it is missing: the mail as it is, in DIR/mail-UID.eml; with --attachments every attachment under the
name that the sender gave it, made harmless; with --study the DICOM File-set, if it is COMPLETE, or with --package the documents of
an IHE XDM package, if all are there and unchanged, into a DIR that is new or empty. Beside the DICOMDIR of a set stands LETTER.TXT:
what the mail says. What is there already is never overwritten.

What is written is no longer sealed: protect the folder.

Exit codes: 0 saved; 1 could not be read or written; 2 wrong usage, or there is a file of that name; 3 the set breaks rules;
4 the set is not whole.`,
		Example: `  carepost mail save reception@south.example 7 letters
  carepost mail save 7 letters --attachments
  carepost mail save 7 ~/studies/panoramic --study
  carepost mail save 7 ~/documents/referral --package`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			account, uid, rest, err := oneMail(args, 1)
			if err != nil {
				return err
			}
			if f.attachments && (f.study || f.packed) || f.study && f.packed || f.incomplete && !f.study && !f.packed {
				return usage(errors.New("one of --attachments, --study, --package; --incomplete goes with the last two"))
			}
			return f.within(cmd, account, func(c *admind.Client, of addr.Address) error { return f.save(cmd, c, of, uid, rest[0]) })
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.attachments, "attachments", false, "write the attachments instead of the mail")
	fl.BoolVar(&f.study, "study", false, "write the DICOM File-set instead of the mail")
	fl.BoolVar(&f.packed, "package", false, "write the documents of an XDM package instead of the mail")
	fl.BoolVar(&f.incomplete, "incomplete", false, "with --study or --package: also what is there of a set that is not whole, or unverifiable")
	return reports(cmd)
}

func (f *mailSave) save(cmd *cobra.Command, c *admind.Client, of addr.Address, uid uint32, dir string) (err error) {
	if dir == "" {
		return usage(errors.New("name a folder to save to"))
	}
	var files []string
	switch {
	case f.study:
		return f.saveStudy(cmd, c, of, uid, dir)
	case f.packed:
		return f.savePackage(cmd, c, of, uid, dir)
	case f.attachments:
		files, err = f.saveAttachments(cmd.Context(), c, of, uid, dir)
	default:
		files, err = f.saveMail(cmd.Context(), c, of, uid, dir)
	}
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), map[string]any{"files": files})
	}
	if len(files) == 0 {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "nothing is attached")
	}
	for _, name := range files {
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
		}
	}
	return err
}

func (f *mailSave) saveMail(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, dir string) ([]string, error) {
	name := filepath.Join(dir, fmt.Sprintf("mail-%d.eml", uid))
	r, _, err := c.OpenMail(ctx, of, f.folder, uid)
	if err != nil {
		return nil, clientError(err)
	}
	defer r.Close()
	if err := free(dir, name); err != nil { // made for a mail that is there
		return nil, err
	}
	return []string{name}, writeNew(name, r)
}

func (f *mailSave) saveAttachments(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, dir string) ([]string, error) {
	outline, err := c.MailOutline(ctx, of, f.folder, uid)
	if err != nil {
		return nil, clientError(err)
	}
	files, parts := []string{}, []admind.Part{}
	taken := map[string]bool{}
	for _, p := range outline.Parts {
		if !p.Attached {
			continue
		}
		name := fileName(p)
		ext := filepath.Ext(name)
		for i := 2; taken[strings.ToLower(name)]; i++ {
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(fileName(p), ext), i, ext)
		}
		taken[strings.ToLower(name)] = true
		files, parts = append(files, filepath.Join(dir, name)), append(parts, p)
	}
	if len(files) == 0 {
		return files, nil
	}
	if err := free(dir, files...); err != nil {
		return nil, err
	}
	for i, p := range parts {
		if err := f.savePart(ctx, c, of, uid, p, files[i]); err != nil {
			for _, name := range files[:i] { // of this run: all or none, so that it can be run again
				os.Remove(name)
			}
			return nil, err
		}
	}
	return files, nil
}

func (f *mailSave) savePart(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, p admind.Part, name string) error {
	r, err := c.OpenPart(ctx, of, f.folder, uid, p.N)
	if err != nil {
		return clientError(err)
	}
	defer r.Close()
	return writeNew(name, r)
}

// saveStudy keeps the archive sealed until it is judged.
func (f *mailSave) saveStudy(cmd *cobra.Command, c *admind.Client, of addr.Address, uid uint32, dir string) error {
	if filepath.Clean(dir) == "." {
		return usage(errors.New("--study makes its folder anew: name another than the one you are in"))
	}
	if err := vacant(dir); err != nil {
		return err
	}
	ctx := cmd.Context()
	set, err := f.fetchStudy(ctx, c, of, uid)
	if err != nil {
		return err
	}
	defer set.close()
	bar := newDicomBar(cmd.ErrOrStderr(), "checking")
	report, err := set.unpack(ctx, dir, fileset.UnpackOptions{
		CheckOptions: fileset.CheckOptions{Progress: bar.set}, AllowIncomplete: f.incomplete})
	bar.stop()
	out := err == nil
	if err != nil && !errors.Is(err, fileset.ErrDamaged) && !errors.Is(err, fileset.ErrRefused) {
		return notNow(err)
	}
	report.Add(set.findings...)
	if out {
		if err := f.saveLetter(ctx, c, of, uid, dir); err != nil {
			return err
		}
	}
	if asJSON(cmd) {
		err = writeJSON(cmd.OutOrStdout(), struct {
			Folder      string `json:"folder,omitempty"`
			Unprotected bool   `json:"unprotected,omitempty"`
			*fileset.Report
		}{map[bool]string{true: dir}[out], set.unprotected, report})
	} else if err = printReport(cmd.OutOrStdout(), report, false); err == nil && set.unprotected {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", unprotectedNote)
	}
	if err == nil && out && !asJSON(cmd) {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nsaved to %s\n", dir)
	}
	if err != nil || out && f.incomplete && report.Verdict != fileset.Damaged {
		return err
	}
	return verdictError("the File-set", report.Verdict)
}

// fetchStudy gets the archive of a mail, kept sealed; or the objects that came by themselves, each of which is read as it is judged.
func (f *mailSave) fetchStudy(ctx context.Context, c *admind.Client, of addr.Address, uid uint32) (*setFile, error) {
	outline, err := c.MailOutline(ctx, of, f.folder, uid)
	if err != nil {
		return nil, clientError(err)
	}
	set := setFile{unprotected: outline.Unprotected, findings: outline.Doubts}
	for _, p := range outline.Parts {
		if p.Object {
			set.loose = append(set.loose, fileset.Loose{Name: p.ObjectName, Size: p.Size, Open: func() (io.ReadCloser, error) {
				r, err := c.OpenPart(ctx, of, f.folder, uid, p.N)
				return undecodable{r}, err
			}})
		}
	}
	if set.loose != nil {
		return &set, nil
	}
	r, _, err := c.OpenStudy(ctx, of, f.folder, uid)
	if err != nil {
		return nil, clientError(err)
	}
	defer r.Close()
	kept, err := keep(r)
	switch {
	case err == nil:
		kept.unprotected, kept.findings = outline.Unprotected, outline.Doubts
		return kept, nil
	case kept != nil:
		kept.close()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // the attachment's encoding is broken, or the gateway has gone
		if _, err := c.CheckStudy(ctx, of, f.folder, uid); err != nil {
			return nil, clientError(err)
		}
	}
	return nil, notNow(err)
}

// undecodable is a part whose encoding is broken where it ends too early.
type undecodable struct{ io.ReadCloser }

func (u undecodable) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", fileset.ErrContent)
	}
	return n, err
}

// fileName makes the name that a sender gave a part harmless: one element of a path, that hides nothing and stands for nothing.
func fileName(p admind.Part) string {
	name := p.Name[strings.LastIndexAny(p.Name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if disturbs(r) || strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.Trim(name, " .")
	const longest = 150 // bytes; file systems take 255
	if len(name) > longest {
		ext := filepath.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = name[:longest-len(ext)]
		for !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
		name = strings.TrimSpace(name) + ext
	}
	if name == "" {
		return fmt.Sprintf("part-%d", p.N)
	}
	return name
}

// free makes dir, and says that none of the names in it is taken.
func free(dir string, names ...string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usage(fmt.Errorf("%s is there already, and is no folder", dir))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return notNow(err)
	}
	for _, name := range names {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return taken(name)
		}
	}
	return nil
}

func taken(name string) error {
	return usage(fmt.Errorf("%s is there already: nothing is overwritten", name))
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(name string, r io.Reader) error {
	// The name is taken by an empty file first, so that nobody else's is replaced.
	mark, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return taken(name)
	}
	if err != nil {
		return notNow(err)
	}
	mark.Close()
	if _, err := writeRenamed(name, func(w io.Writer) (int64, error) {
		return io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, 256<<10))
	}); err != nil {
		os.Remove(name)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return incomplete(fmt.Errorf("%s cannot be read to its end; nothing of it was kept", filepath.Base(name)))
		}
		return notNow(err)
	}
	return nil
}
