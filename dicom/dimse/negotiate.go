package dimse

import (
	"slices"
	"strings"

	"carepost/dicom"
)

// standardUIDs stands before every UID that DICOM itself gives.
const standardUIDs = "1.2.840.10008."

// storageElsewhere are the Storage SOP classes of PS3.4 Annexes B and GG that stand outside 1.2.840.10008.5.1.4.1.1.
const storageElsewhere = " 1.2.840.10008.5.1.4.34.7 1.2.840.10008.5.1.4.34.10 1.2.840.10008.5.1.4.38.1 1.2.840.10008.5.1.4.39.1" +
	" 1.2.840.10008.5.1.4.43.1 1.2.840.10008.5.1.4.44.1 1.2.840.10008.5.1.4.45.1 "

// IsStorage says that a SOP class is one of storage: those of the standard, those it may get, and private ones, of which nobody else
// can tell.
func IsStorage(class string) bool {
	switch {
	case !dicom.ValidUID(class):
		return false
	case strings.HasPrefix(class, standardUIDs+"5.1.4.1.1."), strings.Contains(storageElsewhere, " "+class+" "):
		return true
	}
	return !strings.HasPrefix(class, standardUIDs)
}

// IsTransferSyntax says that a Server takes data sets in a transfer syntax: every one of the standard, known or to come, but for those
// that have the pixels elsewhere (JPIP, PS3.5 §A.6, §A.7, §A.9; SMPTE ST 2110), and the retired
// ones of XML and MIME. Private ones nobody could read later.
func IsTransferSyntax(syntax string) bool {
	switch {
	case strings.HasPrefix(syntax, standardUIDs+"1.2.6."), strings.HasPrefix(syntax, standardUIDs+"1.2.7."):
		return false
	case syntax == standardUIDs+"1.2.4.94", syntax == standardUIDs+"1.2.4.95", syntax == standardUIDs+"1.2.4.204", syntax == standardUIDs+"1.2.4.205":
		return false
	}
	return syntax == dicom.ImplicitLittle || strings.HasPrefix(syntax, standardUIDs+"1.2.") && dicom.ValidUID(syntax)
}

// choose picks from what one context offers: the first, which is how the caller has the instance or would have it; where that is implicit
// or big endian, the first of the others that gives back every pixel. Where the caller has to convert, that loses least.
func choose(syntaxes []string, verification bool) string {
	first := ""
	for _, s := range syntaxes {
		odd := s == dicom.ImplicitLittle || s == dicom.ExplicitBig
		switch {
		case !IsTransferSyntax(s), verification && !odd && s != dicom.ExplicitLittle:
		case !odd && (first == "" || reversible(s)):
			return s
		case first == "":
			first = s
		}
	}
	return first
}

// reversible says that a transfer syntax gives back every pixel (PS3.5 §8.2, §A.4). Of those that are not known that is not known.
func reversible(syntax string) bool {
	if dicom.Plain(syntax) || syntax == dicom.Deflated {
		return true
	}
	return slices.Contains([]string{"4.57", "4.70", "4.80", "4.90", "4.92", "4.110", "4.201", "4.202", "5", "8.1"},
		strings.TrimPrefix(syntax, standardUIDs+"1.2."))
}

// pcontext is an accepted presentation context.
type pcontext struct{ class, syntax string }

// negotiate answers the offers of a request.
func (s *Server) negotiate(a *associate) (answers []answer, open map[byte]pcontext) {
	open = map[byte]pcontext{}
	for _, o := range a.offers {
		n := answer{id: o.id, result: noSuchClass}
		if verification := o.class == Verification; verification || s.storage(o.class) {
			n.result = noSyntax
			if n.syntax = choose(o.syntaxes, verification); n.syntax != "" {
				n.result = accepted
				open[o.id] = pcontext{o.class, n.syntax}
			}
		}
		if n.syntax == "" && len(o.syntaxes) > 0 {
			n.syntax = o.syntaxes[0] // PS3.8 §9.3.3.2: there must be one; it says nothing
		}
		answers = append(answers, n)
	}
	return answers, open
}

// accept composes the A-ASSOCIATE-AC.
func (s *Server) accept(a *associate, answers []answer, open map[byte]pcontext, limit int) []byte {
	ac := associate{called: a.called, calling: a.calling, answers: answers, length: uint32(limit), window: a.window}
	agreed := map[string]bool{}
	for _, c := range open {
		agreed[c.class] = true
	}
	said := map[string]bool{}
	for _, r := range a.roles { // the caller is SCU, never SCP
		if agreed[r.class] && !said[r.class] {
			said[r.class] = true
			ac.roles = append(ac.roles, roles{r.class, r.scu, 0})
		}
	}
	clear(said)
	for _, class := range a.storage {
		if agreed[class] && class != Verification && !said[class] {
			said[class] = true
			ac.storage = append(ac.storage, class)
		}
	}
	return ac.compose(pduAccept)
}
