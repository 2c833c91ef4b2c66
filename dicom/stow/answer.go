package stow

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Answer is a Store Instances Response: PS3.18 Annex I.
type Answer struct {
	URL    string // (0008,1190) of the study, if it can be retrieved
	Stored []Item
	Failed []Item // those with a SOP Instance UID that could be read
	Other  int    // parts that were not taken and whose UID could not be read: (0008,119A)
}

// Item is one instance of an Answer.
type Item struct {
	SOPClass, SOPInstance string
	Reason                uint16 // Failure Reason (0008,1197), Warning Reason (0008,1196) of a stored one
}

// Tags of the answer.
const (
	tagClass    = "00081150"
	tagInstance = "00081155"
	tagURL      = "00081190"
	tagWarning  = "00081196"
	tagReason   = "00081197"
	tagFailed   = "00081198"
	tagStored   = "00081199"
	tagOther    = "0008119A"
)

// maxAnswer bounds what is read of an answer, in bytes: a part that every answer may have, and what each instance may take.
const (
	maxAnswer     = 64 << 10
	maxAnswerItem = 2 << 10
)

// data is a data set as JSON has it (PS3.18 §F.2): tag to element.
type data map[string]element

type element struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value,omitempty"`
}

func text(vr, v string) element { return element{vr, []any{v}} }

// url is that of something that can be retrieved; empty, for it is of type 2, where nothing can (Table I.2-1).
func url(v string) element {
	if v == "" {
		return element{VR: "UR"}
	}
	return text("UR", v)
}

func number(n uint16) element { return element{"US", []any{int(n)}} }

// JSON writes the answer as DICOM JSON.
func (a Answer) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(a.data()) }

func (a Answer) data() data {
	d := data{tagURL: url(a.URL)}
	sequence := func(tag string, items []Item, reason string) {
		var all []any
		for _, i := range items {
			one := data{tagClass: text("UI", i.SOPClass), tagInstance: text("UI", i.SOPInstance)}
			if i.Reason != 0 {
				one[reason] = number(i.Reason)
			}
			if tag == tagStored {
				one[tagURL] = url("")
			}
			all = append(all, one)
		}
		if len(all) > 0 {
			d[tag] = element{"SQ", all}
		}
	}
	sequence(tagStored, a.Stored, tagWarning)
	sequence(tagFailed, a.Failed, tagReason)
	var others []any
	for range a.Other {
		others = append(others, data{tagReason: number(CannotUnderstand)})
	}
	if len(others) > 0 {
		d[tagOther] = element{"SQ", others}
	}
	return d
}

// ReadJSON reads DICOM JSON; some servers put the data set into an array. What else is in it is passed over, but what is no data set is none.
func ReadJSON(r io.Reader) (a Answer, err error) {
	var whole json.RawMessage
	if json.NewDecoder(r).Decode(&whole) != nil {
		return a, errJSON
	}
	if whole[0] != '[' {
		whole = slices.Concat([]byte{'['}, whole, []byte{']'})
	}
	var sets []map[string]struct{ Value []json.RawMessage }
	if json.Unmarshal(whole, &sets) != nil {
		return a, errJSON
	}
	for _, raw := range sets {
		for tag := range raw {
			if _, err := strconv.ParseUint(tag, 16, 32); err != nil || len(tag) != 8 {
				return Answer{}, errJSON
			}
		}
		a.add(raw)
	}
	return a, nil
}

var errJSON = errors.New("stow: the answer is no DICOM JSON")

// add reads one data set.
func (a *Answer) add(raw map[string]struct{ Value []json.RawMessage }) {
	read := func(tag, reason string) (out []Item) {
		for _, v := range raw[tag].Value {
			var one map[string]struct{ Value []any }
			if json.Unmarshal(v, &one) != nil {
				continue
			}
			first := func(tag string) string {
				if e := one[tag]; len(e.Value) > 0 {
					return strings.Trim(fmt.Sprint(e.Value[0]), " \x00")
				}
				return ""
			}
			out = append(out, Item{first(tagClass), first(tagInstance), code(first(reason))})
		}
		return out
	}
	a.Stored, a.Failed = append(a.Stored, read(tagStored, tagWarning)...), append(a.Failed, read(tagFailed, tagReason)...)
	a.Other += len(raw[tagOther].Value)
}

