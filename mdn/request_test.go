package mdn

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/message"
)

func header(t *testing.T, s string) message.Header {
	t.Helper()
	h, err := message.ReadHeader(bufio.NewReader(strings.NewReader(s)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// DIR-28: Disposition-Notification-To, else MAIL FROM, else Sender, else From.
func TestReturnAddresses(t *testing.T) {
	mail := addr.Path{Address: addr.Address{Endpoint: "mail", Domain: "h.example"}}
	for _, c := range []struct {
		header string
		from   addr.Path
		want   string
	}{
		{"From: f@h.example\nSender: s@h.example\nDisposition-Notification-To: X <d@h.example>, D@h.example, e@h.example\n", mail, "[d@h.example e@h.example]"},
		{"From: f@h.example\nSender: s@h.example\n", mail, "[mail@h.example]"},
		{"From: f@h.example\nSender: s@h.example\nDisposition-Notification-To: broken\n", mail, "[mail@h.example]"},
		{"From: f@h.example\nSender: s@h.example\n", addr.Path{}, "[s@h.example]"},
		{"From: f@h.example, g@h.example\n", addr.Path{}, "[f@h.example g@h.example]"},
		{"Subject: x\n", addr.Path{}, "[]"},
	} {
		if got := fmt.Sprint(ReturnAddresses(header(t, c.header), c.from)); got != c.want {
			t.Errorf("%q: %s, want %s", c.header, got, c.want)
		}
	}
}

// Facts, delivery notification: the request is honoured when it is well-formed, and only then.
func TestWantsDelivery(t *testing.T) {
	for v, want := range map[string]bool{
		"X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true":                                true,
		"x-direct-final-destination-delivery = Optional , TRUE":                            true,
		"signed-receipt=optional,pkcs7; X-DIRECT-FINAL-DESTINATION-DELIVERY=required,true": true,
		"X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,false":                               false,
		"X-DIRECT-FINAL-DESTINATION-DELIVERY=true":                                         false,
		"X-DIRECT-FINAL-DESTINATION-DELIVERY":                                              false,
		"X-XXXXX-FINAL-DESTINATION-DELIVERY=optional,true":                                 false,
		"": false,
	} {
		if got := WantsDelivery(header(t, "Disposition-Notification-Options: "+v+"\n")); got != want {
			t.Errorf("%s: %v", v, got)
		}
	}
}

// DIR-22: any report is a report.
func TestIsReport(t *testing.T) {
	for v, want := range map[string]bool{"multipart/report; boundary=b": true, "multipart/mixed; boundary=b": false, "text/plain": false} {
		if IsReport(header(t, "Content-Type: "+v+"\n")) != want {
			t.Error(v)
		}
	}
}
