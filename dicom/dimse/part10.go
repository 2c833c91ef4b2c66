package dimse

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/dicom"
)

// OpenPart10 reads the file meta information of a DICOM file (PS3.10 §7.1) and returns what it says, and the data set that follows.
func OpenPart10(r io.Reader) (Instance, io.Reader, error) {
	in := bufio.NewReaderSize(r, segment)
	preamble, err := in.Peek(132)
	if err != nil || string(preamble[128:]) != "DICM" {
		return Instance{}, nil, sourceError(err, "no DICOM file")
	}
	_, _ = in.Discard(132)
	var i Instance
	for room := maxMeta; ; {
		h, err := in.Peek(8)
		if err != nil || binary.LittleEndian.Uint16(h) != 2 {
			if err != nil && !errors.Is(err, io.EOF) {
				return Instance{}, nil, sourceError(err, "")
			}
			break
		}
		element, long := binary.LittleEndian.Uint16(h[2:]), longVR(string(h[4:6]))
		head, n := 8, int(binary.LittleEndian.Uint16(h[6:]))
		if long {
			if h, err = in.Peek(12); err != nil {
				return Instance{}, nil, sourceError(err, "it ends in its file meta information")
			}
			head, n = 12, int(binary.LittleEndian.Uint32(h[8:]))
		}
		if room -= head + n; n < 0 || room < 0 {
			return Instance{}, nil, sourceError(nil, "its file meta information is longer than any")
		}
		b := make([]byte, head+n)
		if _, err := io.ReadFull(in, b); err != nil {
			return Instance{}, nil, sourceError(err, "it ends in its file meta information")
		}
		switch element {
		case 0x0002:
			i.SOPClass = uid(b[head:])
		case 0x0003:
			i.SOPInstance = uid(b[head:])
		case 0x0010:
			i.TransferSyntax = uid(b[head:])
		}
	}
	if i.SOPClass == "" || i.SOPInstance == "" || i.TransferSyntax == "" {
		return Instance{}, nil, sourceError(nil, "its file meta information lacks class, instance or transfer syntax")
	}
	return i, in, nil
}

// sourceError says what is wrong with what was to be sent, or passes on why it cannot be read.
func sourceError(err error, what string) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.Join(ErrSource, err)
	}
	return fmt.Errorf("%w: %s", ErrSource, what)
}

// longVR says that an explicit element has a length of four octets (PS3.5 §7.1.2).
func longVR(vr string) bool {
	return strings.Contains("OB OW OF OD OL OV SQ UC UR UT UN SV UV", vr)
}

// metaHeader composes the preamble and file meta information with which an instance that came over the network becomes a file
// (PS3.10 §7.1).
func metaHeader(i Instance, from AETitle) []byte {
	var g []byte
	put := func(element uint16, vr, v string, pad byte) {
		if len(v)%2 == 1 {
			v += string(pad)
		}
		g = append(g, 2, 0, byte(element), byte(element>>8), vr[0], vr[1])
		g = append(binary.LittleEndian.AppendUint16(g, uint16(len(v))), v...)
	}
	g = append(g, 2, 0, 1, 0, 'O', 'B', 0, 0, 2, 0, 0, 0, 0, 1) // version 00\01
	put(0x0002, "UI", i.SOPClass, 0)
	put(0x0003, "UI", i.SOPInstance, 0)
	put(0x0010, "UI", i.TransferSyntax, 0)
	put(0x0012, "UI", dicom.ImplementationUID, 0)
	put(0x0013, "SH", dicom.ImplementationName, ' ')
	put(0x0016, "AE", string(from), ' ')
	b := append(make([]byte, 128, 132+12+len(g)), "DICM"...)
	b = append(b, 2, 0, 0, 0, 'U', 'L', 4, 0)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(g))), g...)
}