// code reads a status as JSON and XML have it: decimal.
func code(s string) uint16 {
	n, err := strconv.ParseFloat(s, 64) // JSON's numbers are floats by now
	if err != nil || n < 0 || n > 0xFFFF {
		return 0
	}
	return uint16(n)
}

// native is the Native DICOM Model of PS3.19 §A.1.
type native struct {
	XMLName    xml.Name    `xml:"NativeDicomModel"`
	Space      string      `xml:"xmlns,attr"` // not asked of others
	Attributes []attribute `xml:"DicomAttribute"`
}

// nativeSpace is the name space of PS3.19 §A.1.6.
const nativeSpace = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

type attribute struct {
	Tag     string  `xml:"tag,attr"`
	VR      string  `xml:"vr,attr"`
	Keyword string  `xml:"keyword,attr"`
	Values  []value `xml:"Value"`
	Items   []item  `xml:"Item"`
}

// keyword is the name of one of our tags (PS3.6).
func keyword(tag string) string {
	return map[string]string{tagClass: "ReferencedSOPClassUID", tagInstance: "ReferencedSOPInstanceUID", tagURL: "RetrieveURL", tagWarning: "WarningReason",
		tagReason: "FailureReason", tagFailed: "FailedSOPSequence", tagStored: "ReferencedSOPSequence", tagOther: "OtherFailuresSequence"}[tag]
}

type value struct {
	Number int    `xml:"number,attr"`
	Text   string `xml:",chardata"`
}

type item struct {
	Number     int         `xml:"number,attr"`
	Attributes []attribute `xml:"DicomAttribute"`
}

// XML writes the answer as a Native DICOM Model.
func (a Answer) XML(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	return xml.NewEncoder(w).Encode(native{Space: nativeSpace, Attributes: attributes(a.data())})
}

func attributes(d data) (out []attribute) {
	for _, tag := range []string{tagClass, tagInstance, tagURL, tagWarning, tagReason, tagFailed, tagStored, tagOther} { // as tags rise
		e, there := d[tag]
		if !there {
			continue
		}
		x := attribute{Tag: tag, VR: e.VR, Keyword: keyword(tag)}
		for i, v := range e.Value {
			if one, nested := v.(data); nested {
				x.Items = append(x.Items, item{i + 1, attributes(one)})
				continue
			}
			x.Values = append(x.Values, value{i + 1, fmt.Sprint(v)})
		}
		out = append(out, x)
	}
	return out
}

// ReadXML reads a Native DICOM Model. What else is in it is passed over.
func ReadXML(r io.Reader) (a Answer, err error) {
	var m native
	if err := xml.NewDecoder(r).Decode(&m); err != nil {
		return a, errors.New("stow: the answer is no Native DICOM Model")
	}
	read := func(x attribute, reason string) (out []Item) {
		for _, i := range x.Items {
			first := func(tag string) string {
				for _, e := range i.Attributes {
					if strings.EqualFold(e.Tag, tag) && len(e.Values) > 0 {
						return strings.Trim(e.Values[0].Text, " \x00\r\n\t")
					}
				}
				return ""
			}
			out = append(out, Item{first(tagClass), first(tagInstance), code(first(reason))})
		}
		return out
	}
	for _, x := range m.Attributes {
		switch strings.ToUpper(x.Tag) {
		case tagStored:
			a.Stored = append(a.Stored, read(x, tagWarning)...)
		case tagFailed:
			a.Failed = append(a.Failed, read(x, tagReason)...)
		case tagOther:
			a.Other += len(x.Items)
		}
	}
	return a, nil
}
