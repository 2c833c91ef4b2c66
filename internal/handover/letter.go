package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"carepost/dicom"
	"carepost/dicom/fileset"
	"carepost/dicom/textsr"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
)

// maxLetterStudies is how many studies of one set the letter goes to.
const maxLetterStudies = 20

// lettered makes the letter of a mail into instances that travel with its set (DCM-27): one for each study. Where that cannot be, why says
// so, for people. The instances of the set are not touched.
func (it *item) lettered(ctx context.Context) (out []fileset.Content, why string, err error) {
	if len(it.about.Patients) != 1 || it.about.Left > 0 {
		return nil, "the letter stays in the mail: the set is not of one patient alone", nil
	}
	l, err := mailbox.ReadLetter(it.body)
	switch {
	case errors.Is(err, blob.ErrDamaged):
		return nil, "", err
	case err != nil, l.Text == "":
		return nil, "the mail has no letter, or one that nobody can read", nil
	}
	studies, err := it.studies(ctx)
	switch {
	case err != nil:
		return nil, "", err
	case len(studies) == 0, len(studies) > maxLetterStudies:
		return nil, fmt.Sprintf("the letter stays in the mail: the set has no study, or more than %d", maxLetterStudies), nil
	}
	docs, err := textsr.Make(textsr.Text{Title: textsr.Code{Value: "LETTER", Scheme: "99CAREPOST", Meaning: letterTitle}, Item: textsr.Code{Value: "121106", Scheme: "DCM", Meaning: "Comment"},
		Text: l.String(), Series: letterTitle, Manufacturer: "Carepost", At: it.dated()}, studies)
	if err != nil {
		return nil, "the letter stays in the mail: the studies do not say of whom they are, or not in a way that can be read", nil
	}
	for _, d := range docs {
		out = append(out, fileset.Content{Study: d.Study, Instance: fileset.Instance{SOPClass: textsr.SOPClass, SOPInstance: d.SOPInstance, TransferSyntax: textsr.TransferSyntax,
			Size: int64(len(d.File))}, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(d.File)), nil }})
	}
	return out, "", nil
}

const letterTitle = "Letter that came with the study by mail"

// studies reads what an instance of each study says of it and of its patient.
func (it *item) studies(ctx context.Context) (out []dicom.DataSet, err error) {
	known := map[string]bool{"": true}
	scanner := dicom.NewScanner(dicom.Options{Wanted: textsr.Wanted()})
	for _, x := range it.all {
		if known[x.Study] {
			continue
		}
		known[x.Study] = true
		if len(out) > maxLetterStudies || ctx.Err() != nil {
			return out, ctx.Err()
		}
		f, err := x.Open()
		if err != nil {
			return nil, err
		}
		one, err := scanner.Scan(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, one.Data)
	}
	return out, nil
}

// dated is when the letter was written, or else when it came. It is the same each time.
func (it *item) dated() time.Time {
	if at, err := it.header.Date(); err == nil && at.Year() >= 1000 && at.Year() <= 9999 { // what a DA holds
		return at
	}
	return it.at.UTC()
}
