package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/internal/demo"
)

func newDemoCmd() *cobra.Command {
	var keep string
	cmd := &cobra.Command{
		Use:   "demo [STUDY…]",
		Short: "Two practices on this machine exchange a study, end to end",
		Long: `Starts two practices on loopback ports, each a full gateway with its own CA, keys, name server and store. A study goes from
the one to the other: packed as a DICOM file-set, sealed to a certificate found in DNS and proven by its anchor, delivered over
SMTP with TLS, opened, verified, checked against its DICOMDIR, and answered by a signed and encrypted processed notice. At the
end what arrived is compared with what was sent, byte for byte.

STUDY is a file or folder of DICOM objects; without it a small synthetic dental study that the program carries is sent.
Nothing leaves this machine, and nothing is kept unless you ask for it.

Exit codes:
  0  what arrived is what was sent, and the notice came back
  1  it could not be done now: disk, memory, ports
  2  wrong usage
  3  a file is no DICOM object, or contradicts another; nothing was sent
  4  a file is cut or damaged, and nothing was sent; or what arrived differs`,
		Example: `  carepost demo
  carepost demo ~/studies/panoramic
  carepost demo --keep look
  openssl cms -decrypt -in look/wire.eml -recip look/keys/recipient.pem \
      -inkey look/keys/recipient.key   # what "demo --keep look" sent`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("keep") && keep == "" {
				return usage(errors.New("--keep wants a folder"))
			}
			for _, path := range args {
				if err := studyPath(path); err != nil {
					return err
				}
			}
			signal.Ignore(syscall.SIGPIPE) // a reader that has gone ends the demo in good order: nothing is left behind
			return demoError(demo.Run(cmd.Context(), demo.Options{
				Studies: args, Keep: keep, Out: cmd.OutOrStdout(), Columns: columns(os.Stdout),
			}))
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "keep everything in this new `FOLDER`: both installations, the mails as they crossed the wire, keys, anchors, the received study")
	return cmd
}

// studyPath looks at a path before anything else happens: whether it is there, and something that can be a study.
func studyPath(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return usage(fmt.Errorf("there is no %q", path))
	case err != nil:
		return notNow(err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return usage(fmt.Errorf("%s is neither a file nor a folder", path))
	}
	f, err := os.Open(path)
	if err != nil {
		return notNow(err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := f.Read(magic[:]); err == nil && string(magic[:]) == "PK\x03\x04" {
		return usage(fmt.Errorf("%s is an archive: take the study out first (carepost dicom unpack)", path))
	}
	return nil
}

// demoError gives what went wrong its exit code.
func demoError(err error) error {
	var bad *fileset.InputError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad):
		return badInput(bad)
	case errors.Is(err, demo.ErrKeep):
		return usage(err)
	case errors.Is(err, demo.ErrDifferent):
		return incomplete(err)
	}
	return notNow(err)
}

// badInput lists every file that is in the way, with its reason and the clause.
func badInput(bad *fileset.InputError) error {
	err := errors.New("nothing was sent, because of" + bad.List())
	if slices.ContainsFunc(bad.Problems, func(p fileset.Problem) bool { return p.Damaged }) {
		return incomplete(err)
	}
	return refused(err)
}
