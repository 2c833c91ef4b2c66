package keyring

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// scheme begins the URI of a token, or of a key on one (RFC 7512).
const scheme = "pkcs11:"

// maxURI is how long such a URI may be, in octets.
const maxURI = 2 << 10

// where is what a URI says: attributes of the token, and of a private key on it. What is nil is not asked for.
type where struct {
	token, serial, model, manufacturer *string
	slot                               *uint64
	object                             *string
	id                                 []byte
}

var errURI = errors.New("keyring: that is no URI of a token (RFC 7512), such as pkcs11:token=clinic;object=signing")

// parseURI reads one. Attributes of the query (pin-value, module-path …) are refused: where the library and the PIN are stands in
// carepost.toml, and nowhere else.
func parseURI(text string) (w where, err error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok || len(text) > maxURI {
		return w, errURI
	}
	if strings.Contains(rest, "?") {
		return w, errors.New("keyring: the URI has a query: library and PIN are named in carepost.toml ([keys.token])")
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ";") {
		if part == "" && rest == "" {
			continue
		}
		name, escaped, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(escaped)
		if !ok || err != nil || seen[name] {
			return w, errURI
		}
		seen[name] = true
		if err := w.set(name, value); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *where) set(name, value string) error {
	switch name {
	case "token":
		w.token = &value
	case "serial":
		w.serial = &value
	case "model":
		w.model = &value
	case "manufacturer":
		w.manufacturer = &value
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return errURI
		}
		w.slot = &n
	case "object":
		w.object = &value
	case "id":
		w.id = []byte(value)
	case "type":
		if value != "private" {
			return fmt.Errorf("keyring: the URI names an object of type %.20q, and a private key is wanted", value)
		}
	default:
		return fmt.Errorf("keyring: the attribute %.20q of the URI is not known here", name)
	}
	return nil
}

// fill takes from other what w says nothing of the token.
func (w *where) fill(other where) {
	if w.token == nil && w.serial == nil && w.model == nil && w.manufacturer == nil && w.slot == nil {
		w.token, w.serial, w.model, w.manufacturer, w.slot = other.token, other.serial, other.model, other.manufacturer, other.slot
	}
}

// String writes the URI.
func (w where) String() string {
	var parts []string
	add := func(name string, value *string) {
		if value != nil {
			parts = append(parts, name+"="+strings.ReplaceAll(url.PathEscape(*value), ";", "%3B"))
		}
	}
	add("token", w.token)
	add("serial", w.serial)
	add("model", w.model)
	add("manufacturer", w.manufacturer)
	if w.slot != nil {
		parts = append(parts, fmt.Sprintf("slot-id=%d", *w.slot))
	}
	add("object", w.object)
	if w.id != nil {
		var id strings.Builder
		for _, b := range w.id {
			fmt.Fprintf(&id, "%%%02X", b)
		}
		parts = append(parts, "id="+id.String())
	}
	if w.object != nil || w.id != nil {
		parts = append(parts, "type=private")
	}
	return scheme + strings.Join(parts, ";")
}
