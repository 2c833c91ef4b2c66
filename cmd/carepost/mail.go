package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

// mailCmd holds the flags that the commands of `mail` share.
type mailCmd struct{ folder string }

func newMailCmd() *cobra.Command {
	var f mailCmd
	cmd := &cobra.Command{
		Use:   "mail",
		Short: "The mail of an account, and what became of messages",
		Long: `Reads what came in for the accounts of this installation: mail that was opened, verified and trusted, and notices about mail that
could not be sent. Each look is noted in the audit trail.

ACCOUNT may be left out where there is one account only.`,
	}
	cmd.PersistentFlags().StringVar(&f.folder, "folder", "", "another `FOLDER` than INBOX")
	cmd.AddCommand(newMailListCmd(&f), newMailShowCmd(&f), newMailSaveCmd(&f), newMailDeleteCmd(&f), newMailTimelineCmd(), newMailFollowCmd())
	return ofInstallation(cmd)
}

func newMailListCmd(f *mailCmd) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [ACCOUNT]",
		Short: "Lists a folder, the newest mail last",
		Example: `  carepost mail list
  carepost mail list reception@south.example --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(errors.New("one account, please"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.within(cmd, append(args, "")[0], func(c *admind.Client, of addr.Address) error { return f.list(cmd, c, of) })
		},
	}
	return reports(cmd)
}

// within runs fn with the account that is meant.
func (f *mailCmd) within(cmd *cobra.Command, named string, fn func(*admind.Client, addr.Address) error) error {
	c, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	of, err := theAccount(cmd.Context(), c, named, "name it as the first argument")
	if err != nil {
		return err
	}
	return fn(c, of)
}

// list prints a folder page by page; a column is as wide as one page needs.
func (f *mailCmd) list(cmd *cobra.Command, c *admind.Client, of addr.Address) error {
	out, now := cmd.OutOrStdout(), time.Now()
	all, after := []admind.Mail{}, uint32(0)
	for first := true; ; first = false {
		page, err := c.Mails(cmd.Context(), of, f.folder, after, mostListed)
		if err != nil {
			return clientError(err)
		}
		if len(page) > 0 {
			after = page[len(page)-1].UID
		}
		switch {
		case asJSON(cmd):
			all = append(all, page...)
		case first && len(page) == 0:
			_, err = fmt.Fprintf(out, "no mail for %s\n", plain(of.String()))
		case len(page) > 0:
			err = printMails(cmd, page, now)
		}
		if err != nil {
			return err
		}
		if len(page) < mostListed {
			break
		}
	}
	if asJSON(cmd) {
		return writeJSON(out, all)
	}
	return nil
}

func printMails(cmd *cobra.Command, page []admind.Mail, now time.Time) error {
	var t table
	t.add("UID", "AGE", "SIZE", "FROM", "SUBJECT")
	for _, m := range page {
		t.add(strconv.FormatUint(uint64(m.UID), 10), age(m.At, now), byteCount(m.Size), cut(plain(m.From), 40), orDash(m.Subject))
	}
	return t.write(cmd.OutOrStdout(), columns(os.Stdout))
}

// oneMail splits [ACCOUNT] UID, after which may come more.
func oneMail(args []string, more int) (account string, uid uint32, rest []string, err error) {
	what := "the UID of a mail, as \"carepost mail list\" shows it"
	if len(args) < 1+more || len(args) > 2+more {
		if more > 0 {
			what += ", and a folder to save to"
		}
		return "", 0, nil, usage(errors.New(what + ", please"))
	}
	if len(args) == 2+more {
		account, args = args[0], args[1:]
	}
	n, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || n == 0 {
		return "", 0, nil, usage(fmt.Errorf("%q is not %s", args[0], what))
	}
	return account, uint32(n), args[1:], nil
}

func newMailDeleteCmd(f *mailCmd) *cobra.Command {
	return &cobra.Command{
		Use:   "delete [ACCOUNT] UID",
		Short: "Deletes one mail for ever",
		Long: `Takes a mail out of its folder. Its text is unreadable from then on, for its key goes with it; the audit trail keeps that it
was there and who deleted it. Backups made before still hold it.`,
		Example:               `  carepost mail delete reception@south.example 7`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			account, uid, _, err := oneMail(args, 0)
			if err != nil {
				return err
			}
			return f.within(cmd, account, func(c *admind.Client, of addr.Address) error {
				if err := c.DeleteMail(cmd.Context(), of, f.folder, uid); err != nil {
					return clientError(err)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted mail %d of %s\n", uid, plain(of.String()))
				return err
			})
		},
	}
}
