package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"carepost/internal/rule"
)

// DICOMOut is a destination for the studies that arrive by mail.
type DICOMOut struct {
	Name      string
	For, With rule.Who

	STOW            string // URL of a STOW-RS service; empty: C-STORE
	Address         string // host:port of a C-STORE SCP; empty: STOW-RS
	Called, Calling string // AE titles

	Plain                bool   // without TLS
	CA, Certificate, Key string // PEM files
	User                 string
	Password, Token      Secret

	Patience time.Duration // zero: the default of package handover
	Quietly  bool          // the notice of the final delivery does not wait for it
	Letter   bool          // what the sender wrote goes with the study
}

// dicomOut is one [[dicom.out]].
type dicomOut struct {
	Name          string   `toml:"name"`
	For           []party  `toml:"for"`
	With          []party  `toml:"with"`
	STOW          string   `toml:"stow"`
	Address       hostPort `toml:"address"`
	Called        aeTitle  `toml:"called"`
	Calling       aeTitle  `toml:"calling"`
	Plain         bool     `toml:"plain"`
	CA            string   `toml:"ca"`
	Certificate   string   `toml:"certificate"`
	Key           string   `toml:"key"`
	User          string   `toml:"user"`
	Password      string   `toml:"password_file"`
	Token         string   `toml:"token_file"`
	Patience      duration `toml:"patience"`
	FinalDelivery *bool    `toml:"final_delivery"`
	Letter        string   `toml:"letter"`
}

// maxOuts of one installation, and the length of the name of one.
const (
	maxOuts    = 50
	maxOutName = 40
)

// checked is what one table says.
func (o dicomOut) checked(within func(string) string) (out DICOMOut, wrong string) {
	out = DICOMOut{Name: o.Name, For: who(o.For), With: who(o.With), STOW: o.STOW, Address: string(o.Address), Called: string(o.Called), Calling: string(o.Calling),
		Plain: o.Plain, CA: within(o.CA), Certificate: within(o.Certificate), Key: within(o.Key), User: o.User, Patience: time.Duration(o.Patience),
		Password: Secret{File: within(o.Password)}, Token: Secret{File: within(o.Token)}, Quietly: o.FinalDelivery != nil && !*o.FinalDelivery, Letter: o.Letter == "sr"}
	secure := o.CA != "" || o.Certificate != "" || o.Key != ""
	switch {
	case o.Name == "" || len(o.Name) > maxOutName || strings.ContainsFunc(o.Name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\"'`, r) }):
		return out, "name is missing, or no word of letters and digits"
	case o.Letter != "" && o.Letter != "sr" && o.Letter != "none":
		return out, `letter is "sr" (what the sender wrote goes with the study, as a Basic Text SR) or "none"`
	case (o.STOW == "") == (o.Address == ""):
		return out, "one of stow (a URL) and address (host:port of a C-STORE SCP) is wanted"
	case (o.Certificate == "") != (o.Key == ""):
		return out, "certificate and key go together"
	case secure && o.Plain:
		return out, "plain is without TLS: there is no ca, certificate or key then"
	case o.Address != "" && (o.User != "" || o.Password != "" || o.Token != ""):
		return out, "user, password_file and token_file are for stow"
	case o.Address != "" && o.Called == "":
		return out, "called is missing: the AE title of the other side"
	case o.Address != "" && portless(string(o.Address)):
		return out, "address is host:port, such as pacs.north.example:11112"
	case o.STOW != "" && (o.Called != "" || o.Calling != ""):
		return out, "AE titles are for C-STORE"
	case (o.User == "") != (o.Password == ""), o.User != "" && o.Token != "":
		return out, "user and password_file go together, or token_file stands alone"
	}
	if o.STOW != "" {
		return out, out.checkURL()
	}
	return out, ""
}

// portless says that nobody could be reached at a listener's address.
func portless(at string) bool {
	host, port, err := net.SplitHostPort(at)
	return err != nil || host == "" || port == "0"
}

func (o DICOMOut) checkURL() string {
	u, err := url.Parse(o.STOW)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return "stow is no URL such as https://pacs.north.example/dicom-web"
	case u.Scheme == "http" != o.Plain:
		return "https is with TLS; http is only for plain = true, which leaves studies open to whoever listens on the network"
	}
	if at, err := netip.ParseAddrPort("0.0.0.0:" + u.Port()); u.Port() != "" && (err != nil || at.Port() == 0) {
		return "the port of stow is none"
	}
	return ""
}

// dicomOuts is what the tables [[dicom.out]] say; title is ours where they give no other.
func dicomOuts(all []dicomOut, title string, within func(string) string, wrong func(key, format string, a ...any) error) (out []DICOMOut, err error) {
	for i, o := range all {
		d, reason := o.checked(within)
		if reason == "" && slices.ContainsFunc(out, func(x DICOMOut) bool { return x.Name == d.Name }) {
			reason = "the name stands there twice"
		}
		if reason == "" && i == maxOuts {
			reason = "so many destinations are too many for one installation"
		}
		if reason != "" {
			return nil, wrong("dicom.out", "dicom.out %d: %s", i+1, reason)
		}
		if d.Address != "" {
			d.Calling = cmp.Or(d.Calling, title)
		}
		out = append(out, d)
	}
	return out, nil
}
