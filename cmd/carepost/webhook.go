package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newWebhookCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Programs that are told what becomes of messages",
		Long: `The [[webhook]] tables of carepost.toml name URLs that are told, by ids and
states, what becomes of messages. Each event is signed by the secret of its
table (Standard Webhooks 1.0), and sent until it is taken.`,
	}
	cmd.AddCommand(newWebhookListCmd(), newWebhookTestCmd())
	return ofInstallation(cmd)
}

func newWebhookListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "list",
		Short: "Lists the webhooks, and how far each has been told",
		Long: `BEHIND is how many entries of the audit log are to be looked at yet. What is
not taken is tried again, and later events wait behind it; after three days it
is given up, and counts in DROPPED.`,
		Example: `  carepost webhook list
  carepost webhook list --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			all, err := c.Webhooks(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return printWebhooks(cmd, all)
		}),
	})
}

func printWebhooks(cmd *cobra.Command, all []admind.Webhook) error {
	out, now := cmd.OutOrStdout(), time.Now()
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "there are no webhooks: carepost.toml names none")
		return err
	}
	var t table
	t.add("URL", "TOLD", "BEHIND", "DROPPED", "NEXT", "LAST ERROR")
	for _, h := range all {
		told, next := "never", "–"
		if h.Sent != nil {
			told = age(*h.Sent, now)
		}
		if h.Next != nil {
			if next = "now"; h.Next.After(now) {
				next = age(*h.Next, now)
			}
		}
		t.add(plain(h.URL), told, strconv.FormatInt(h.Behind, 10), strconv.FormatInt(h.Dropped, 10), next, orDash(plain(h.Error)))
	}
	return t.write(out, columns(os.Stdout))
}

func newWebhookTestCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "test [URL…]",
		Short: "Sends an event of the type webhook.test, and tells what came back",
		Long: `The event says of nothing but itself: its type is webhook.test, its data are
empty. It is sent once to each webhook that is named, or to all, past what
waits for them. Other users of this machine see what is on a command line: of a
URL that is a secret, leave it out.

What was not taken gives exit code 1.`,
		Example: `  carepost webhook test
  carepost webhook test https://hooks.north.example/carepost`,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, urls []string) error {
			all, err := c.Webhooks(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if len(urls) == 0 {
				for _, h := range all {
					urls = append(urls, h.URL)
				}
			}
			return testWebhooks(cmd, c, urls)
		}),
	})
}

func testWebhooks(cmd *cobra.Command, c *admind.Client, urls []string) error {
	if len(urls) == 0 {
		return usage(fmt.Errorf("there are no webhooks: carepost.toml names none"))
	}
	out := cmd.OutOrStdout()
	var tests []admind.HookTest
	var refusing []string
	for _, url := range urls {
		t, err := c.TestWebhook(cmd.Context(), url)
		if err = clientError(err); err != nil {
			return &exitError{exitCode(err), fmt.Errorf("%s: %w", plain(url), err)}
		}
		said := "taken"
		if !t.Taken {
			said, refusing = "not taken: "+t.Error, append(refusing, plain(url))
		}
		if tests = append(tests, t); asJSON(cmd) {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", plain(url), plain(said)); err != nil {
			return err
		}
	}
	if asJSON(cmd) {
		if err := writeJSON(out, tests); err != nil {
			return err
		}
	}
	if len(refusing) > 0 {
		return notNow(fmt.Errorf("not taken by %s", strings.Join(refusing, ", ")))
	}
	return nil
}
