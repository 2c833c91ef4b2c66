package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"carepost/internal/admind"
	"carepost/internal/vault"
)

func newKeyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Keys that seal what is stored: lists and changes them",
		Long: `What is stored is sealed by store keys, which lie in the database, wrapped by the key-encryption key. That one is the file keys/kek:
without it nobody reads anything. Keep a copy of it apart from the backups.

"key rotate" changes the store key, "key rekey" the key-encryption key. Keys of certificates are renewed with their certificates.`,
	}
	cmd.AddCommand(newKeyListCmd(), newKeyRotateCmd(), newKeyRekeyCmd())
	return ofInstallation(cmd)
}

func newKeyListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "list",
		Short: "Lists the store keys",
		Long: `Lists the store keys, oldest first, never the keys themselves. The current one seals what is written from now on; others open what
is older, and go when a rotation has sealed it anew. The look-up key stays for the life of the installation.`,
		Example:               `  carepost key list --config north`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			keys, err := client.Keys(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), keys)
			}
			return printKeys(cmd.OutOrStdout(), keys, time.Now())
		}),
	})
}

func printKeys(w io.Writer, keys admind.Keys, now time.Time) error {
	var t table
	t.add("KEY", "FOR", "MADE", "AGE", "USE")
	for _, k := range keys.Sealing {
		what, use := k.Purpose, "opens what is older"
		switch {
		case k.Purpose == string(vault.Hashing):
			what, use = "look-up", "finds rows"
		case k.Purpose == string(vault.Sealing):
			what = "sealing"
		}
		if k.Current {
			use = "seals"
		}
		t.add(k.ID, what, k.Created.Local().Format(time.DateTime), age(k.Created, now), use)
	}
	return t.write(w, 0)
}

func newKeyRotateCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "rotate",
		Short: "Makes a new store key and seals everything anew",
		Long: `Makes a new store key, which seals what is written from then on, then seals anew what was sealed before: columns of the database and
the keys of bodies, not the bodies themselves. The gateway works on meanwhile. Keys that seal nothing any more are deleted at the
end. What is cut short goes on at the next "key rotate".`,
		Example:               `  carepost key rotate --config north`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			bar := &countBar{start: time.Now(), what: "sealing anew"}
			r, err := client.RotateKey(cmd.Context(), bar.set)
			bar.stop()
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Store key %s seals from now on; %s sealed anew.\n", r.Key, count(int(r.Resealed), "value"))
			return err
		}),
	})
}

// countBar is a progress bar on a terminal, for what is counted and takes longer than a second.
type countBar struct {
	start time.Time
	what  string
	p     *mpb.Progress
	bar   *mpb.Bar
}

func (b *countBar) set(done, total int64) {
	switch {
	case b.bar != nil:
		b.bar.SetTotal(total, false)
		b.bar.SetCurrent(done)
	case columns(os.Stderr) > 0 && time.Since(b.start) > time.Second:
		b.p = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(60))
		b.bar = b.p.AddBar(total, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(b.what+" ")),
			mpb.AppendDecorators(decor.CountersNoUnit("%d / %d")))
		b.bar.SetCurrent(done)
	}
}

// stop takes the bar away.
func (b *countBar) stop() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.p.Wait()
	}
}

func newKeyRekeyCmd() *cobra.Command {
	var keep string
	var discard bool
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Replaces the key-encryption key",
		Long: `Makes a new key-encryption key and wraps the store keys with it. The file keys/kek holds the new key then: copy it apart from the
backups, as you did with the former one.

Backups made before open with the former key alone. So say what becomes of it: --keep-old copies it to a file first; --discard-old
lets it go, and with it every backup of its time.`,
		Example: `  carepost key rekey --config north --keep-old /media/safe/kek-until-2026-12-01
  carepost key rekey --config north --discard-old`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (keep != "") == discard {
				return usage(errors.New("one of --keep-old FILE and --discard-old, please: backups made before open with the former key alone"))
			}
			return rekey(cmd, keep)
		},
	}
	cmd.Flags().StringVar(&keep, "keep-old", "", "copy the former key to this new `FILE` first")
	cmd.Flags().BoolVar(&discard, "discard-old", false, "let the former key go, and with it the backups made before")
	return cmd
}

func rekey(cmd *cobra.Command, keep string) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	client, done, err := reach(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer done()
	path := filepath.Join(c.Dir, "keys", "kek")
	if keep != "" {
		if next, err := filepath.Abs(path + ".next"); err != nil {
			return notNow(err)
		} else if at, err := filepath.Abs(keep); err != nil {
			return notNow(err)
		} else if at == next {
			return usage(fmt.Errorf("--keep-old: %s is where the new key is made", keep))
		}
		if err := copyKey(path, keep); errors.Is(err, fs.ErrExist) {
			return usage(fmt.Errorf("--keep-old: %s is there already", keep))
		} else if err != nil {
			return notNow(fmt.Errorf("--keep-old: %w", err))
		}
	}
	if err := client.Rekey(cmd.Context()); err != nil {
		return clientError(err)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "The key-encryption key is a new one. Copy it apart from the backups:\n  %s\n", path)
	if keep != "" {
		fmt.Fprintf(out, "Backups made before open with the former one, as long as you keep it:\n  %s\n", keep)
	}
	return nil
}

// copyKey copies a key file to a new one, durably, for its owner alone. A copy that is there already, of an attempt that went no further, is one.
func copyKey(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	defer clear(text)
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) && isCopy(from, to, text) {
		return nil
	} else if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(to)) // else it would be in the way of the next attempt
	}
	return vault.SyncDir(filepath.Dir(to))
}

// isCopy says whether to is another file than from, with this text, for its owner alone.
func isCopy(from, to string, text []byte) bool {
	own, err := os.Stat(from)
	if err != nil {
		return false
	}
	info, err := os.Lstat(to)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() != int64(len(text)) || os.SameFile(own, info) {
		return false
	}
	there, err := os.ReadFile(to)
	defer clear(there)
	return err == nil && bytes.Equal(there, text)
}
