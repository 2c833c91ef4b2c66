package message

import (
	"sort"
	"strconv"
	"strings"
)

// ContentType is a media type (RFC 2045 §5). Type, subtype and the names of parameters are in lower case, values as written.
type ContentType struct {
	Type, Subtype string
	Params        map[string]string
}

// Is says whether the type is typ/subtype, given in lower case; an empty subtype stands for any.
func (c ContentType) Is(typ, subtype string) bool {
	return c.Type == typ && (subtype == "" || c.Subtype == subtype)
}

// String writes the type with its parameters in alphabetical order, values quoted where they must be. It is for ASCII values.
func (c ContentType) String() string {
	var b strings.Builder
	b.WriteString(c.Type + "/" + c.Subtype)
	names := make([]string, 0, len(c.Params))
	for n := range c.Params {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		b.WriteString("; " + n + "=" + quoteParam(c.Params[n]))
	}
	return b.String()
}

func quoteParam(v string) string {
	if v != "" && tokenLen(v) == len(v) {
		return v
	}
	return quote(v)
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// ContentType returns the entity's media type; without the field it is text/plain (RFC 2045 §5.2). Errors wrap ErrAmbiguous for
// two fields or two parameters of one name, ErrSyntax for a malformed field; with ErrSyntax the type is returned as far as
// it could be read, without parameters.
func (h Header) ContentType() (ContentType, error) {
	v, ok, err := h.single("Content-Type")
	if err != nil {
		return ContentType{}, err
	}
	if !ok {
		return ContentType{Type: "text", Subtype: "plain"}, nil
	}
	return ParseContentType(v)
}

// ParseContentType reads the value of a Content-Type field; see Header.ContentType.
func ParseContentType(v string) (ContentType, error) {
	s := scanner{s: v}
	typ := s.token()
	if typ == "" || !s.eat('/') {
		return ContentType{}, syntax("not a media type")
	}
	sub := s.token()
	if sub == "" {
		return ContentType{}, syntax("not a media type")
	}
	c := ContentType{Type: asciiLower(typ), Subtype: asciiLower(sub)}
	params, err := s.params()
	if err != nil {
		return c, err
	}
	if (s.comments || s.bare) && c.Type == "multipart" {
		// Not every reader knows comments, in which a boundary may stand, and not every one ends a word where we do.
		return c, ambiguous("a comment or bare words in the type of a multipart")
	}
	c.Params = params
	return c, nil
}

// Disposition returns the Content-Disposition (RFC 2183), its kind in lower case, "" without the field. Errors as ContentType.
func (h Header) Disposition() (kind string, params map[string]string, err error) {
	v, ok, err := h.single("Content-Disposition")
	if err != nil || !ok {
		return "", nil, err
	}
	s := scanner{s: v}
	kind = asciiLower(s.token())
	if kind == "" {
		return "", nil, syntax("not a content disposition")
	}
	params, err = s.params()
	return kind, params, err
}

// Encoding returns the Content-Transfer-Encoding in lower case, "7bit" without the field (RFC 2045 §6.1). It says nothing of
// whether the encoding is known.
func (h Header) Encoding() (string, error) {
	v, ok, err := h.single("Content-Transfer-Encoding")
	if err != nil {
		return "", err
	}
	if !ok {
		return "7bit", nil
	}
	s := scanner{s: v}
	e := asciiLower(s.token())
	s.eat(';') // seen in the wild: "base64;"
	if e == "" || !s.end() {
		return "", syntax("not a transfer encoding")
	}
	return e, nil
}

// IsReport says whether the header is that of a multipart/report (RFC 6522) and of which kind, in lower case:
// "disposition-notification", "delivery-status" or another. A report is never answered (Direct 3).
func IsReport(h Header) (reportType string, ok bool) {
	// To be on the safe side, one Content-Type of several is enough, and its parameters may be broken.
	for _, v := range h.Values("Content-Type") {
		if c, _ := ParseContentType(v); c.Is("multipart", "report") {
			return asciiLower(strings.TrimSpace(c.Params["report-type"])), true
		}
	}
	return "", false
}

// params reads *(";" attribute "=" value) to the end. Empty parameters are passed over.
func (s *scanner) params() (map[string]string, error) {
	plain := map[string]string{}
	for n := 0; !s.end(); {
		if !s.eat(';') {
			return nil, syntax("text after a value")
		}
		name := asciiLower(s.token())
		if name == "" {
			continue
		}
		if n++; n > maxParams {
			return nil, limit("too many parameters")
		}
		if !s.eat('=') {
			return nil, syntax("a parameter without a value")
		}
		value, ok := s.value()
		if !ok {
			return nil, syntax("a malformed parameter value")
		}
		if _, dup := plain[name]; dup {
			return nil, ambiguous("a parameter given twice")
		}
		plain[name] = value
	}
	return joinParams(plain)
}

// joinParams decodes the extended and the continued parameters of RFC 2231; an extended one outranks its plain neighbour.
func joinParams(in map[string]string) (map[string]string, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		if strings.IndexByte(k, '*') < 0 {
			out[k] = v
		}
	}
	for k := range in {
		base, rest, star := strings.Cut(k, "*")
		if !star || (rest != "" && rest != "0" && rest != "0*") {
			continue
		}
		if base == "boundary" || base == "protocol" || base == "report-type" {
			return nil, ambiguous("an extended parameter that decides on structure")
		}
		_, whole := in[base+"*"]
		_, escaped := in[base+"*0*"]
		if rest != "" && whole || rest == "0" && escaped {
			return nil, ambiguous("a parameter given twice")
		}
		out[base] = extended(in, base, rest)
	}
	return out, nil
}

// extended puts one parameter together from its sections (RFC 2231 §3, §4). What cannot be decoded stays as written.
func extended(in map[string]string, base, first string) string {
	var raw []byte
	charset := ""
	for i := 0; ; i++ {
		key, escaped := base+"*"+strconv.Itoa(i), false
		if first == "" {
			key, escaped = base+"*", true
		}
		v, ok := in[key]
		if !ok {
			v, ok = in[key+"*"]
			escaped = true
		}
		if !ok {
			break
		}
		if escaped && i == 0 {
			if p := strings.SplitN(v, "'", 3); len(p) == 3 {
				charset, v = p[0], p[2]
			}
		}
		if escaped {
			v = percentDecode(v)
		}
		raw = append(raw, v...)
		if first == "" {
			break
		}
	}
	return toUTF8(charset, raw)
}

func percentDecode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if x, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(x))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
