package statement

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"carepost/dicom"
	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
)

// The network takes what can be packed: every class of the table, every transfer syntax but those whose pixels lie elsewhere; and the
// limits that are told are those that hold.
func TestNetwork(t *testing.T) {
	for _, c := range fileset.NewTables().Classes {
		if !dimse.IsStorage(c.UID) {
			t.Errorf("%s (%s) is packed, and not taken from a device", c.UID, c.Name)
		}
	}
	if dimse.IsStorage(dimse.Verification) || dimse.IsStorage("1.2.840.10008.1.20.1") || dimse.IsStorage("1.2.840.10008.5.1.4.1.2.2.1") {
		t.Error("verification, storage commitment and queries are no storage")
	}
	for _, x := range dicom.Syntaxes() {
		if got, want := dimse.IsTransferSyntax(x.UID), !strings.HasPrefix(x.Name, "JPIP"); got != want {
			t.Errorf("%s (%s): %v", x.UID, x.Name, got)
		}
	}
	var b bytes.Buffer
	s := New("1")
	s.AddStoreServer(StoreServer{Objects: 50, Within: 1 << 20, Reasons: []uint16{0xA700, 0x0110}})
	if err := s.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	tables := dimse.NewTables()
	for _, want := range []string{"Storage SCP", "Storage SCU", "| Verification | No | Yes |", "| Verification | Yes | No |",
		"| " + storeTransaction + " | Yes | No |", "| " + storeTransaction + " | No | Yes |", "| reasons of (0008,1197) | A700H, 0110H |",
		"| maximum PDU that is received | " + strconv.Itoa(tables.Limits.PDU) + " octets |", tables.Statuses[0].String()} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}
