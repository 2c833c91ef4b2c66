package dimse

import (
	"encoding/binary"
	"strings"
)

// PDU types (PS3.8 §9.3).
const (
	pduRequest   byte = 0x01 // A-ASSOCIATE-RQ
	pduAccept    byte = 0x02 // A-ASSOCIATE-AC
	pduReject    byte = 0x03 // A-ASSOCIATE-RJ
	pduData      byte = 0x04 // P-DATA-TF
	pduRelease   byte = 0x05 // A-RELEASE-RQ
	pduReleased  byte = 0x06 // A-RELEASE-RP
	pduAbort     byte = 0x07 // A-ABORT
	pduHeader         = 6    // octets before what a PDU holds
	pdvHeader         = 6    // length, presentation context, message control header (PS3.8 §9.3.5.1, Annex E)
	controlLast  byte = 2    // the last fragment
	controlOrder byte = 1    // of a command, not of a data set
)

// Item types within A-ASSOCIATE PDUs (PS3.8 §9.3.2, PS3.7 §D.3.3).
const (
	itemApplication    byte = 0x10
	itemContextOffer   byte = 0x20
	itemContextAnswer  byte = 0x21
	itemAbstract       byte = 0x30
	itemTransfer       byte = 0x40
	itemUser           byte = 0x50
	itemLength         byte = 0x51
	itemImplementation byte = 0x52
	itemWindow         byte = 0x53
	itemRoles          byte = 0x54
	itemVersion        byte = 0x55
	itemExtended       byte = 0x56
	itemCommon         byte = 0x57
	itemIdentity       byte = 0x58
)

// pdu composes a PDU.
func pdu(kind byte, body []byte) []byte {
	b := make([]byte, pduHeader, pduHeader+len(body))
	b[0] = kind
	binary.BigEndian.PutUint32(b[2:], uint32(len(body)))
	return append(b, body...)
}

// item composes an item of type, reserved octet, length of two octets, value.
func item(b []byte, kind byte, value []byte) []byte {
	b = append(b, kind, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// items calls f for each item of b.
func items(b []byte, f func(kind byte, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return broken(invalidParam, "an item is cut")
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			return broken(invalidParam, "an item is longer than what holds it")
		}
		if err := f(b[0], b[4:4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	return nil
}

// uid reads a UID of an item. They are not padded (PS3.8 Annex F); some pad them.
func uid(b []byte) string { return strings.TrimRight(string(b), "\x00 ") }
