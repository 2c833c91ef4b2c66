package statement

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"carepost/dicom"
	"carepost/dicom/dimse"
	"carepost/dicom/textsr"
)

// entities are the application entities that speak DIMSE.
func entities() []Entity {
	t := dimse.NewTables()
	l := t.Limits
	const verification, every = "Verification", "Storage: every SOP Class of 3.4, and those that are not known"
	common := []Parameter{
		{"Application Entity Title", "as configured; CAREPOST where nothing is"},
		{"Application Context", "1.2.840.10008.3.1.1.1"},
		{"Implementation Class UID, Version Name", dicom.ImplementationUID + ", " + dicom.ImplementationName},
		{"maximum PDU that is received", strconv.Itoa(l.PDU) + " octets"},
		{"operations at a time on one association", "1 (no asynchronous window)"},
		{"TLS", "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), with certificates of both sides if so configured"},
		{"User Identity negotiation", "none; what a peer sends is passed over"},
	}
	var answers []string
	for _, s := range t.Statuses {
		answers = append(answers, s.String())
	}
	return []Entity{{
		Name:    "Storage SCP",
		Purpose: "Takes instances that devices of the house hand in, keeps each as it came, and sends each study by mail once it is quiet.",
		Services: []Service{
			{Name: verification, UID: dimse.Verification, Provider: true, Syntaxes: "Implicit and Explicit VR Little Endian, Explicit VR Big Endian"},
			{Name: every, Provider: true, Syntaxes: "every one of 3.5 that has its pixels in the data set, and those to come; no private one"},
		},
		Parameters: append(common[:len(common):len(common)],
			Parameter{"associations at once", fmt.Sprintf("%d; of one address half of them", l.Associations)},
			Parameter{"choice among several Transfer Syntaxes of one context", "the first; where that is implicit or big endian, the first of the others that loses no pixel"},
			Parameter{"Storage: Level of Support, Digital Signatures, Element Coercion", "2 (Full), 3 (Bit Preserving), none; answered where asked (PS3.4 B.3.1)"},
			Parameter{"role selection", "the caller is SCU; SCP is declined"},
			Parameter{"Storage Commitment", "no"},
			Parameter{"time-outs", fmt.Sprintf("ARTIM %s; silence %s", seconds(l.Artim), seconds(l.Idle))},
			Parameter{"answers to C-STORE", strings.Join(answers, "; ")}),
	}, {
		Name:    "Storage SCU",
		Purpose: "Gives instances that arrived, or that a person names, to archives; asks by C-ECHO whether they are there.",
		Services: []Service{
			{Name: verification, UID: dimse.Verification, User: true, Syntaxes: "Implicit VR Little Endian"},
			{Name: every, User: true, Syntaxes: "that of the instance alone: nothing is converted"},
		},
		Parameters: append(common[:len(common):len(common)],
			made(),
			Parameter{"Presentation Contexts", fmt.Sprintf("one for each SOP Class and Transfer Syntax, %d at most; of more there are several associations", t.Contexts)},
			Parameter{"time-outs", fmt.Sprintf("ARTIM %s; an answer %s", seconds(l.Artim), seconds(l.Answer))}),
	}}
}

// made is what is given to archives besides what arrived.
func made() Parameter {
	return Parameter{"instances that are made here", "only where the operator wants it: a Basic Text SR (" + textsr.SOPClass + ", Explicit VR Little Endian, UTF-8) in each study, with the text of the mail that it came in"}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + " s" }
