// Command carepost carries health information by e-mail, safely.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) && !serves(os.Args[1:]) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not ask
	os.Exit(run(ctx, os.Args[1:]))
}

// serves says whether the command is a server: SIGHUP has a meaning of its own then, and stopping takes as long as running transactions.
func serves(args []string) bool {
	cmd, _, err := newRoot().Find(args)
	return err == nil && cmd.Annotations[server] != ""
}

// grace is how long an interrupted command may take to clean up before it is left where it stands.
const (
	grace       = 10 * time.Second
	serverGrace = time.Minute
)

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	patience := grace
	if serves(args) {
		patience = serverGrace
	}
	var cmd *cobra.Command
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd, err = root.ExecuteContextC(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(patience):
			return interrupted(os.Stderr)
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return interrupted(os.Stderr)
	default:
		complain(os.Stderr, cmd, err)
	}
	return exitCode(err)
}

func interrupted(w io.Writer) int {
	fmt.Fprintln(w, "carepost: interrupted")
	return exitNotNow
}

// complain tells what went wrong, with the command's name before it once, and after wrong usage where to read more.
func complain(w io.Writer, cmd *cobra.Command, err error) {
	text := err.Error()
	if text == "" || errors.Is(err, syscall.EPIPE) {
		return // the command has told everything itself, or the reader of a pipe has gone: nobody is interested
	}
	name := cmd.CommandPath()
	for _, said := range []string{name, strings.TrimPrefix(name, "carepost ")} {
		text = strings.TrimPrefix(text, said+": ")
	}
	fmt.Fprintf(w, "%s: %s\n", name, plainLines(text)) // names of files are anybody's
	if exitCode(err) == exitUsage {
		fmt.Fprintf(w, "%s --help tells more.\n", name)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "carepost",
		Short: "Carries health information by e-mail, safely",
		Long: `Carepost finds the recipient's certificate, proves that it may be trusted, signs and encrypts, delivers, and shows what
became of the message. On the other side it decrypts, verifies, answers with a processed notice, and hands over images
that are provably complete.

Try it:  carepost demo

Exit codes, the same for every command:
  0  done
  1  could not be done now: network, disk, no answer yet
  2  wrong usage
  3  refused by a rule: untrusted, invalid, profile broken
  4  incomplete or damaged data`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(commands()...)
	root.SetHelpCommand(newHelpCmd())
	root.CompletionOptions.HiddenDefaultCmd = true // it is there for those who know it
	layOut(root)
	return root
}
