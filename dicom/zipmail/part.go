package zipmail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"carepost/dicom/fileset"
	"carepost/message"
)

// A large set that goes in several mails is a transfer: each mail carries a complete File-set, says which part of how many it is in its
// subject, lists all parts in its text, and tells programs so by a field of the attachment's header, which every form of signing covers:
//
//	X-Carepost-Transfer: id=5f0c…; part=2; of=5; sets=9b1d…
//
// sets is the SHA-256 of the File-set UIDs of all parts, each followed by LF: who has all parts can tell that they are those.
const partField = "X-Carepost-Transfer"

// The fields of the German recommendation for teleradiology by e-mail (@GIT/DRG), in the header of the mail. Their names are those that its
// readers are said to know; no text of it could be had to confirm them.
const (
	telemedicineID    = "X-TELEMEDICINE-SETID"
	telemedicinePart  = "X-TELEMEDICINE-SETPART"
	telemedicineTotal = "X-TELEMEDICINE-SETTOTAL"
)

// Part says which part of a transfer a mail is. The zero Part is none.
type Part struct {
	Transfer string // name of the transfer: 1 to 64 of letters, digits, '.', '-', '_'
	N, Of    int    // from 1
	Sets     string // what SetsDigest gives for all parts; empty: the sender does not say
}

// IsZero says that a mail is no part of anything.
func (p Part) IsZero() bool { return p.Of == 0 }

// String gives "part 2 of 5".
func (p Part) String() string { return fmt.Sprintf("part %d of %d", p.N, p.Of) }

// Listed is a part as its sender lists it.
type Listed struct {
	UID       string // File-set UID
	Instances int
	Bytes     int64 // of its instances
}

// List tells what the parts of a divided set are.
func List(parts []*fileset.Plan) (out []Listed) {
	for _, p := range parts {
		out = append(out, Listed{UID: p.UID, Instances: len(p.Instances), Bytes: p.Bytes})
	}
	return out
}

// SetsDigest stands for the File-set UIDs of all parts of a transfer, in their order.
func SetsDigest(uids ...string) string {
	h := sha256.New()
	for _, uid := range uids {
		h.Write([]byte(uid + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Field is that of the attachment's header.
func (p Part) Field() (message.Field, error) {
	value := fmt.Sprintf("id=%s; part=%d; of=%d", p.Transfer, p.N, p.Of)
	if p.Sets != "" {
		value += "; sets=" + p.Sets
	}
	if got, err := parsePart(value); err != nil || got != p {
		return message.Field{}, errors.New("zipmail: a part that cannot be named")
	}
	return message.Field{Name: partField, Raw: []byte(partField + ": " + value + "\r\n")}, nil
}

// Telemedicine gives the fields of the German recommendation for a part, to be put into Letter.Fields.
func (p Part) Telemedicine() []message.Field {
	var out []message.Field
	for _, f := range [][2]string{{telemedicineID, p.Transfer}, {telemedicinePart, strconv.Itoa(p.N)}, {telemedicineTotal, strconv.Itoa(p.Of)}} {
		out = append(out, message.Field{Name: f[0], Raw: []byte(f[0] + ": " + f[1] + "\r\n")})
	}
	return out
}

// ReadPart tells which part of a transfer a mail is by its attachment, as Find gives it; failing that by the fields of the German
// recommendation. The zero Part where it is none, or where what it says cannot be: then with an error.
func ReadPart(root, attachment *message.Part) (Part, error) {
	if attachment != nil && attachment.Header.Has(partField) {
		return parsePart(attachment.Header.Get(partField))
	}
	id, n, of := root.Header.Get(telemedicineID), root.Header.Get(telemedicinePart), root.Header.Get(telemedicineTotal)
	if id == "" && n == "" && of == "" {
		return Part{}, nil
	}
	return parsePart("id=" + strings.Trim(strings.TrimSpace(id), "<>{}") + "; part=" + strings.TrimSpace(n) + "; of=" + strings.TrimSpace(of))
}

var errPart = errors.New("zipmail: what the mail says of being a part cannot be read")

// parsePart reads the value of the field.
func parsePart(value string) (p Part, err error) {
	for pair := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch name {
		case "id":
			p.Transfer = v
		case "part":
			p.N, err = counted(v)
		case "of":
			p.Of, err = counted(v)
		case "sets":
			p.Sets = v
		}
		if err != nil {
			return Part{}, errPart
		}
	}
	if !transferName(p.Transfer) || p.N < 1 || p.N > p.Of || p.Sets != "" && !digest(p.Sets) {
		return Part{}, errPart
	}
	return p, nil
}

func counted(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxParts || strconv.Itoa(n) != s {
		return 0, errPart
	}
	return n, nil
}

// transferName says whether a transfer may be called s.
func transferName(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_@", c)
	}) < 0
}

func digest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

// Numbered puts the number after the phrase of a subject that holds it: "DICOM-ZIP (2/5) for Dr Fred".
func Numbered(subject string, p Part) string {
	if p.IsZero() {
		return subject
	}
	before, after, _ := strings.Cut(subject, SubjectPhrase)
	return before + SubjectPhrase + fmt.Sprintf(" (%d/%d)", p.N, p.Of) + after
}

// Listing tells people which parts there are. It names sizes and numbers alone.
func Listing(p Part, all []Listed) string {
	if p.IsZero() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThis is %s of one transfer (%s).\n", p, p.Transfer)
	b.WriteString("Each part is a mail of its own with a DICOM.ZIP that is complete in itself.\nThe transfer is complete when all of them are there:\n\n")
	total := Listed{}
	for i, x := range all {
		mark := ""
		if i+1 == p.N {
			mark = "   <- this mail"
		}
		fmt.Fprintf(&b, "  %3d of %d  %6d instances  %11s%s\n             File-set %s\n", i+1, p.Of, x.Instances, megabytes(x.Bytes), mark, x.UID)
		total.Instances += x.Instances
		total.Bytes += x.Bytes
	}
	if len(all) > 0 {
		fmt.Fprintf(&b, "  all       %6d instances  %11s\n", total.Instances, megabytes(total.Bytes))
	}
	return b.String()
}

func megabytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
