package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/directcontext"
	"carepost/message"
	"carepost/xdm"
)

// about holds the flags of `send` that say what a message is about, to programs.
type about struct {
	xdm                         bool
	patient                     string
	patientIDs, documents       []string
	context, contextID, purpose string

	said      *directcontext.Context
	who       xdm.Patient
	described []described
}

// described is what --document says of a file.
type described struct {
	path string
	xdm.Input
}

func (a *about) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&a.xdm, "xdm", false, "send the files with their metadata, as an IHE XDM package")
	fl.StringArrayVar(&a.documents, "document", nil, "with --xdm: `METADATA` of a file: \"FILE; title=…; type=CODE^NAME^SCHEME\"; class, format, created and language likewise")
	fl.StringVar(&a.context, "context", "", "attach a Direct Context: `KIND`, for example radiology/report")
	fl.StringVar(&a.contextID, "context-id", "", "with --context: the `ID` of the transaction (default: the Message-ID)")
	fl.StringVar(&a.purpose, "purpose", "", "with --context: `PURPOSE`: treatment, payment, operations, emergency, research")
	fl.StringVar(&a.patient, "patient", "", "with --xdm or --context: the `PATIENT`: \"givenName=…; surname=…; dateOfBirth=YYYY-MM-DD\" and so on")
	fl.StringArrayVar(&a.patientIDs, "patient-id", nil, "with --xdm or --context: `OID:ID` of the patient; may be repeated")
}

// read reads the flags.
func (a *about) read(p *parcel) error {
	switch {
	case !a.xdm && len(a.documents) > 0:
		return usage(errors.New("--document goes with --xdm"))
	case a.context == "" && (a.contextID != "" || a.purpose != ""):
		return usage(errors.New("--context-id and --purpose go with --context"))
	case !a.xdm && a.context == "" && (a.patient != "" || len(a.patientIDs) > 0):
		return usage(errors.New("--patient and --patient-id go with --xdm or --context"))
	case a.xdm && p.archive != "":
		return usage(fmt.Errorf("%s is packed already: give --xdm the DICOM files themselves", p.archive))
	case a.xdm && p.ready != "":
		return usage(fmt.Errorf("%s is an XDM package already: send it without --xdm", p.ready))
	}
	attrs, err := directcontext.ParsePatient(a.patient)
	if err != nil {
		return usage(fmt.Errorf("--patient: %s", bare(err)))
	}
	c := directcontext.Context{Version: directcontext.Version, ID: or(a.contextID, "x"), Patient: attrs}
	for _, text := range a.patientIDs {
		id, err := directcontext.ParsePatientID(text)
		if err != nil {
			return usage(fmt.Errorf("--patient-id: %s", bare(err)))
		}
		c.PatientIDs = append(c.PatientIDs, id)
	}
	if a.context != "" {
		if c.Category, c.Action, err = directcontext.ParseType(a.context); err != nil {
			return usage(fmt.Errorf("--context: %s", bare(err)))
		}
		a.said = &c
	}
	if a.purpose != "" {
		if c.Purpose, err = directcontext.ParsePurpose(a.purpose); err != nil {
			return usage(fmt.Errorf("--purpose: %s", bare(err)))
		}
	}
	if _, err := c.Bytes(); err != nil {
		return usage(fmt.Errorf("the context: %s", bare(err)))
	}
	a.who = patientOf(c)
	return a.describe(p)
}

// patientOf says of the patient in a package what is said of him in a context.
func patientOf(c directcontext.Context) (p xdm.Patient) {
	p.Name = strings.TrimRight(strings.Join([]string{c.Value("surname"), c.Value("givenName"), c.Value("middleName")}, "^"), "^")
	p.Birth = strings.ReplaceAll(c.Value("dateOfBirth"), "-", "")
	if g := strings.ToUpper(c.Value("gender")); g != "" && strings.ContainsRune("MFOU", rune(g[0])) {
		p.Sex = g[:1]
	}
	p.Address = strings.TrimRight(strings.Join([]string{c.Value("streetAddress"), "", c.Value("localityName"), c.Value("stateOrProvinceName"),
		c.Value("postalCode"), c.Value("country")}, "^"), "^")
	for _, id := range c.PatientIDs {
		p.IDs = append(p.IDs, xdm.Identifier{Authority: id.Domain, Value: id.Local})
	}
	return p
}

