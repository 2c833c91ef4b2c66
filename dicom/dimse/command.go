package dimse

import (
	"encoding/binary"
	"strings"
)

// Command fields (PS3.7 §E.1).
const (
	cStore    uint16 = 0x0001
	cEcho     uint16 = 0x0030
	cCancel   uint16 = 0x0FFF
	response  uint16 = 0x8000
	noDataSet uint16 = 0x0101 // (0000,0800)
	dataSet   uint16 = 0x0001
)

// command is a command set (PS3.7 §6.3): always Implicit VR Little Endian, group 0000 alone.
type command struct {
	field, id uint16 // id is the Message ID, of a response that of the request
	class     string
	instance  string
	data      bool // a data set follows
	status    Status
	comment   string
}

// compose makes the command set of a request or response.
func (c *command) compose() []byte {
	var b []byte
	short := func(element, v uint16) {
		b = append(element16(b, element, 2), byte(v), byte(v>>8))
	}
	text := func(element uint16, v string) {
		if v == "" {
			return
		}
		if len(v)%2 == 1 {
			v += "\x00"
		}
		b = append(element16(b, element, len(v)), v...)
	}
	text(0x0002, c.class)
	short(0x0100, c.field)
	if c.field&response != 0 {
		short(0x0120, c.id)
	} else {
		short(0x0110, c.id)
	}
	if c.field == cStore {
		short(0x0700, 0) // priority: medium
	}
	if c.data {
		short(0x0800, dataSet)
	} else {
		short(0x0800, noDataSet)
	}
	if c.field&response != 0 {
		short(0x0900, uint16(c.status))
	}
	text(0x1000, c.instance)
	return append(binary.LittleEndian.AppendUint32(element16(nil, 0, 4), uint32(len(b))), b...)
}

// element16 writes the header of an element of group 0000.
func element16(b []byte, element uint16, length int) []byte {
	b = append(b, 0, 0, byte(element), byte(element>>8))
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// readCommand reads a command set.
func readCommand(b []byte) (c command, err error) {
	seen := map[uint16]bool{}
	for len(b) > 0 {
		if len(b) < 8 {
			return c, broken(invalidParam, "a command is cut")
		}
		group, element, n := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])
		if group != 0 || uint64(n) > uint64(len(b)-8) || seen[element] {
			return c, broken(invalidParam, "a command that is none")
		}
		seen[element] = true
		if err := c.element(element, b[8:8+n]); err != nil {
			return c, err
		}
		b = b[8+n:]
	}
	if !seen[0x0100] || !seen[0x0800] || c.field&response != 0 && !seen[0x0900] {
		return c, broken(invalidParam, "a command without its fields")
	}
	return c, nil
}

func (c *command) element(element uint16, v []byte) error {
	short := func(into *uint16) error {
		if len(v) != 2 {
			return broken(invalidParam, "a command whose numbers are none")
		}
		*into = binary.LittleEndian.Uint16(v)
		return nil
	}
	switch element {
	case 0x0002:
		c.class = uid(v)
	case 0x0100:
		return short(&c.field)
	case 0x0110, 0x0120:
		return short(&c.id)
	case 0x0800:
		var kind uint16
		err := short(&kind)
		c.data = kind != noDataSet
		return err
	case 0x0900:
		return short((*uint16)(&c.status))
	case 0x0902:
		c.comment = comment(v)
	case 0x1000:
		c.instance = uid(v)
	}
	return nil
}

// comment is an error comment that may be shown on a terminal.
func comment(v []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(v[:min(len(v), maxComment)]))
	return strings.TrimSpace(s)
}
