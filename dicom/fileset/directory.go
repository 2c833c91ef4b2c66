package fileset

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"carepost/dicom"
)

// node is a directory record to be written. Node 0 stands for the root directory entity.
type node struct {
	typ                     string
	fileID                  string // components joined by "/"; "" where no file is referenced
	class, instance, syntax string
	body                    []byte // keys, encoded
	up, first, last, next   int
	offset                  uint32
}

// Identity of this program in files it writes (PS3.10 7.1). The class UID is 2.25 and a UUID of ours (PS3.5 B.2).
const (
	implementationUID  = dicom.ImplementationUID
	implementationName = dicom.ImplementationName
)

// privateRecordUID names what our PRIVATE records mean: an instance of a class without a record type of its own (PS3.3 F.6.1).
const privateRecordUID = "2.25.187441395420953208148131386526416209717"

// writeDirectory encodes a DICOMDIR: Explicit VR Little Endian (PS3.10 8.6), defined lengths, records depth first.
func writeDirectory(nodes []node, fileSetID, uid string) ([]byte, error) {
	var head []byte
	head = appendText(head, 0x00041130, fileSetID)
	head = appendText(head, 0x00041141, DescriptorName)
	head = appendText(head, 0x00041142, "ISO_IR 100") // a superset of the ASCII it is written in
	meta := metaGroup(uid)
	// Three numbers and the sequence's own header stand between head and the first record: 12 + 12 + 10 + 12 bytes.
	at := int64(len(meta) + len(head) + 46)
	start := at
	var refs []byte
	for i := 1; i < len(nodes); i++ { // appended depth first
		nodes[i].offset = uint32(at)
		refs = nodes[i].appendReferences(refs[:0])
		at += 8 + int64(len(refs)) + linkSize + int64(len(nodes[i].body))
	}
	if at > math.MaxUint32-1 {
		return nil, fmt.Errorf("fileset: a DICOMDIR of %d bytes: offsets have 32 bits (PS3.3 F.3.2.2)", at)
	}
	out := make([]byte, 0, at)
	out = append(append(out, meta...), head...)
	out = appendUint32(out, 0x00041200, nodes[nodes[0].first].offset)
	out = appendUint32(out, 0x00041202, nodes[nodes[0].last].offset)
	out = appendUint16(out, 0x00041212, 0)
	out = append(out, 0x04, 0x00, 0x20, 0x12, 'S', 'Q', 0, 0)
	out = binary.LittleEndian.AppendUint32(out, uint32(at-start))
	for i := 1; i < len(nodes); i++ {
		n := &nodes[i]
		item := len(out) + 8
		out = appendRawItem(out, nil)
		out = appendUint32(out, 0x00041400, nodes[n.next].offset) // node 0 has offset 0: none
		out = appendUint16(out, 0x00041410, 0xFFFF)
		out = appendUint32(out, 0x00041420, nodes[n.first].offset)
		out = append(n.appendReferences(out), n.body...)
		binary.LittleEndian.PutUint32(out[item-4:], uint32(len(out)-item))
	}
	return out, nil
}

const linkSize = 12 + 10 + 12 // of (0004,1400), (0004,1410) and (0004,1420)

// appendReferences encodes the record's type and the file it names.
func (n *node) appendReferences(b []byte) []byte {
	b = appendText(b, 0x00041430, n.typ)
	if n.typ == "PRIVATE" {
		b = appendText(b, 0x00041432, privateRecordUID)
	}
	if n.fileID != "" {
		b = appendText(b, 0x00041500, strings.ReplaceAll(n.fileID, "/", `\`))
		b = appendText(b, 0x00041510, n.class)
		b = appendText(b, 0x00041511, n.instance)
		b = appendText(b, 0x00041512, n.syntax)
	}
	return b
}

// metaGroup writes preamble and file meta information (PS3.10 7.1, 8.6).
func metaGroup(uid string) []byte {
	var g []byte
	g = appendElement(g, 0x00020001, dicom.VROf(0x00020001), []byte{0, 1})
	g = appendText(g, 0x00020002, classDirectory)
	g = appendText(g, 0x00020003, uid)
	g = appendText(g, 0x00020010, dicom.ExplicitLittle)
	g = appendText(g, 0x00020012, implementationUID)
	g = appendText(g, 0x00020013, implementationName)
	b := append(make([]byte, 128), "DICM"...)
	b = appendUint32(b, 0x00020000, uint32(len(g)))
	return append(b, g...)
}

// validComponent says that s is made of A-Z 0-9 _ (PS3.10 8.2).
func validComponent(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

// validFileID says that id, joined by "/", is 1 to 8 components of 1 to 8 characters (PS3.10 8.2).
func validFileID(id string) bool {
	parts := strings.Split(id, "/")
	for _, p := range parts {
		if len(p) > 8 || !validComponent(p) {
			return false
		}
	}
	return len(parts) <= 8
}
