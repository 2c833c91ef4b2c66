package smime

import "strings"

// Forms is a set of structures beyond the one that Direct knows, encrypt(multipart/signed). The zero value is Direct alone (Direct
// 2.4, 2.5.1).
type Forms uint8

// Structures that partners of DICOM PS3.15 B.8 may send (DCM-20, DCM-21; RFC 8551 §3.7).
const (
	// Opaque is SignedData with its content inside instead of multipart/signed (RFC 8551 §3.5.2), wherever a signature may stand.
	Opaque Forms = 1 << iota
	// EncryptedThenSigned has its only signature around the ciphertext. It says who sent the ciphertext, and not that they knew
	// what is in it: whoever answers one that no tag protects answers what somebody else's ciphertext decrypts to.
	EncryptedThenSigned
	// TripleWrapped is signed, encrypted, and signed again (RFC 2634 §1.1).
	TripleWrapped
	// Compressed has its content compressed once, before or after it was signed (RFC 8551 §3.6).
	Compressed
	// Epilogue is a signature that takes the line end after the last delimiter of a signed multipart for content, or does not,
	// where the bytes say otherwise: the reference implementation in Java and the mail library below it disagree there.
	Epilogue
)

// LenientForms are all that can be read.
const LenientForms = Opaque | EncryptedThenSigned | TripleWrapped | Compressed | Epilogue

// Has says whether all of g are in f.
func (f Forms) Has(g Forms) bool { return f&g == g }

// String names the structures for reports.
func (f Forms) String() string {
	if f == 0 {
		return "signed, then encrypted"
	}
	var names []string
	for i, name := range [...]string{"opaque", "encrypted, then signed", "triple-wrapped", "compressed", "line end of an epilogue"} {
		if f.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, "; ")
}
