package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newDicomIntakeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "intake",
		Short: "Studies that devices hand in, on their way to mail",
		Long: `Devices and PACS of the house hand in studies by C-STORE or STOW-RS, as [dicom]
of carepost.toml allows. A study is sent when nothing has come for a while
(quiet), as the first [[dicom.route]] says that fits. What cannot be sent as it
is waits for a person: "list" shows it with the reason, "retry" sends it once
the reason is gone or overruled, "drop" gives it up.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIntakeListCmd(), newIntakeShowCmd(), newIntakeRetryCmd(), newIntakeDropCmd())
	return ofInstallation(cmd)
}

func newIntakeListCmd() *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the studies that are not sent yet, and why",
		Long: `Lists the studies that devices have handed in and that are not sent yet: those
that still grow (open), those being packed (closing), and those that wait for
a person (held), with the reason. --all lists those too that were sent or
dropped in the last 30 days.`,
		Example:               "  carepost dicom intake list\n  carepost dicom intake list --all --json",
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			list, err := c.Intake(cmd.Context(), all)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			return printIntake(cmd, list, time.Now())
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "those too that were sent or dropped")
	return reports(cmd)
}

func printIntake(cmd *cobra.Command, list []admind.IntakeStudy, now time.Time) error {
	out := cmd.OutOrStdout()
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "no study of a device waits to be sent")
		return err
	}
	var t table
	t.add("ID", "STATE", "DEVICE", "CALLED", "OBJECTS", "SIZE", "LAST", "")
	held := false
	for _, x := range list {
		held = held || x.State == "held"
		t.add(x.ID, x.State, orDash(x.Calling), orDash(x.Called), fmt.Sprint(x.Objects), byteCount(x.Bytes), age(x.Last, now), remark(x))
	}
	if err := t.write(out, columns(os.Stdout)); err != nil || !held {
		return err
	}
	_, err := fmt.Fprintf(out, "\nWhat is held is sent again by:  %s\nor given up by:                 %s\n", again(cmd, "dicom intake retry", "ID"), again(cmd, "dicom intake drop", "ID"))
	return err
}

// remark says in a few words what there is to know of a study.
func remark(x admind.IntakeStudy) string {
	switch {
	case len(x.Reason) > 1:
		return fmt.Sprintf("%s (and %d more: show)", x.Reason[0], len(x.Reason)-1)
	case len(x.Reason) == 1:
		return x.Reason[0]
	case x.Message != "" && x.Route != "":
		return "message " + x.Message + ", by " + x.Route
	case x.Message != "":
		return "message " + x.Message
	case x.Late:
		return "further objects of a study that was sent"
	}
	return ""
}

func newIntakeShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Shows a study: whom it is about, what is in it, why it waits",
		Long: `Shows a study that a device has handed in, with the patient, the attributes that
routes look at, and its objects. The audit notes who has looked.`,
		Example:               "  carepost dicom intake show 01JD3Z…",
		Args:                  exactlyOne("the ID of a study"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			x, err := c.IntakeStudy(cmd.Context(), args[0])
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), x)
			}
			return printStudy(cmd, x)
		}),
	}
	return reports(cmd)
}

func printStudy(cmd *cobra.Command, x admind.IntakeDetails) error {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, plain(text))
		}
	}
	line("study", x.ID)
	line("state", x.State)
	line("device", joinWords(orDash(x.Calling), "to "+orDash(x.Called), "by "+x.Via))
	line("came", x.First.Local().Format(time.DateTime)+" to "+x.Last.Local().Format(time.DateTime))
	for _, p := range x.Patients {
		line("patient", joinWords(orDash(personName(p.Name)), p.ID))
	}
	line("study UID", x.StudyUID)
	for _, name := range slices.Sorted(maps.Keys(x.Attributes)) {
		line(name, strings.Join(x.Attributes[name], ", "))
	}
	for _, r := range x.Reason {
		line("waits", r)
	}
	line("route", x.Route)
	line("message", x.Message)
	if x.Late {
		line("late", "further objects of a study that was sent")
	}
	fmt.Fprintf(&b, "%-12s %s, %s\n", "objects", count(int(x.Objects), "object"), byteCount(x.Bytes))
	if _, err := fmt.Fprint(cmd.OutOrStdout(), b.String()); err != nil {
		return err
	}
	t := table{indent: "  "}
	for _, o := range x.Contents {
		t.add(fmt.Sprint(o.Number), byteCount(o.Size), o.SOPInstance)
	}
	return t.write(cmd.OutOrStdout(), columns(os.Stdout))
}

func newIntakeRetryCmd() *cobra.Command {
	var allow admind.IntakeAllow
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Sends a study that was held",
		Long: `Sends a study that waits for a person: once there is a route for it, or the
reason is gone, or with a flag that overrules the reason. The audit notes who
has overruled what; who names a --route attests that the study may be disclosed
so. If it cannot be sent again, it waits again.`,
		Example: `  carepost dicom intake retry 01JD3Z…
  carepost dicom intake retry 01JD3Z… --allow-names
  carepost dicom intake retry 01JD3Z… --route "knees to the clinic"`,
		Args:                  exactlyOne("the ID of a study"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			if err := c.RetryIntake(cmd.Context(), args[0], allow); err != nil {
				return clientError(err)
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if !s.Serving {
				return printed(cmd, "It waits: no gateway runs. This sends it:  "+again(cmd, "serve", ""))
			}
			return printed(cmd, "It is being sent. What comes of it:  "+again(cmd, "dicom intake show", args[0]))
		}),
	}
	fl := cmd.Flags()
	fl.StringVar(&allow.Route, "route", "", "send it by the [[dicom.route]] of that `NAME`, whichever fits; you answer for it")
	fl.BoolVar(&allow.Names, "allow-names", false, "though one Patient ID has different patient names")
	fl.BoolVar(&allow.Parents, "allow-parents", false, "though one study stands under two patients, or one series under two studies")
	fl.BoolVar(&allow.Versions, "allow-versions", false, "though one object came with different bytes: the first that came is sent")
	fl.BoolVar(&allow.Subject, "allow-subject", false, "though the subject of the route holds a word of the patient's name")
	return cmd
}

func newIntakeDropCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "drop ID",
		Short: "Gives up a study that was held",
		Long: `Gives up a study that waits for a person: it is not sent, and its objects are
erased. The device may hand it in again.`,
		Example:               "  carepost dicom intake drop 01JD3Z…",
		Args:                  exactlyOne("the ID of a study"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			if err := c.DropIntake(cmd.Context(), args[0]); err != nil {
				return clientError(err)
			}
			return printed(cmd, "dropped")
		}),
	}
}

// printed prints one line.
func printed(cmd *cobra.Command, text string) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
