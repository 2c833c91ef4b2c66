package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/backup"
	"carepost/internal/vault"
)

func newBackupCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Backups of an installation: makes, proves and restores them",
		Long: `A backup is a directory with the whole state of an installation at one moment: database, bodies, configuration, DNS records.
Everything that tells of people in it is sealed. The key-encryption key (keys/kek) is not in it: keep a copy of that one file
apart from the backups. Whoever has both reads everything; without the key nobody does, and neither do you.

What else is not in it: the TLS certificate and key that [tls] in carepost.toml may name, and folders that mail is copied to.`,
	}
	cmd.AddCommand(newBackupCreateCmd(), newBackupVerifyCmd(), newBackupRestoreCmd())
	return cmd
}

func newBackupCreateCmd() *cobra.Command {
	return ofInstallation(reports(&cobra.Command{
		Use:   "create DIR",
		Short: "Writes a backup into a new directory",
		Long: `Writes a backup into the new directory DIR. The gateway may go on: the backup is the state of one moment, and DIR appears when
it is whole and on the disk. On the same disk the bodies are second names of the same files (hard links), which takes no room and
is soon done, but is no help when that disk breaks: write to another one, or copy DIR away.

A gateway that runs writes DIR itself, as its own user. With PostgreSQL, back up the database by its own means, and then data/b
and the configuration.

Exit codes:
  0  the backup is made
  1  it could not be made now: disk, or another process
  2  wrong usage: DIR is there already, or the place where it is to lie is not
  4  the backup is made, but the installation has lost bodies`,
		Example: `  carepost backup create /mnt/backup/2026-12-01 --config north
  carepost backup verify /mnt/backup/2026-12-01 --kek north/keys/kek`,
		Args:                  argument("DIR"),
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return createBackup(cmd, args[0]) },
	}))
}

// argument wants one argument.
func argument(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usage(errors.New(name + ": one, please"))
		}
		return nil
	}
}

func createBackup(cmd *cobra.Command, dir string) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil { // the gateway stands elsewhere
		return notNow(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return usage(fmt.Errorf("%s is there already", dir))
	}
	if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
		return usage(fmt.Errorf("there is no %s to make it in; is its disk mounted?", filepath.Dir(dir)))
	}
	client, done, err := reach(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer done()
	bar := newDicomBar(os.Stderr, "backup")
	made, err := client.Backup(cmd.Context(), dir, bar.set)
	bar.stop()
	if err != nil {
		return clientError(err)
	}
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		return writeJSON(out, made)
	}
	_, err = fmt.Fprintf(out, `The backup is made, as of %s: %s, %s
  %s

%s`, made.Created.Local().Format(time.DateTime), count(made.Files, "file"), byteCount(made.Bytes), made.Dir, keepApart(filepath.Join(c.Dir, "keys", "kek"), made))
	return err
}

// keepApart says what has to be done with the key.
func keepApart(kek string, made admind.Backup) string {
	return fmt.Sprintf(`Nobody can read it without the key-encryption key, which is not in it. Copy that file, one line of text, and
keep it apart from all backups: printed in a safe, in a password manager, on a medium in another building.
  %s
Whoever has both the key and a backup reads everything. To prove that yours fit one another:
  carepost backup verify %s --kek %s
`, kek, made.Dir, kek)
}

func newBackupVerifyCmd() *cobra.Command {
	var kek string
	cmd := reports(&cobra.Command{
		Use:   "verify DIR",
		Short: "Proves that a backup is whole",
		Long: `Reads every file of a backup and compares it with its checksum: nothing changed, cut, missing, or added. With --kek also opens the
database (a copy of it, in the directory for temporary files), reads through it, and compares every body with its digest. No
gateway is needed. Where there is no carepost, "sha256sum -c SHA256SUMS" in DIR does the first part.

Exit codes:
  0  the backup is whole; with --kek: restored from it, every mail reads
  1  it could not be read now
  2  wrong usage: no backup, or a key that does not open it
  4  it is damaged, or the installation had lost bodies before`,
		Example: `  carepost backup verify /mnt/backup/2026-12-01
  carepost backup verify /mnt/backup/2026-12-01 --kek /media/safe/kek`,
		Args:                  argument("DIR"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var keeper vault.Keeper
			if kek != "" {
				var err error
				if keeper, err = loadKEK(kek); err != nil {
					return err
				}
			}
			r, err := watched("verify", func(p backup.Progress) (backup.Report, error) { return p.Verify(cmd.Context(), args[0], keeper) })
			return tellBackup(cmd, r, err, args[0], "")
		},
	})
	cmd.Flags().StringVar(&kek, "kek", "", "open it with the key-encryption key in this `FILE`")
	return cmd
}

