package config

import (
	"fmt"
	"slices"
	"strings"

	"carepost/addr"
)

// Audit says where audit messages and heads of the log go besides our own database.
type Audit struct {
	Syslog string // host:port of a syslog server that speaks TLS (RFC 5425); empty = nowhere
	Name   string // in its certificate; empty = the host of Syslog

	// PEM files: the authorities of the server's certificate, empty = those of this host; and what we show, both or none.
	CA, Certificate, Key string

	Without []string // kinds of messages that are not sent, of AuditEvents
	History bool     // a new server is told what was written before, too

	Heads string // file for the last signed head of the log; empty = none
}

// AuditEvents are the kinds of audit messages, as [audit] names them.
func AuditEvents() []string {
	return []string{"export", "import", "transfer", "alert", "sign-in", "activity", "log-used"}
}

// auditing is [audit].
type auditing struct {
	Syslog      hostPort     `toml:"syslog"`
	Name        domain       `toml:"name"`
	CA          string       `toml:"ca"`
	Certificate string       `toml:"certificate"`
	Key         string       `toml:"key"`
	Without     []auditEvent `toml:"without"`
	History     bool         `toml:"history"`
	Heads       string       `toml:"heads"`
}

type auditEvent string

func (e *auditEvent) UnmarshalText(text []byte) error {
	if !slices.Contains(AuditEvents(), string(text)) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(AuditEvents(), ", "))
	}
	*e = auditEvent(text)
	return nil
}

// checked is what the table says.
func (a auditing) checked(within func(string) string, wrong func(key, format string, a ...any) error) (Audit, error) {
	out := Audit{Syslog: string(a.Syslog), Name: string(addr.Domain(a.Name)), CA: within(a.CA), Certificate: within(a.Certificate), Key: within(a.Key), Heads: within(a.Heads), History: a.History}
	for _, e := range a.Without {
		out.Without = append(out.Without, string(e))
	}
	switch {
	case (a.Certificate == "") != (a.Key == ""):
		return out, wrong("audit.certificate", "certificate and key go together")
	case a.Syslog == "" && (a.CA != "" || a.Certificate != "" || a.Name != "" || a.History || len(a.Without) > 0):
		return out, wrong("audit.syslog", `which server is told? Name it with "syslog"`)
	case a.Syslog != "" && (strings.HasPrefix(out.Syslog, ":") || strings.HasSuffix(out.Syslog, ":0")):
		return out, wrong("audit.syslog", "host and port of the server, such as audit.clinic.example:6514")
	}
	return out, nil
}
