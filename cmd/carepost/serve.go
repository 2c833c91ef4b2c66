package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/config"
	"carepost/internal/gateway"
	"carepost/internal/store"
)

func newServeCmd() *cobra.Command {
	var verbose, asJSON bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Runs the gateway of an installation",
		Long: `Listens as carepost.toml says, accepts, opens, seals and delivers mail until it is stopped. What was accepted is durable: after a
crash or a power cut the next start goes on where this one was.

SIGTERM or Ctrl-C stops it in good order: running transactions are finished, what waits is kept. SIGHUP has it read
carepost.toml, the partners' cards and the TLS certificate again; sessions go on.

The log goes to standard error and holds no health data and no addresses.`,
		Example: `  carepost serve --config north
  kill -HUP $(pidof carepost)   # after an edit of carepost.toml`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{server: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, newLog(cmd.ErrOrStderr(), asJSON, verbose), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log every session and step")
	cmd.Flags().BoolVar(&asJSON, "log-json", false, "log in JSON, one object a line")
	return ofInstallation(cmd)
}

// server marks a command that runs until it is stopped.
const server = "carepost/server"

func newLog(w io.Writer, asJSON, verbose bool) *slog.Logger {
	o := &slog.HandlerOptions{}
	if verbose {
		o.Level = slog.LevelDebug
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// serve runs an installation until ctx ends.
func serve(ctx context.Context, c *config.Config, log *slog.Logger, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE)       // who reads the log may go: mail goes on
	hangup := make(chan os.Signal, 1)    // one that comes while the gateway starts is kept
	if !signal.Ignored(syscall.SIGHUP) { // nohup: the terminal's end is no wish to reload, and the other way is carepost reload
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // accepting mail makes short-lived garbage beside a small heap: a few megabytes for a tenth of the time
	}
	l, err := listen(c)
	if err != nil && runs(ctx, c) {
		return notNow(fmt.Errorf("a gateway runs in %s already", c.Dir))
	}
	if err != nil {
		return notNow(err)
	}
	defer l.Close()
	i, err := openPatiently(ctx, c, l, log)
	if err != nil && ctx.Err() != nil { // stopped before it was ready, which is what was asked for
		fmt.Fprintf(out, "carepost: %s has stopped\n", c.Domain)
		return nil
	}
	if err != nil {
		return coded(err)
	}
	defer i.Close()
	if err := i.renewCard(); err != nil {
		return notNow(err)
	}
	if l.Admin, err = listenSocket(socketOf(c)); err != nil {
		return notNow(fmt.Errorf("the socket of the operator's commands: %w", err))
	}
	i.Operate(l.Admin)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go i.reloadOn(ctx, hangup)

	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	fmt.Fprintf(out, "carepost: %s is ready: %s\n", c.Domain, hears(l))
	if err := <-ended; err != nil {
		return notNow(err)
	}
	fmt.Fprintf(out, "carepost: %s has stopped\n", c.Domain)
	return nil
}

// runs says whether a gateway answers for the installation.
func runs(ctx context.Context, c *config.Config) bool {
	conn, err := dialSocket(ctx, socketOf(c))
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// openPatiently waits for a gateway that stops, or a command that has the installation open for a moment.
func openPatiently(ctx context.Context, c *config.Config, l gateway.Listeners, log *slog.Logger) (*installation, error) {
	told := false
	for start := time.Now(); ; {
		i, err := openInstallation(ctx, c, l, log)
		switch {
		case !errors.Is(err, store.ErrLocked):
			return i, err
		case runs(ctx, c):
			return nil, notNow(fmt.Errorf("a gateway runs in %s already", c.Dir))
		case time.Since(start) > patience:
			return nil, notNow(fmt.Errorf("another process has %s open: a gateway that stops, or a command", c.Dir))
		case !told:
			log.Info("waits for another process that has the installation open: a gateway that stops, or a command")
			told = true
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// renewCard has our own card say what carepost.toml says now.
func (i *installation) renewCard() error {
	card := cardOf(i.conf, i.Gateway)
	if card.Anchor == nil || card.SMTP == "" || card.DNS == "" {
		return nil // nobody could take it
	}
	return config.SaveOwnCard(i.conf.Dir, card)
}

func (i *installation) reloadOn(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if _, err := i.reload(ctx); err != nil {
				i.log.Error("the configuration stays as it was", "error", err)
			}
		}
	}
}

// listen opens what carepost.toml names.
func listen(all *config.Config) (l gateway.Listeners, err error) {
	c, d := all.Listen, all.DICOM
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	for _, x := range []struct {
		key, at string
		to      *net.Listener
	}{{"mx", c.MX, &l.MX}, {"submission", c.Submission, &l.Submission}, {"submissions", c.Submissions, &l.Submissions},
		{"dns", c.DNS, &l.DNSTCP}, {"http", c.HTTP, &l.HTTP}, {"ldap", c.LDAP, &l.LDAP}, {"dicom.listen", d.Listen, &l.DICOM}, {"dicom.listen_tls", d.ListenTLS, &l.DICOMTLS}, {"dicom.web.listen", d.Web.Listen, &l.DICOMWeb}} {
		if x.at == "" {
			continue
		}
		if *x.to, err = net.Listen("tcp", x.at); err != nil {
			return l, listenError(x.key, x.at, err)
		}
	}
	if c.DNS != "" {
		if l.DNS, err = net.ListenPacket("udp", l.DNSTCP.Addr().String()); err != nil {
			return l, listenError("dns", c.DNS, err)
		}
	}
	return l, nil
}

func listenError(key, at string, err error) error {
	remedy := "name another address"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program listens there: stop it, or name another port"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 are for root, or for a program with the capability cap_net_bind_service"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address"
	}
	table, name := "listen", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	return fmt.Errorf("carepost.toml, [%s] %s = %q: cannot listen there: %s (%v)", table, name, at, remedy, errors.Unwrap(err))
}

// hears names the listeners for people.
func hears(l gateway.Listeners) string {
	var out []string
	for _, x := range []struct {
		name string
		l    net.Listener
	}{{"mail", l.MX}, {"submission", l.Submission}, {"submissions", l.Submissions}, {"DNS", l.DNSTCP}, {"LDAP", l.LDAP}, {"DICOM", l.DICOM}, {"DICOM by TLS", l.DICOMTLS}, {"DICOMweb", l.DICOMWeb}, {"certificates", l.HTTP}} {
		if x.l != nil {
			out = append(out, x.name+" "+x.l.Addr().String())
		}
	}
	if len(out) == 0 {
		return "no listener is on"
	}
	return strings.Join(out, ", ")
}
