package deid

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"

	"carepost/dicom"
)

// Who wrote the file (PS3.10 §7.1), as our directories say it.
const (
	implementationUID  = "2.25.187441395420953208148131386526416209716"
	implementationName = "CAREPOST_1"
)

// passMeta passes over preamble and file meta group, which dicom.Scanner has read.
func passMeta(in *input) error {
	if err := in.full(make([]byte, 132)); err != nil {
		return err
	}
	for {
		b, err := in.r.Peek(2)
		if len(b) < 2 || binary.LittleEndian.Uint16(b) != 2 {
			return nil // an end is found out by whoever reads on
		}
		if err != nil {
			return err
		}
		h, err := in.head(coding{})
		if err != nil {
			return err
		}
		if h.length == undefined {
			return fmt.Errorf("%w: file meta group", dicom.ErrSyntax)
		}
		if err := in.copy(&output{muted: 1}, int64(h.length)); err != nil {
			return err
		}
	}
}

// writeMeta writes a preamble of zeros and a file meta group that names neither the sender nor anything private.
func writeMeta(out *output, f *dicom.File, instance string) error {
	syntax := f.TransferSyntax
	if syntax == "" {
		syntax = f.Encoding
	}
	var group bytes.Buffer
	g := &output{w: bufio.NewWriter(&group)}
	for _, e := range []struct {
		tag   dicom.Tag
		value []byte
	}{
		{0x00020001, []byte{0, 1}}, {0x00020002, []byte(f.SOPClass)}, {0x00020003, []byte(instance)}, {0x00020010, []byte(syntax)},
		{0x00020012, []byte(implementationUID)}, {0x00020013, []byte(implementationName)},
	} {
		v, _ := vrOf(e.tag)
		if err := g.value(coding{}, head{tag: e.tag, vr: v}, e.value); err != nil {
			return err
		}
	}
	if err := g.w.Flush(); err != nil {
		return err
	}
	if err := out.bytes(append(make([]byte, 128), "DICM"...)); err != nil {
		return err
	}
	length := binary.LittleEndian.AppendUint32(nil, uint32(group.Len()))
	if err := out.value(coding{}, head{tag: 0x00020000, vr: vr("UL")}, length); err != nil {
		return err
	}
	return out.bytes(group.Bytes())
}
