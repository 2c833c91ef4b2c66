package message

// Limits bound what one call reads. A zero field means its default.
//
//	field        default   bounds
//	HeaderBytes  256 KiB   one header, with its line ends; all headers of a tree together have four times as much
//	Fields       1000      fields of one header; all headers of a tree together have ten times as many
//	Parts        1000      parts of a tree, multiparts and the root included
//	Depth        16        multiparts within one another
//	LineBytes    64 KiB    one line of a header, or one delimiter line; lines of bodies have no limit, they are not held
type Limits struct {
	HeaderBytes int64
	Fields      int
	Parts       int
	Depth       int
	LineBytes   int
}

const (
	maxBoundary   = 70   // RFC 2046 §5.1.1
	maxParams     = 64   // of one field
	maxMailboxes  = 5000 // of one call of Mailboxes
	maxComment    = 16   // comments within one another
	maxLineOctets = 998  // RFC 5322 §2.1.1: what we write has no longer line
	foldColumn    = 78   // RFC 5322 §2.1.1: where we fold
)

func (l Limits) withDefaults() Limits {
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = 256 << 10
	}
	if l.Fields <= 0 {
		l.Fields = 1000
	}
	if l.Parts <= 0 {
		l.Parts = 1000
	}
	if l.Depth <= 0 {
		l.Depth = 16
	}
	if l.LineBytes <= 0 {
		l.LineBytes = 64 << 10
	}
	return l
}
