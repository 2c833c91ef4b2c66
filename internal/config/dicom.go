package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/dimse"
)

// DICOM is what [dicom] says: how devices and PACS of the house speak with us.
type DICOM struct {
	Listen    string         // C-STORE and C-ECHO in clear, host:port; empty = not at all
	ListenTLS string         // the same by TLS (PS3.15 B.12)
	AETitle   string         // ours
	Called    []string       // other titles that devices may call, patterns
	Calling   []string       // titles of devices, patterns; empty: all
	Hosts     []netip.Prefix // where devices are; empty: all
	TLS       DICOMTLS

	Quiet    time.Duration // until a study is taken to be whole; 0 = default
	Remember time.Duration // how long a repeat is known as such; 0 = default
	Tell     addr.Address  // our account that is told of studies that wait and that no account would send; zero: nobody
	Routes   Routes
	Outs     []DICOMOut
	Web      DICOMWeb
}

// DICOMTLS names PEM files. Without a certificate that of the installation is shown.
type DICOMTLS struct {
	Certificate, Key string
	CA               string // authorities of devices, which show certificates then; empty: they show none
}

// dicomSection is [dicom] as it is written.
type dicomSection struct {
	Listen    hostPort  `toml:"listen"`
	ListenTLS hostPort  `toml:"listen_tls"`
	AETitle   aeTitle   `toml:"ae_title"`
	Called    []pattern `toml:"called"`
	Calling   []pattern `toml:"calling"`
	Hosts     []network `toml:"hosts"`
	TLS       struct {
		Certificate string `toml:"certificate"`
		Key         string `toml:"key"`
		CA          string `toml:"ca"`
	} `toml:"tls"`
	Quiet    duration     `toml:"quiet"`
	Remember duration     `toml:"remember"`
	Tell     person       `toml:"tell"`
	Routes   []dicomRoute `toml:"route"`
	Outs     []dicomOut   `toml:"out"`
	Web      dicomWeb     `toml:"web"`
}

// defaultTitle is our AE title where nobody gives another.
const defaultTitle = "CAREPOST"

type (
	aeTitle string
	pattern string // with * and ?
)

func (a *aeTitle) UnmarshalText(text []byte) error {
	title, err := dimse.ParseAETitle(string(text))
	if err != nil {
		return fmt.Errorf("%q is no AE title: 1 to 16 characters of ASCII, no backslash", text)
	}
	*a = aeTitle(title)
	return nil
}

// maxPattern bounds a pattern, in bytes.
const maxPattern = 200

func (p *pattern) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "" || len(s) > maxPattern || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("a pattern is a text of 1 to %d bytes, such as CT* or *knee*", maxPattern)
	}
	*p = pattern(s)
	return nil
}

func texts[T ~string](all []T) (out []string) {
	for _, x := range all {
		out = append(out, string(x))
	}
	return out
}

// checked is what the section says, within the installation c.
func (f dicomSection) checked(c *Config, within func(string) string, wrong func(key, format string, a ...any) error) (d DICOM, err error) {
	d = DICOM{Listen: string(f.Listen), ListenTLS: string(f.ListenTLS), AETitle: cmp.Or(string(f.AETitle), defaultTitle), Called: texts(f.Called), Calling: texts(f.Calling),
		TLS:   DICOMTLS{within(f.TLS.Certificate), within(f.TLS.Key), within(f.TLS.CA)},
		Quiet: time.Duration(f.Quiet), Remember: time.Duration(f.Remember), Tell: addr.Address(f.Tell)}
	for _, n := range f.Hosts {
		d.Hosts = append(d.Hosts, netip.Prefix(n))
	}
	switch {
	case (f.TLS.Certificate == "") != (f.TLS.Key == ""):
		return d, wrong("dicom.tls.certificate", "certificate and key go together")
	case f.TLS != (dicomSection{}).TLS && d.ListenTLS == "":
		return d, wrong("dicom.tls", "it is for listen_tls, which is not there")
	case d.Listen != "" && !private(d.Listen) && len(d.Hosts) == 0:
		return d, wrong("dicom.listen", "an AE title is no proof of anything: name the networks of the devices with hosts, or listen by TLS with a ca")
	case d.ListenTLS != "" && !private(d.ListenTLS) && len(d.Hosts) == 0 && d.TLS.CA == "":
		return d, wrong("dicom.listen_tls", "whose objects are to be sent? Name the authority of the devices' certificates with ca, or their networks with hosts")
	}
	if !d.Tell.IsZero() && d.Tell.Domain != c.Domain && !slices.Contains(c.Domains, d.Tell.Domain) {
		return d, wrong("dicom.tell", "%s is no domain of this installation: name an account of yours", d.Tell.Domain)
	}
	if d.Outs, err = dicomOuts(f.Outs, d.AETitle, within, wrong); err != nil {
		return d, err
	}
	if d.Web, err = f.Web.checked(c, within, wrong); err != nil {
		return d, err
	}
	d.Routes, err = routes(c, f.Routes, wrong)
	return d, err
}

// private says that nobody but this machine reaches a listener.
func private(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	ip, perr := netip.ParseAddr(host)
	return err == nil && perr == nil && ip.IsLoopback()
}
