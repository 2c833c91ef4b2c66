package dicom

import "fmt"

// Tag of a data element: group in the high half.
type Tag uint32

func (t Tag) String() string { return fmt.Sprintf("(%04X,%04X)", uint32(t)>>16, uint32(t)&0xFFFF) }

func (t Tag) group() uint16 { return uint16(t >> 16) }
