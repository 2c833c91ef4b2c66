package main

import (
	"errors"
	"os"

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
Nothing leaves this machine, and nothing is kept unless you ask for it.`,
		Example: `  carepost demo
  carepost demo ~/studies/panoramic
  carepost demo --keep look   # then: openssl cms -decrypt -in look/wire.eml -recip look/keys/recipient.pem -inkey look/keys/recipient.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := demo.Run(cmd.Context(), demo.Options{
				Studies: args, Keep: keep, Out: cmd.OutOrStdout(), Terminal: isTerminal(os.Stdout),
			})
			var bad *fileset.InputError
			switch {
			case errors.As(err, &bad), errors.Is(err, demo.ErrDifferent):
				return incomplete(err)
			case err != nil:
				return notNow(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "keep everything in this new `folder`: both installations, the mails as they crossed the wire, keys, anchors, the received study")
	return cmd
}

// isTerminal says whether a person is watching f.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
