package ett

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"strings"

	"carepost/trust/certtest"
)

// undated are the cases NO_NOTBEFORE and NO_NOTAFTER. OpenSSL does not sign by a certificate that lacks a date: it signs by one of the same
// key, serial number and length, whose place the one without a date then takes in the message.
func (x *tool) undated() (all []*receiving) {
	for i, name := range []string{"NO_NOTBEFORE", "NO_NOTAFTER", "both_dates"} { // the last shows that the exchange alone does no harm
		address := strings.ToLower(name) + "@" + good
		pair := x.ca.Issue(x.t, address)
		var odd []byte
		for tries := 0; len(odd) != len(pair.Certificate.Raw); tries++ {
			if tries == 1000 {
				x.t.Fatal("no certificate of the same length")
			}
			odd = x.ca.Odd(x.t, pair.Certificate, func(c *certtest.TBS) {
				if i == 2 {
					return
				}
				var dates []asn1.RawValue
				if _, err := asn1.Unmarshal(c.Validity.FullBytes, &dates); err != nil {
					x.t.Fatal(err)
				}
				gone := len(dates[i].FullBytes)
				content := append(dates[:i:i], dates[i+1:]...)[0].FullBytes
				c.Validity = asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: content}
				c.Subject = longer(x, c.Subject, gone)
			})
		}
		want := silence
		if i == 2 {
			want = processed
		}
		who := keep(x.t, x.dir, strings.ToLower(name), pair)
		all = append(all, &receiving{name: name, from: address, want: want, form: form{signers: []identity{who},
			signed: func(b []byte) []byte { return x.exchange(b, pair.Certificate.Raw, odd) }}})
	}
	return all
}

// longer is a name whose only attribute has n letters more.
func longer(x *tool, name asn1.RawValue, n int) asn1.RawValue {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	type rdn []attribute
	var have []struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var sets []asn1.RawValue
	if _, err := asn1.Unmarshal(name.FullBytes, &sets); err != nil || len(sets) != 1 {
		x.t.Fatal("the subject has another form", err)
	}
	if _, err := asn1.UnmarshalWithParams(sets[0].FullBytes, &have, "set"); err != nil {
		x.t.Fatal(err)
	}
	set, err := asn1.MarshalWithParams(rdn{{have[0].Type, string(have[0].Value.Bytes) + strings.Repeat("x", n)}}, "set")
	if err != nil {
		x.t.Fatal(err)
	}
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: set}
}

// exchange puts other bytes in the place of a certificate in a multipart/signed.
func (x *tool) exchange(signed, certificate, by []byte) []byte {
	at := bytes.LastIndex(signed, []byte("\r\n\r\nMI"))
	end := bytes.Index(signed[at+4:], []byte("\r\n\r\n"))
	if at < 0 || end < 0 {
		x.trouble("there is no signature to change")
		return signed
	}
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(signed[at+4:at+4+end]), "\r\n", ""))
	if err != nil || !bytes.Contains(der, certificate) {
		x.trouble("there is no certificate to change in the signature: %v", err)
		return signed
	}
	der = bytes.Replace(der, certificate, by, 1)
	out := append(bytes.Clone(signed[:at+4]), crlf([]byte(strings.TrimSuffix(folded(string(der)), "\n")))...)
	return append(out, signed[at+4+end:]...)
}
