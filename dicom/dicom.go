// Package dicom reads the headers of DICOM Part 10 files: what a directory record, a check or a listing needs, and no pixels.
//
// It follows PS3.10 §7 (file format), PS3.5 §7 (data elements, sequences, undefined lengths), §A (transfer syntaxes, deflated and
// encapsulated among them) and, for text shown to people, PS3.3 C.12.1.1.2 (character sets).
//
// It departs from them in what it reads: a file whose transfer syntax says one thing and whose bytes say another is read by its
// bytes and marked Lied; a file meta group without (0002,0000) is read; elements without a value representation inside an explicit
// data set are read as implicit ones; stray delimiters are skipped. It never decodes pixel data and never writes a file.
//
// Hostile input: sequences nest at most MaxDepth deep, at most Options.MaxKept bytes are kept, nothing is allocated from a length
// that has not been seen to be there, and an inflated data set ends at MaxInflated bytes.
package dicom

import (
	"errors"
	"fmt"
)

// Limits that are no options. Depth is that of PS3.5 §7.5 sequences inside one another.
const (
	MaxDepth       = 16
	MaxInflated    = 5 << 30 // bytes of a deflated data set (PS3.5 §A.5)
	DefaultMaxKept = 4 << 20 // bytes kept of one file
)

// Who made a file, or speaks on an association: our implementation (PS3.7 §D.3.3.2).
const (
	ImplementationUID  = "2.25.187441395420953208148131386526416209716"
	ImplementationName = "CAREPOST_1"
)

// What callers branch on. Errors of Scan wrap one of these or come from the reader.
var (
	ErrNotDICOM = errors.New("dicom: no DICOM Part 10 file") // PS3.10 §7.1: no preamble and DICM
	ErrCut      = errors.New("dicom: cut or damaged")        // an element reaches past the end of the file
	ErrSyntax   = errors.New("dicom: broken data set")       // PS3.5 §7
	ErrLimit    = errors.New("dicom: limit exceeded")

	// ErrBare is an ErrNotDICOM too: a data set that nobody wrapped in a file. It may be the image of somebody.
	ErrBare = fmt.Errorf("%w: a DICOM data set without the preamble and DICM of PS3.10 §7.1", ErrNotDICOM)
	// ErrEmpty is an ErrNotDICOM too: a file of no bytes.
	ErrEmpty = fmt.Errorf("%w: empty", ErrNotDICOM)
)
