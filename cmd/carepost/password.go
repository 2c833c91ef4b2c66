package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/admind"
	"carepost/internal/config"
)

// passwordFlags say where a password comes from. It never stands on the command line, which others can see.
type passwordFlags struct {
	ask, generate bool
	file          string
}

// register adds the flags; ask is for commands that can do without a password.
func (p *passwordFlags) register(cmd *cobra.Command, ask bool) {
	flags := cmd.Flags()
	if ask {
		flags.BoolVar(&p.ask, "password", false, "let mail programs sign in: ask for the password on a terminal, else read a line of standard input")
	} else {
		p.ask = true
	}
	flags.StringVar(&p.file, "password-file", "", "read the password from this `FILE`, one line")
	flags.BoolVar(&p.generate, "generate", false, "make a good password and print it, once")
}

// read gives the password, "" where none is asked for.
func (p *passwordFlags) read(cmd *cobra.Command, a addr.Address) (password string, err error) {
	switch {
	case p.generate && (p.file != "" || cmd.Flags().Changed("password")):
		return "", usage(errors.New("--generate makes a password: name no other"))
	case p.generate:
		return goodPassword(), nil
	case p.file != "":
		data, err := readFile("password-file", p.file)
		if err != nil {
			return "", err
		}
		if password, err = onePassword(strings.NewReader(string(data))); err != nil {
			return "", usage(fmt.Errorf("--password-file: %w", err))
		}
	case !p.ask:
		return "", nil
	default:
		if password, err = p.fromInput(cmd, a); err != nil {
			return "", err
		}
	}
	if bad := (*admin.Invalid)(nil); errors.As(admin.CheckPassword(a, password), &bad) {
		return "", usage(errors.New(bad.Reason))
	}
	return password, nil
}

// fromInput asks twice on a terminal, and reads a line of anything else.
func (p *passwordFlags) fromInput(cmd *cobra.Command, a addr.Address) (string, error) {
	return askTwice(cmd, "New password of "+plain(a.String())+": ")
}

// askTwice asks for a new password on a terminal, and reads a line of anything else.
func askTwice(cmd *cobra.Command, prompt string) (string, error) {
	first, typed, err := askLine(cmd, prompt)
	if err != nil || !typed {
		return first, err
	}
	again, _, err := askLine(cmd, "Once more: ")
	switch {
	case err != nil:
		return "", err
	case first != again:
		return "", usage(errors.New("the two differ; nothing was changed"))
	}
	return first, nil
}

// askOnce asks for a password that is there already.
func askOnce(cmd *cobra.Command, prompt string) (string, error) {
	password, _, err := askLine(cmd, prompt)
	return password, err
}

// askLine reads a line, hidden where it is typed on a terminal.
func askLine(cmd *cobra.Command, prompt string) (password string, typed bool, err error) {
	file, ok := cmd.InOrStdin().(*os.File)
	if ok && term.IsTerminal(int(file.Fd())) {
		password, err = askHidden(cmd, file, prompt)
		return password, true, err
	}
	password, err = onePassword(newInterruptible(cmd.Context(), cmd.InOrStdin()))
	if cmd.Context().Err() != nil {
		return "", false, cmd.Context().Err()
	}
	if err != nil {
		return "", false, usage(fmt.Errorf("standard input: %w", err))
	}
	return password, false, nil
}

// askHidden reads a line of a terminal without showing it. An interrupt gives the terminal back as it was.
func askHidden(cmd *cobra.Command, tty *os.File, prompt string) (string, error) {
	if err := cmd.Context().Err(); err != nil {
		return "", notNow(err)
	}
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", notNow(err)
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		got <- answer{line, err}
	}()
	for start := time.Now(); len(got) == 0 && time.Since(start) < time.Second; { // until it hides what is typed, or an interrupt would be overtaken by that
		if now, err := term.GetState(fd); err != nil || *now != *state {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case a := <-got:
		fmt.Fprintln(cmd.ErrOrStderr())
		if a.err == io.EOF {
			return "", usage(errors.New("no password; nothing was changed"))
		}
		if a.err != nil {
			return "", notNow(a.err)
		}
		return string(a.line), nil
	case <-cmd.Context().Done():
		term.Restore(fd, state)
		fmt.Fprintln(cmd.ErrOrStderr())
		return "", notNow(cmd.Context().Err())
	}
}

