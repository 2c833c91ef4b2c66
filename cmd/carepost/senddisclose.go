package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// patients of the File-set of a parcel.
func (p *parcel) patients() []fileset.Patient {
	if p.plan != nil {
		return p.plan.Tree
	}
	return p.tree
}

// disclose says what the signature of a mail with a File-set attests, and refuses a subject that names a patient before a byte is sent.
func (f *send) disclose(cmd *cobra.Command, l *letter, from addr.Address) error {
	if !l.parcel.hasSet() {
		return nil
	}
	if zipmail.NamesPatient(f.subject, l.parcel.patients()) {
		if !f.allowSubject {
			return refused(errors.New("nothing was sent: the subject names a patient of the File-set, and subjects are seen by others: say it with --text " +
				"[PS3.15 B.8]\n--allow-subject sends it all the same; the audit says so"))
		}
		l.parcel.overruled = append(l.parcel.overruled, zipmail.NamedSubject)
	}
	if asJSON(cmd) {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "By its signature %s attests to be authorised to disclose these images to the\nrecipients (DICOM PS3.15 B.8); the audit has who sent them.\n", from)
	return err
}
