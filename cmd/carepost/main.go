// Command carepost carries health information by e-mail, safely.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" { // a command that has told everything itself leaves the text empty
		fmt.Fprintln(os.Stderr, "carepost: "+err.Error())
	}
	return exitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "carepost",
		Short: "Carries health information by e-mail, safely",
		Long: `Carepost finds the recipient's certificate, proves that it may be trusted, signs and encrypts, delivers, and shows what
became of the message. On the other side it decrypts, verifies, answers with a processed notice, and hands over images
that are provably complete.

Try it:  carepost demo

Exit codes: 0 done, 1 could not be done now (network, disk), 2 wrong usage, 3 refused by a rule (untrusted, invalid,
profile broken), 4 incomplete or damaged data.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(commands()...)
	return root
}