// onePassword reads one line, and wants no other.
func onePassword(r io.Reader) (string, error) {
	br := bufio.NewReader(io.LimitReader(r, 4<<10))
	line, err := br.ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("the first line is to be the password, and it is empty")
	}
	if _, err := br.ReadByte(); err != io.EOF {
		return "", errors.New("one line is wanted, and there are more")
	}
	return line, nil
}

// goodPassword has 100 bits and can be typed on a telephone.
func goodPassword() string {
	text := strings.ToLower(rand.Text())
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20]
}

// tell says what was done, a password that was made here, and what is to be known of the address.
func (p *passwordFlags) tell(cmd *cobra.Command, client *admind.Client, a addr.Address, done, password string, warnings ...string) error {
	w := cmd.OutOrStdout()
	if asJSON(cmd) {
		out := struct {
			Address  string   `json:"address"`
			Password string   `json:"password,omitempty"`
			Warnings []string `json:"warnings,omitempty"`
		}{Address: a.String(), Warnings: warnings}
		if p.generate {
			out.Password = password
		}
		return writeJSON(w, out)
	}
	if p.generate {
		done += "\nPassword, shown this once: " + password
	}
	if password != "" {
		done += signInHint(cmd, client, a)
	}
	_, err := fmt.Fprintln(w, done)
	warnAbout(cmd, warnings)
	return err
}

// signInHint says where mail programs sign in, as far as the installation tells.
func signInHint(cmd *cobra.Command, client *admind.Client, a addr.Address) string {
	status, err := client.Status(cmd.Context())
	if err != nil {
		return "" // it is no more than a hint
	}
	if !status.Serving {
		return "\nMail programs sign in when the gateway runs; this shows where:  " + again(cmd, "status", "")
	}
	hint := ""
	for _, l := range [][2]string{{"submission", "STARTTLS"}, {"submissions", "TLS"}} {
		host, port, err := net.SplitHostPort(status.Listeners[l[0]])
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() { // no program can connect to that
			if card, err := client.Identity(cmd.Context()); err == nil {
				host = card.Hostname
			}
		}
		hint += fmt.Sprintf("\nMail programs: server %s, port %s, %s, user name %s", plain(host), port, l[1], plain(a.String()))
	}
	if print := ownCertificate(cmd.Context(), status.Listeners["submissions"]); print != "" {
		hint += "\nThey may ask about its certificate; its SHA-256 fingerprint is\n  " + print
	}
	return hint
}

// ownCertificate is the fingerprint of what a listener shows to mail programs, if they do not know who has issued it.
func ownCertificate(ctx context.Context, at string) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} // it is looked at, and told nothing
	conn, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return ""
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Intermediates: between}); err == nil {
		return ""
	}
	return config.Fingerprint(chain[0])
}

func newAccountPasswordCmd() *cobra.Command {
	var p passwordFlags
	var remove bool
	cmd := &cobra.Command{
		Use:   "password ADDRESS",
		Short: "Sets the password of an account, or takes it away",
		Long: `Sets the password with which mail programs sign in; the one before is void at once. It is asked for twice on a terminal and read
from standard input otherwise: 12 characters at least. What is kept is a hash (argon2id), sealed.`,
		Example: `  carepost account password lab@north.example
  carepost account password lab@north.example --generate
  carepost account password lab@north.example --remove`,
		Args: oneAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress("", args[0])
			if err != nil {
				return err
			}
			password, done := "", "The password of "+plain(a.String())+" is gone; mail programs cannot sign in."
			if remove {
				if p.generate || p.file != "" {
					return usage(errors.New("--remove takes the password away: name no other"))
				}
			} else {
				if password, err = p.read(cmd, a); err != nil {
					return err
				}
				done = "The password of " + plain(a.String()) + " is set."
			}
			return ofAccount(func(cmd *cobra.Command, client *admind.Client, a addr.Address) error {
				if err := client.SetPassword(cmd.Context(), a, password); err != nil {
					return clientError(err)
				}
				return p.tell(cmd, client, a, done, password)
			})(cmd, args)
		},
	}
	p.register(cmd, false)
	cmd.Flags().BoolVar(&remove, "remove", false, "take the password away")
	return reports(cmd)
}