// describe reads --document.
func (a *about) describe(p *parcel) error {
	for _, text := range a.documents {
		name, rest, _ := strings.Cut(text, ";")
		d := described{path: strings.TrimSpace(name)}
		if !slices.ContainsFunc(p.files, func(f file) bool { return filepath.Clean(f.path) == filepath.Clean(d.path) }) {
			return usage(fmt.Errorf("--document: %q is not among the files that are sent", d.path))
		}
		for part := range strings.SplitSeq(rest, ";") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			key, value, _ := strings.Cut(part, "=")
			if err := d.say(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
				return usage(fmt.Errorf("--document %s: %w", d.path, err))
			}
		}
		a.described = append(a.described, d)
	}
	return nil
}

func (d *described) say(key, value string) (err error) {
	code := func() (xdm.Code, error) {
		c := append(strings.Split(value, "^"), "", "")
		if c[0] == "" || len(c) > 5 {
			return xdm.Code{}, fmt.Errorf("%s: a code is CODE^NAME^SCHEME", key)
		}
		return xdm.Code{Value: c[0], Display: c[1], Scheme: c[2]}, nil
	}
	switch key {
	case "title":
		d.Title = value
	case "language":
		d.Language = value
	case "type":
		d.Type, err = code()
	case "class":
		d.Class, err = code()
	case "format":
		d.Format, err = code()
	case "created":
		if d.Created, err = time.Parse(time.RFC3339, value); err != nil {
			d.Created, err = time.Parse(time.DateOnly, value)
		}
		if err != nil {
			err = errors.New("created: a day such as 2026-07-01, or a time of RFC 3339")
		}
	default:
		err = fmt.Errorf("%q is none of title, type, class, format, created, language", key)
	}
	return err
}

// attach gives the context as an attachment, and the field that names it.
func (a *about) attach(messageID string) (message.Attachment, message.Field, error) {
	c := *a.said
	if a.contextID == "" {
		c.ID = strings.Trim(messageID, "<>")
	}
	b, err := c.Bytes()
	if err != nil {
		return message.Attachment{}, message.Field{}, usage(fmt.Errorf("the context: %s", bare(err)))
	}
	id := "<context." + strings.TrimPrefix(messageID, "<")
	return directcontext.Attachment(id, b), message.Field{Name: directcontext.Field, Raw: []byte(directcontext.Field + ": " + id + "\r\n")}, nil
}

// inputs are the documents of the package: the text of the letter, what was attached, and a list of the studies beside it.
func (a *about) inputs(l *letter) (docs []xdm.Input, err error) {
	whole := func(text string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	}
	if l.text != "" {
		docs = append(docs, xdm.Input{Title: "Letter", MIMEType: "text/plain", Open: whole(l.text)})
	}
	if p := l.parcel.plan; p != nil {
		docs = append(docs, xdm.Input{Title: "List of studies", MIMEType: "text/plain", References: studies(p.Tree), Open: whole(studyList(p.Tree))})
	}
	for _, f := range l.parcel.files {
		info, err := os.Stat(f.path)
		if err != nil {
			return nil, notNow(err)
		}
		d := xdm.Input{Created: info.ModTime()}
		for _, x := range a.described {
			if filepath.Clean(x.path) == filepath.Clean(f.path) {
				d = x.Input
				d.Created = cmp.Or(d.Created, info.ModTime())
			}
		}
		base := filepath.Base(f.path)
		d.Title = or(d.Title, strings.TrimSuffix(base, filepath.Ext(base)))
		d.MIMEType, _, _ = strings.Cut(f.media, ";")
		if d.MIMEType == "application/xml" {
			d.MIMEType = "text/xml" // what CDA documents are sent as
		}
		d.Open = func() (io.ReadCloser, error) { return os.Open(f.path) }
		docs = append(docs, d)
	}
	return docs, nil
}
