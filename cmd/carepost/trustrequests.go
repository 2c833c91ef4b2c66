package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

func newTrustRequestsCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "requests",
		Short: "Lists mail of strangers that waits for somebody to vouch for them",
		Long: `Lists mail that was set aside because no anchor speaks for its sender, and for no other reason: it was sealed for us, its signature
holds, and its certificate names the sender. Nobody has read it, and the sender was not answered. Who he is a person has to find out:
call him, at a number that you know from elsewhere, and have him read his fingerprint out. After 30 days such mail is let go.`,
		Example: `  carepost trust requests
  carepost trust accept 01J5YQ7T4C --vouched "Dr Lee by telephone"`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			all, err := client.TrustRequests(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			listRequests(cmd.OutOrStdout(), all)
			return nil
		}),
	})
}

// listRequests tells of each sender and certificate once.
func listRequests(w io.Writer, all []admind.TrustRequest) {
	if len(all) == 0 {
		fmt.Fprintln(w, "No mail waits for want of an anchor.")
		return
	}
	n := map[string]int{}
	key := func(r admind.TrustRequest) string { return r.Sender.Key() + " " + r.To.Key() + " " + r.SHA256 }
	for _, r := range all {
		n[key(r)]++
	}
	for _, r := range all {
		letters := n[key(r)]
		if letters == 0 {
			continue // told already
		}
		n[key(r)] = 0
		fmt.Fprintf(w, "%s\n  from         %s\n  to           %s\n  at           %s\n  certificate  %s\n  fingerprint\n%s\n", r.ID, r.Sender, r.To,
			r.At.Local().Format("2006-01-02 15:04"), plain(distinguished(r.Subject)), printOf(r.PEM, "    "))
		if letters > 1 {
			fmt.Fprintf(w, "  letters      %d, this is the newest\n", letters)
		}
	}
	fmt.Fprintln(w, `Have the sender read the fingerprint out by telephone. If it is the same:  carepost trust accept ID --vouched "WHO, HOW"`)
}

func newTrustAcceptCmd() *cobra.Command {
	var a admind.Acceptance
	cmd := &cobra.Command{
		Use:   "accept ID",
		Short: "Believes the sender of a letter that was set aside",
		Long: `Pins the certificate of a letter that "trust requests" lists, for its sender's address alone, and has what he wrote judged again. The
letter itself proves nothing of who he is: compare the fingerprint with him by telephone first, and say who did with --vouched.`,
		Example: `  carepost trust accept 01J5YQ7T4C --vouched "Dr Lee by telephone"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := missing(needed{"--vouched", a.Vouched != ""}); err != nil {
				return err
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			p, err := client.AcceptRequest(cmd.Context(), args[0], a)
			if err != nil {
				return clientError(err)
			}
			return tellPinned(cmd, p)
		},
	}
	cmd.Flags().StringVar(&a.Vouched, "vouched", "", "who has compared the fingerprint, and how: `WORDS`")
	cmd.Flags().StringVar(&a.Owner, "for", "", "believed by this `OWNER`: a domain or address of this installation (default: whom it was written to)")
	return reports(cmd)
}

func newHelloCmd() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "hello --from ADDRESS --to ADDRESS",
		Short: "Introduces one of us to a partner without a common anchor",
		Long: `Sends a short signed letter that carries our certificate and says nothing of anybody but the two. It is sealed for the certificate that
the partner publishes; where none is found it is not sent, for nothing leaves this house in the clear: exchange certificates as files
then, with "trust pin". On the other side it is set aside and listed until somebody there has called us, compared the fingerprint,
and accepted it. Our own side lists the answer under "trust requests".`,
		Example: "  carepost hello --from lab@north.example --to lee@south.example",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := missing(needed{"--from", from != ""}, needed{"--to", to != ""}); err != nil {
				return err
			}
			var i admind.Introduction
			for _, x := range []struct {
				flag, text string
				into       *addr.Address
			}{{"--from: ", from, &i.From}, {"--to: ", to, &i.To}} {
				a, err := parseAddress(x.flag, x.text)
				if err != nil {
					return err
				}
				*x.into = a
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			sent, err := client.Hello(cmd.Context(), i)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), sent)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "On its way: %s\nYour fingerprint, to be read out when they call:\n%s\n", sent.ID, printOf(sent.PEM, "  "))
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "who is introduced, an `ADDRESS` of this installation")
	cmd.Flags().StringVar(&to, "to", "", "to whom, an `ADDRESS`")
	return ofInstallation(reports(cmd))
}
