package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

// receipt tells the sender that the mail is read where the person who reads it says so, and what there is to know of it.
func (f *mailCmd) receipt(ctx context.Context, c *admind.Client, of addr.Address, uid uint32, send bool) (r *admind.Receipt, err error) {
	var out admind.Receipt
	if send {
		out, err = c.SendReceipt(ctx, of, f.folder, uid)
	} else {
		out, err = c.Receipt(ctx, of, f.folder, uid)
	}
	if err != nil {
		return nil, clientError(err)
	}
	if len(out.To) == 0 {
		return nil, nil
	}
	return &out, nil
}

// receiptHint says who asks for a receipt, and how it is sent; nothing is sent by looking.
func (f *mailCmd) receiptHint(cmd *cobra.Command, r *admind.Receipt) error {
	if r == nil {
		return nil
	}
	var names []string
	for _, a := range r.To {
		names = append(names, plain(a.String()))
	}
	out, who := cmd.OutOrStdout(), strings.Join(names, ", ")
	switch {
	case r.Now:
		_, err := fmt.Fprintf(out, "\nReceipt:   sent to %s\n", who)
		return err
	case r.Sent:
		_, err := fmt.Fprintf(out, "\nReceipt:   was sent to %s before\n", who)
		return err
	}
	words := []string{}
	for _, arg := range cmd.Flags().Args() {
		words = append(words, quoted(arg))
	}
	if f.folder != "" {
		words = append(words, "--folder "+quoted(f.folder))
	}
	_, err := fmt.Fprintf(out, "\nReceipt:   %s would like to know that this was read; to tell:\n           %s\n", who, again(cmd, "mail show", strings.Join(append(words, "--receipt"), " ")))
	return err
}
