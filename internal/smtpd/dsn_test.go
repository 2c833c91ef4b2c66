package smtpd_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
)

// What a sender wishes to be told is announced, checked and handed on where our own people submit; an MX neither announces nor keeps it.
// RFC 3461 §4, §5; Direct 3.
func TestWishes(t *testing.T) {
	s := &sink{}
	at, pool := submission(t, s, true, smtpd.Options{})
	conn, err := tls.Dial("tcp", at.String(), &tls.Config{RootCAs: pool, ServerName: "mx.example"})
	must(t, err)
	defer conn.Close()
	if hello := wish(t, conn, "lab@x.example", "AUTH PLAIN AGxhYkB4LmV4YW1wbGUAcmlnaHQgcGFzc3dvcmQ="); !strings.Contains(hello, "DSN\r\n") {
		t.Errorf("submission announces %q", hello)
	}
	env := s.taken[0].env
	want := map[string]transit.Wish{
		"b@y.example": {Notify: transit.NotifySuccess | transit.NotifyFailure, Original: "rfc822;b+=c d@y.example"},
		"c@y.example": {Notify: transit.NotifyNever},
		"e@y.example": {Original: "X-Local;e"},
		"f@y.example": {Notify: transit.NotifyDelay},
	}
	if len(env.To) != 5 || !env.Full || env.ID != "QQ+1" || !reflect.DeepEqual(env.Wishes, want) {
		t.Errorf("handed on: %+v", env)
	}

	s = &sink{}
	mx, err := net.Dial("tcp", serve(t, smtpd.Options{Accept: s.accept}).String())
	must(t, err)
	defer mx.Close()
	if hello := wish(t, mx, "a@x.example"); strings.Contains(hello, "DSN") {
		t.Errorf("an MX announces %q", hello)
	}
	if env := s.taken[0].env; len(env.To) != 5 || env.Full || env.Wishes != nil {
		t.Errorf("an MX hands on: %+v", env)
	}
}

// wish sends a message with everything that a sender can wish, and what is no wish in between; it returns the answer to EHLO.
func wish(t *testing.T, conn net.Conn, from string, first ...string) (hello string) {
	c := &client{t, conn, bufio.NewReader(conn)}
	c.want("220")
	c.send("EHLO c.example\r\n")
	for end := false; !end; {
		line, err := c.br.ReadString('\n')
		must(t, err)
		hello, end = hello+line, strings.HasPrefix(line, "250 ")
	}
	for _, line := range first {
		c.send(line + "\r\n")
		c.want("235")
	}
	for _, bad := range []string{"RET=ALL", "RET=FULL RET=HDRS", "RET", "ENVID=", "ENVID=a+0D+0Ab", "ENVID=a+2b", "ENVID=" + strings.Repeat("x", 101)} {
		c.send(fmt.Sprintf("MAIL FROM:<%s> %s\r\n", from, bad))
		c.want("501 5.5.4")
	}
	c.send("MAIL FROM:<" + from + "> ret=full ENVID=QQ+2B1\r\n")
	c.want("250")
	for _, bad := range []string{"NOTIFY=NEVER,DELAY", "NOTIFY=", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=ALWAYS", "NOTIFY=DELAY NOTIFY=DELAY", "ORCPT=b@y.example",
		"ORCPT=rfc822;", "ORCPT=rfc822;b+0D+0ABcc:+20x@y.example", "ORCPT=rfc822;b=c", "ORCPT=rf/c822;b", "ORCPT=rfc822;" + strings.Repeat("x", 500)} {
		c.send("RCPT TO:<z@y.example> " + bad + "\r\n")
		c.want("501 5.5.4")
	}
	for _, good := range []string{"b@y.example> notify=Success,FAILURE ORCPT=rfc822;b+2B+3Dc+20d@y.example", "c@y.example> NOTIFY=NEVER", "d@y.example>",
		"e@y.example> ORCPT=X-Local;e", "f@y.example> NOTIFY=DELAY", "F@Y.example> NOTIFY=NEVER"} { // who is named twice is wished the first
		c.send("RCPT TO:<" + good + "\r\n")
		c.want("250")
	}
	c.send("DATA\r\n")
	c.want("354")
	c.send("From: " + from + "\r\n\r\nx\r\n.\r\n")
	c.want("250")
	return hello
}
