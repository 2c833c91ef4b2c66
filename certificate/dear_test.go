package certificate_test

import (
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"carepost/certificate"
	"carepost/trust/certtest"
)

// A certificate that is taken apart costs little time, whatever of it is bad. ATT-20.
func TestDear(t *testing.T) {
	ca, c := good(t)
	long := func(tag int, content string) string {
		der, err := asn1.Marshal(asn1.RawValue{Class: tag >> 6, Tag: tag & 0x1f, IsCompound: tag&0x20 != 0, Bytes: []byte(content)})
		if err != nil {
			t.Fatal(err)
		}
		return string(der)
	}
	for name, edit := range map[string]func(*certtest.TBS){
		"names":  set(17, long(0x30, strings.Repeat(tlv(0x81, "\xff"), 20_000))),
		"points": set(31, long(0x30, strings.Repeat("\x30\x00", 15_000)+"\x05\x00")),
		"attributes": func(t *certtest.TBS) {
			t.Subject = raw(long(0x30, strings.Repeat(tlv(0x31, tlv(0x30, commonName, tlv(0x0c, "\xff"))), 190)))
		},
		"long text": func(t *certtest.TBS) {
			t.Subject = raw(long(0x30, long(0x31, long(0x30, commonName+long(0x0c, strings.Repeat("\xff", 60_000))))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			der := ca.Odd(t, c, edit)
			start := time.Now()
			got, err := certificate.Parse(der)
			if err == nil {
				certificate.Oddities(got)
			}
			d := time.Since(start)
			if t.Log(len(der), d, err); d > 2*time.Second || name == "names" && err == nil {
				t.Errorf("took %v", d)
			}
		})
	}
}