func newBackupRestoreCmd() *cobra.Command {
	var kek string
	cmd := reports(&cobra.Command{
		Use:   "restore DIR INTO --kek FILE",
		Short: "Makes an installation of a backup",
		Long: `Makes an installation in INTO, a new or empty directory, of the backup in DIR and a copy of the key-encryption key. What is copied is
compared with its checksum, and every mail is read where it lies then, before it says that it is done. Run it as the user that runs
the gateway.

Where single bodies are damaged in the backup, the rest is restored, they are named, and the exit code is 4.

An older state knows nothing of what came later. Mail accepted since the backup is lost, and what waited to be sent then is sent
again. Never let the former installation run beside the restored one.

Exit codes:
  0  the installation is restored, and reads every mail
  1  it could not be done now: disk
  2  wrong usage: INTO is not empty, or a key that does not open the backup
  4  damaged: restored without what is named, or not at all`,
		Example: `  carepost backup restore /mnt/backup/2026-12-01 north --kek /media/safe/kek
  carepost serve --config north`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return usage(errors.New("DIR and INTO, please"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := missing(needed{"--kek", kek != ""}); err != nil {
				return err
			}
			if _, err := loadKEK(kek); err != nil {
				return err
			}
			r, err := watched("restore", func(p backup.Progress) (backup.Report, error) { return p.Restore(cmd.Context(), args[0], args[1], kek) })
			return tellBackup(cmd, r, err, args[0], args[1])
		},
	})
	cmd.Flags().StringVar(&kek, "kek", "", "the key-encryption key of that time, a `FILE`")
	return cmd
}

func loadKEK(path string) (vault.Keeper, error) {
	k, err := vault.LoadKEK(path)
	if err != nil {
		return nil, usage(fmt.Errorf("--kek: %w", err))
	}
	return k, nil
}

// watched shows how far it is.
func watched(what string, do func(backup.Progress) (backup.Report, error)) (backup.Report, error) {
	bar := newDicomBar(os.Stderr, what)
	defer bar.stop()
	return do(bar.set)
}

// tellBackup prints what was found; into is where it was restored, if it was to be.
func tellBackup(cmd *cobra.Command, r backup.Report, err error, src, into string) error {
	found := err == nil || errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrIncomplete)
	switch {
	case errors.Is(err, context.Canceled):
		return notNow(err)
	case errors.Is(err, backup.ErrKEK):
		return usage(errors.New("--kek: this key does not open the backup; it may be of another time or another installation"))
	case errors.Is(err, backup.ErrExists), errors.Is(err, backup.ErrPlace), errors.Is(err, fs.ErrNotExist) && !found:
		return usage(err)
	case !found:
		return notNow(err)
	}
	var bad error
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		bad = writeJSON(out, r)
	} else {
		bad = printBackup(out, r, err == nil, src, into)
	}
	if bad != nil {
		return notNow(bad)
	}
	if err != nil {
		return incomplete(err)
	}
	return nil
}

func printBackup(w io.Writer, r backup.Report, whole bool, src, into string) error {
	if len(r.Problems) > 0 {
		var t table
		t.add("WHAT", "BODY", "FILE")
		for _, p := range r.Problems {
			t.add(string(p.What), orDash(p.Body), orDash(p.Path))
		}
		if err := t.write(w, 0); err != nil {
			return err
		}
		if r.More > 0 {
			fmt.Fprintf(w, "and %d more\n", r.More)
		}
		fmt.Fprintln(w)
	}
	when := r.Manifest.Created.Local().Format(time.DateTime)
	var err error
	switch {
	case r.Restored:
		state := "every mail reads true"
		if !whole {
			state = "what is named above is missing"
		}
		_, err = fmt.Fprintf(w, `%s is an installation as of %s: %s read, %s.
Mail accepted after that is not in it; what waited to be sent then is sent again. To start it:
  carepost serve --config %s
`, into, when, plural(r.Bodies, "body", "bodies"), state, into)
	case into != "":
		_, err = fmt.Fprintln(w, "Nothing was restored.")
	case whole && r.Opened:
		_, err = fmt.Fprintf(w, "%s is whole, as of %s: %s compared, the database opened, %s read.\n", src, when, count(r.Files, "file"), plural(r.Bodies, "body", "bodies"))
	case whole:
		_, err = fmt.Fprintf(w, `%s is what was written, as of %s: %s compared with their checksums.
With --kek FILE the database is opened too, and every body read.
`, src, when, count(r.Files, "file"))
	}
	return err
}
