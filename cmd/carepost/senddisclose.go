package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// patients of the File-set of a parcel, by their own names too where it is de-identified.
func (p *parcel) patients() []fileset.Patient {
	if p.plan != nil {
		return slices.Concat(p.plan.Tree, p.tree)
	}
	return p.tree
}

// signed counts the instances with digital signatures, which are clinical attestations.
func (p *parcel) signed() (n int) {
	xs := p.set
	if p.plan != nil {
		xs = p.plan.Instances
	}
	for _, x := range xs {
		if x.Signed {
			n++
		}
	}
	return n
}

// disclose says what the signature of a mail with a File-set attests, and refuses a subject that names a patient before a byte is sent.
func (f *send) disclose(cmd *cobra.Command, l *letter, from addr.Address) error {
	if !l.parcel.hasSet() && (len(l.parcel.zipped) == 0 || f.about.xdm) {
		return nil
	}
	if zipmail.NamesPatient(f.subject, l.parcel.patients()) {
		if !f.allowSubject {
			return refused(errors.New("nothing was sent: the subject names a patient of the File-set, and subjects are seen by others: say it with --text " +
				"[PS3.15 B.8]\n--allow-subject sends it all the same; the audit says so"))
		}
		l.parcel.overruled = append(l.parcel.overruled, zipmail.NamedSubject)
	}
	if f.allowSubject && len(l.parcel.zipped) > 0 && !slices.Contains(l.parcel.overruled, zipmail.NamedSubject) {
		l.parcel.overruled = append(l.parcel.overruled, zipmail.NamedSubject) // whose those images are the gateway finds out
	}
	if f.deid.options != "" && zipmail.NamesPatient(l.text, l.parcel.tree) {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: the text names a patient of the images, who are de-identified: whoever reads it knows whose they are")
	}
	if asJSON(cmd) {
		return nil
	}
	if n := l.parcel.signed(); n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s with digital signatures inside: these leave as they are.\n", count(n, "image"))
	}
	if l.profile == zipmail.Gen {
		fmt.Fprintln(cmd.OutOrStdout(), "To partners for whom a rule says so they leave neither encrypted nor signed\n(STD-GEN-ZIP-MAIL); to all others sealed.")
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "By its signature %s attests to be authorised to disclose these images to the\nrecipients (DICOM PS3.15 B.8); the audit has who sent them.\n", from)
	return err
}
