package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/xdm"
)

// savePackage takes out the documents of a package. The archive is kept sealed until it is judged.
func (f *mailSave) savePackage(cmd *cobra.Command, c *admind.Client, of addr.Address, uid uint32, dir string) error {
	if filepath.Clean(dir) == "." {
		return usage(errors.New("--package makes its folder anew: name another than the one you are in"))
	}
	if err := vacant(dir); err != nil {
		return err
	}
	ctx := cmd.Context()
	contents, err := c.MailContents(ctx, of, f.folder, uid)
	if err != nil {
		return clientError(err)
	}
	if contents.Package == nil {
		return incomplete(errors.New("no XDM package in this mail"))
	}
	r, err := c.OpenPart(ctx, of, f.folder, uid, contents.Part)
	if err != nil {
		return clientError(err)
	}
	defer r.Close()
	archive, err := keep(r)
	if archive != nil {
		defer archive.close()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // the attachment's encoding is broken, or the gateway has gone
		return incomplete(errors.New("the package cannot be read to its end; nothing of it was kept"))
	}
	if err != nil {
		return notNow(err)
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "checking")
	report, err := xdm.Unpack(ctx, archive.file, archive.size, dir, xdm.UnpackOptions{Options: xdm.Options{Progress: bar.set}, AllowIncomplete: f.incomplete})
	bar.stop()
	out := err == nil
	if err != nil && !errors.Is(err, xdm.ErrDamaged) && !errors.Is(err, xdm.ErrIncomplete) {
		return notNow(err)
	}
	if asJSON(cmd) {
		err = writeJSON(cmd.OutOrStdout(), struct {
			Folder string `json:"folder,omitempty"`
			*xdm.Report
		}{map[bool]string{true: dir}[out], report})
	} else if err = printPackage(cmd.OutOrStdout(), report); err == nil && out {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nsaved to %s\n", dir)
	}
	if err != nil || out { // rules of form that are broken keep nothing back
		return err
	}
	return verdictError("the package", report.Verdict)
}
