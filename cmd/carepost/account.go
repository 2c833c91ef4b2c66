package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

func newAccountCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Addresses of this installation: who may send and receive",
		Long: `Accounts are the addresses of this installation. Mail is signed for open accounts alone, since the organisation vouches for
each of them (Direct 1.4). A mail program sends by the submission listener (port 587 with STARTTLS, or 465), signed in with the
address and its password, and only as that address.`,
		Example: `  carepost account add lab@north.example --generate
  carepost account list
  carepost account drop lab@north.example --maildir ~/Maildir --studies ~/in`,
	}
	cmd.AddCommand(newAccountListCmd(), newAccountAddCmd(), newAccountCloseCmd(), newAccountPasswordCmd(), newAccountDropCmd())
	return ofInstallation(cmd)
}

// oneAddress wants exactly one argument, an address.
func oneAddress(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errors.New("one address, please"))
	}
	_, err := parseAddress("", args[0])
	return err
}

// ofAccount runs f with a client and the address that the command line names.
func ofAccount(f func(cmd *cobra.Command, client *admind.Client, a addr.Address) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a, err := parseAddress("", args[0])
		if err != nil {
			return err
		}
		client, done, err := connect(cmd)
		if err != nil {
			return err
		}
		defer done()
		return f(cmd, client, a)
	}
}

func newAccountListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "Lists accounts, closed ones too",
		Long:  "Lists the accounts of this installation, or of one of its domains: whether a mail program may sign in, and where mail is copied to.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d addr.Domain
			if len(args) == 1 {
				var err error
				if d, err = addr.ParseDomain(args[0]); err != nil {
					return usage(fmt.Errorf("%q is no domain", args[0]))
				}
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			accounts, err := client.Accounts(cmd.Context(), d)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), append([]admind.Account{}, accounts...)) // [] where there are none
			}
			return listAccounts(cmd.OutOrStdout(), accounts)
		},
	})
}

func listAccounts(w io.Writer, accounts []admind.Account) error {
	if len(accounts) == 0 {
		_, err := fmt.Fprintln(w, "There are no accounts yet: carepost account add ADDRESS makes one")
		return err
	}
	var t table
	t.add("ADDRESS", "STATE", "PASSWORD", "MAILDIR", "STUDIES")
	for _, a := range accounts {
		state, password := "open", "none"
		if !a.Closed.IsZero() {
			state = "closed " + a.Closed.UTC().Format(time.DateOnly)
		}
		if a.HasPassword {
			password = "set"
		}
		t.add(a.Address.String(), state, password, orDash(a.Drops.Maildir), orDash(a.Drops.Studies))
	}
	return t.write(w, 0)
}

func newAccountAddCmd() *cobra.Command {
	var p passwordFlags
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Makes an address an account, or opens a closed one again",
		Long: `Makes an address of our domain an account. Without a password it is for "carepost send" and "carepost mail" alone; with one, mail
programs may sign in. A closed account is opened again with the mail it had, and with neither password nor folders.

Everybody who sees an address reads it: it is warned of one that gives away who has it or what they have (a date of birth, the number
of a record, a disease or a programme), and of one that shares its name in DNS with another. The account is made all the same.`,
		Example: `  carepost account add lab@north.example
  carepost account add lab@north.example --generate
  carepost account add lab@north.example --password            # asks twice
  carepost account add lab@north.example --password < secret   # reads a line`,
		Args: oneAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress("", args[0])
			if err != nil {
				return err
			}
			password, err := p.read(cmd, a) // before anything is done
			if err != nil {
				return err
			}
			return ofAccount(func(cmd *cobra.Command, client *admind.Client, a addr.Address) error {
				if err := client.AddAccount(cmd.Context(), a); err != nil {
					return clientError(err)
				}
				if password != "" {
					if err := client.SetPassword(cmd.Context(), a, password); err != nil {
						return fmt.Errorf("%s is an account now, but without a password (carepost account password sets one): %w", a, clientError(err))
					}
				}
				warnings, failed := adviceOn(cmd, client, a)
				if err := p.tell(cmd, client, a, plain(a.String())+" is an account now.", password, warnings...); err != nil { // a password is shown once
					return err
				}
				return failed
			})(cmd, args)
		},
	}
	p.register(cmd, true)
	return reports(cmd)
}

func newAccountCloseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "close ADDRESS",
		Short: "Closes an account: it sends and receives no more",
		Long: `Closes an account. Nothing is sent or taken for the address any more; its password and folders are forgotten. The mail it has
stays, and "carepost account add" opens it again.`,
		Example: `  carepost account close lab@north.example`,
		Args:    oneAddress,
		RunE: ofAccount(func(cmd *cobra.Command, client *admind.Client, a addr.Address) error {
			if err := client.CloseAccount(cmd.Context(), a); err != nil {
				return clientError(err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is closed.\n", plain(a.String()))
			return err
		}),
	}
}

func newAccountDropCmd() *cobra.Command {
	var maildir, studies string
	var none bool
	cmd := &cobra.Command{
		Use:   "drop ADDRESS",
		Short: "Copies incoming mail and studies into folders",
		Long: `Says into which folders the incoming mail of an account is put as well: each message into a Maildir, which mail programs read,
and each complete DICOM study into a folder of its own. Both lie outside the installation's own directories and are written in
clear: who can read the folder reads the mail. The gateway makes a folder that is missing. What is not named stays as it is.`,
		Example: `  carepost account drop lab@north.example --maildir ~/Maildir
  carepost account drop lab@north.example --studies /srv/studies/lab
  carepost account drop lab@north.example --studies ""   # no studies any more
  carepost account drop lab@north.example --none         # nothing at all`,
		Args: oneAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			changed := [2]bool{cmd.Flags().Changed("maildir"), cmd.Flags().Changed("studies")}
			if named := changed[0] || changed[1]; named == none {
				return usage(errors.New("say where: --maildir DIR, --studies DIR, or --none"))
			}
			return ofAccount(func(cmd *cobra.Command, client *admind.Client, a addr.Address) error {
				d, err := dropsOf(cmd, client, a)
				if err != nil {
					return err
				}
				if changed[0] || none {
					d.Maildir = maildir
				}
				if changed[1] || none {
					d.Studies = studies
				}
				for _, dir := range []*string{&d.Maildir, &d.Studies} {
					if *dir == "~" || strings.HasPrefix(*dir, "~/") {
						return usage(fmt.Errorf("%s: a shell puts your home for ~ at the beginning of a word only: leave a space after --maildir and --studies", *dir))
					}
					if *dir != "" { // the gateway stands in another directory
						if *dir, err = filepath.Abs(*dir); err != nil {
							return notNow(err)
						}
					}
				}
				if err := client.SetDrops(cmd.Context(), a, d); err != nil {
					return clientError(err)
				}
				if asJSON(cmd) {
					return writeJSON(cmd.OutOrStdout(), struct {
						Address addr.Address `json:"address"`
						Drops   admind.Drops `json:"drops"`
					}{a, d})
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n  Maildir  %s\n  studies  %s\n", plain(a.String()), orDash(plain(d.Maildir)), orDash(plain(d.Studies)))
				return err
			})(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&maildir, "maildir", "", "the Maildir `DIR`; \"\" for none")
	flags.StringVar(&studies, "studies", "", "the `DIR` of studies; \"\" for none")
	flags.BoolVar(&none, "none", false, "copy nothing any more")
	return reports(cmd)
}

// dropsOf are the folders of an open account as they are.
func dropsOf(cmd *cobra.Command, client *admind.Client, a addr.Address) (admind.Drops, error) {
	accounts, err := client.Accounts(cmd.Context(), a.Domain)
	if err != nil {
		return admind.Drops{}, clientError(err)
	}
	for _, x := range accounts {
		if x.Address.Equal(a) {
			return x.Drops, nil
		}
	}
	return admind.Drops{}, usage(fmt.Errorf("%s is no account here; carepost account list shows those there are", a))
}
