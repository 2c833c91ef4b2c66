package fileset

import "encoding/binary"

// extraField finds an extra field (APPNOTE 4.5.1). ok is false when the fields are broken, or it is there twice: others may take the other one.
func extraField(extra []byte, want uint16) (field []byte, ok bool) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if len(extra) < 4+n {
			return nil, false
		}
		if id == want && field != nil {
			return nil, false
		}
		if id == want {
			field = extra[4 : 4+n]
		}
		extra = extra[4+n:]
	}
	return field, true
}

// otherName looks for a Unicode Path field (APPNOTE 4.6.9): other programs would go by the name in it, and find another set than we do.
func (a *archive) otherName(e *entry, extra []byte) {
	if field, ok := extraField(extra, 0x7075); !ok || len(field) > 5 && string(field[5:]) != e.raw {
		a.find(ruleZIPLocal, e.raw, "a second name in a Unicode Path field, which is not the first")
	}
}

// sizes64 replaces the numbers that are all ones by those of the ZIP64 extra field (APPNOTE 4.5.3).
func sizes64(extra []byte, values ...*int64) bool {
	field, ok := extraField(extra, 1)
	if !ok {
		return false
	}
	for _, v := range values {
		if *v != max32 || field == nil {
			continue
		}
		if len(field) < 8 {
			return false
		}
		*v = int64(binary.LittleEndian.Uint64(field))
		field = field[8:]
	}
	return true
}
