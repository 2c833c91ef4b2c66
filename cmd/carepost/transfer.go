package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

func newTransferCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "transfer",
		Short: "Large sets that go, or come, in several mails",
		Long: `A set of images that is too large for one mail goes in several, each with a File-set that is complete in itself. Together they are a
transfer. These commands show which parts of it are there, what has become of each, and which are still to come.

A transfer that came is whole when every part is there and COMPLETE, and the File-sets are the ones that its sender listed in each mail.`,
	}
	cmd.AddCommand(newTransferListCmd(), newTransferShowCmd())
	return ofInstallation(cmd)
}

func newTransferListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [ACCOUNT]",
		Short: "Lists what an account sent or got in several mails, newest first",
		Example: `  carepost transfer list
  carepost transfer list reception@south.example --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(errors.New("one account, please"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var f mailCmd
			return f.within(cmd, append(args, "")[0], func(c *admind.Client, of addr.Address) error { return listTransfers(cmd, c, of) })
		},
	}
	return reports(cmd)
}

func listTransfers(cmd *cobra.Command, c *admind.Client, of addr.Address) error {
	all := []admind.Transfer{}
	for _, outbound := range []bool{true, false} {
		some, err := c.Transfers(cmd.Context(), of, outbound)
		if err != nil {
			return clientError(err)
		}
		all = append(all, some...)
	}
	out, now := cmd.OutOrStdout(), time.Now()
	switch {
	case asJSON(cmd):
		return writeJSON(out, all)
	case len(all) == 0:
		_, err := fmt.Fprintf(out, "%s has sent and got nothing in several mails\n", plain(of.String()))
		return err
	}
	var t table
	t.add("ID", "AGE", "WAY", "PARTNER", "PARTS", "STATE")
	for _, x := range all {
		t.add(x.ID, age(x.Begun, now), map[string]string{"outbound": "out", "inbound": "in"}[x.Direction], cut(plain(otherSide(x)), 40),
			fmt.Sprintf("%d of %d", x.Of-len(x.Missing), x.Of), standing(x))
	}
	return t.write(out, columns(os.Stdout))
}

// otherSide is the partner of a transfer.
func otherSide(t admind.Transfer) string {
	if t.Direction == "inbound" {
		return t.From
	}
	var all []string
	for _, a := range t.To {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

// standing says how a transfer stands.
func standing(t admind.Transfer) string {
	switch {
	case t.Odd != "":
		return plain(t.Odd)
	case t.Direction == "outbound" && len(t.Missing) > 0:
		return "interrupted: the same \"carepost send\" goes on with it"
	case t.Direction == "outbound":
		return "all accepted"
	case t.Whole && t.Proven:
		return "WHOLE"
	case t.Whole:
		return "all parts are here; its sender has not listed them for programs"
	}
	return "still to come: " + strings.TrimPrefix(t.Words[max(0, strings.LastIndex(t.Words, ": ")):], ": ")
}

func newTransferShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Shows all parts of one transfer, and what has become of them",
		Example: `  carepost transfer show 01JD3Z…
  carepost transfer show 01JD3Z… --json`,
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			t, err := c.Transfer(cmd.Context(), args[0])
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), t)
			}
			return printTransfer(cmd, t)
		}),
	}
	return reports(cmd)
}

// tellTransfer prints one as JSON.
func tellTransfer(cmd *cobra.Command, c *admind.Client, id string) error {
	t, err := c.Transfer(cmd.Context(), id)
	if err != nil {
		return clientError(err)
	}
	return writeJSON(cmd.OutOrStdout(), t)
}

func printTransfer(cmd *cobra.Command, t admind.Transfer) error {
	p := &dicomPrinter{w: cmd.OutOrStdout(), more: "--json"}
	way := "To"
	if t.Direction == "inbound" {
		way = "From"
	}
	p.line("%-9s %s", way+":", plain(otherSide(t)))
	p.line("%-9s %s", "Begun:", t.Begun.Local().Format("2006-01-02 15:04"))
	p.line("%-9s %s", "State:", standing(t))
	p.line("")
	if p.err != nil {
		return p.err
	}
	var rows table
	rows.add("PART", "INSTANCES", "SIZE", "MESSAGE", "STATE")
	at := map[int]admind.TransferPart{}
	for _, x := range t.Parts {
		at[x.N] = x
	}
	for n := 1; n <= t.Of; n++ {
		x, there := at[n]
		if !there {
			rows.add(strconv.Itoa(n), "-", "-", "-", "still to come")
			continue
		}
		rows.add(strconv.Itoa(n), strconv.Itoa(x.Instances), byteCount(x.Bytes), orDash(x.Message), stateOf(x))
	}
	return rows.write(cmd.OutOrStdout(), columns(os.Stdout))
}

// stateOf tells what has become of a part: "2 processed, 1 failed".
func stateOf(x admind.TransferPart) string {
	switch {
	case x.Verdict != "":
		return x.Verdict
	case x.Message == "":
		return "not sent yet"
	}
	var names []string
	n := map[string]int{}
	for _, r := range x.Results {
		if n[r]++; n[r] == 1 {
			names = append(names, r)
		}
	}
	if len(x.Results) == 1 {
		return names[0]
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", n[name], name)
	}
	return strings.Join(names, ", ")
}
