// Package smtptest plays one side of an SMTP session from a script, byte by byte, right or wrong. It is for tests.
//
// A script has one step a line; '#' begins a comment line. Backslash escapes are those of Go strings.
//
//	C: text       the client's line, CR LF added
//	C~ text       the client's bytes, nothing added; together with what follows, up to the next step of the other side
//	S: text       the server's line, or, for a client that reads it, the beginning of its whole reply, "250 2.1.5"
//	S~ text       the server's bytes
//	C*9: text     nine times; %d counts from 0
//	C: EOF        the side closes, or has closed
//	TLS           both sides begin TLS
//	KEY: value    anything else is for the test: see Note
package smtptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Case is one script of a file.
type Case struct{ Name, Script string }

// Cases reads a file of scripts in txtar format: each after a line "-- name --", what stands before the first is comment.
func Cases(file string) ([]Case, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for l := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(l), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			cases = append(cases, Case{Name: name})
		} else if n := len(cases); n > 0 {
			cases[n-1].Script += l
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("smtptest: no cases in %s", file)
	}
	return cases, nil
}

// Side is the one that is played.
type Side byte

const (
	Client Side = 'C'
	Server Side = 'S'
)

// Step is one line of a script.
type Step struct {
	Line  int
	Side  Side // 0 for TLS and notes
	Raw   bool
	Times int
	Text  string
	Key   string // of a note; "TLS"
}

// Parse reads a script.
func Parse(script string) ([]Step, error) {
	var steps []Step
	for n, l := range strings.Split(script, "\n") {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		s := Step{Line: n + 1, Times: 1}
		i := strings.IndexAny(l, ":~")
		if i < 0 {
			i = len(l)
		}
		head := l[:i]
		if i < len(l) {
			s.Raw = l[i] == '~'
			text, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.TrimPrefix(l[i+1:], " "), `"`, `\"`) + `"`)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", s.Line, err)
			}
			s.Text = text
		}
		if side, times, ok := strings.Cut(head, "*"); ok {
			k, err := strconv.Atoi(times)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", s.Line, err)
			}
			head, s.Times = side, k
		}
		switch head {
		case "C", "S":
			s.Side = Side(head[0])
		default:
			s.Key = head
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// Notes returns the steps that are for the test, by key.
func Notes(steps []Step) map[string][]string {
	m := map[string][]string{}
	for _, s := range steps {
		if s.Key != "" {
			m[s.Key] = append(m[s.Key], s.Text)
		}
	}
	return m
}

// Play plays one side of the script over conn and closes it. Config is for TLS steps. No step takes longer than patience.
func Play(side Side, conn net.Conn, config *tls.Config, steps []Step, patience time.Duration) error {
	defer func() { conn.Close() }()
	br := bufio.NewReader(conn)
	var out []byte
	for i, s := range steps {
		conn.SetDeadline(time.Now().Add(patience))
		var err error
		switch {
		case s.Key == "TLS":
			if side == Client {
				conn = tls.Client(conn, config)
			} else {
				conn = tls.Server(conn, config)
			}
			err = conn.(*tls.Conn).Handshake()
			br = bufio.NewReader(conn)
		case s.Key != "":
		case s.Side == side && s.Text == "EOF":
			err = conn.Close()
		case s.Side == side:
			for k := range s.Times {
				out = append(out, strings.ReplaceAll(s.Text, "%d", strconv.Itoa(k))...)
				if !s.Raw {
					out = append(out, '\r', '\n')
				}
			}
			if i+1 < len(steps) && steps[i+1].Side == side && steps[i+1].Text != "EOF" {
				continue // in one segment
			}
			_, err = conn.Write(out)
			out = out[:0]
			if i+1 < len(steps) && err != nil {
				err = nil // what comes back is what counts
			}
		default:
			for k := 0; k < s.Times && err == nil; k++ {
				err = expect(br, side, s, k)
			}
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", s.Line, err)
		}
	}
	return nil
}

// expect reads what the other side says and compares.
func expect(br *bufio.Reader, side Side, s Step, k int) error {
	if s.Text == "EOF" {
		b, err := br.ReadByte()
		switch {
		case err == nil:
			return fmt.Errorf("want the end, got %q", b)
		case errors.Is(err, io.EOF), strings.Contains(err.Error(), "reset"):
			return nil
		}
		return err
	}
	want := strings.ReplaceAll(s.Text, "%d", strconv.Itoa(k))
	if s.Raw {
		got := make([]byte, len(want))
		n, err := io.ReadFull(br, got)
		if string(got[:n]) != want {
			return fmt.Errorf("want %q, got %q, %v", want, got[:n], err)
		}
		return nil
	}
	var all strings.Builder
	for {
		l, err := br.ReadString('\n')
		all.WriteString(l)
		if err != nil {
			return fmt.Errorf("want %q, got %q, %w", want, all.String(), err)
		}
		if side == Server || len(l) < 4 || l[3] != '-' {
			break
		}
	}
	got := all.String()
	if !strings.HasSuffix(got, "\r\n") {
		return fmt.Errorf("line without CR: %q", got)
	}
	if side == Server && !strings.HasSuffix(want, "*") {
		if got != want+"\r\n" {
			return fmt.Errorf("want %q, got %q", want, got)
		}
		return nil
	}
	if want = strings.TrimSuffix(want, "*"); !strings.HasPrefix(got, want) {
		return fmt.Errorf("want %q, got %q", want, got)
	}
	return nil
}
