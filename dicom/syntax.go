package dicom

// Syntax is a transfer syntax (PS3.5 Annex A). Any other is read as well: in Explicit VR Little Endian up to the pixels.
type Syntax struct {
	UID, Name string
	Plain     bool // neither its pixels nor its data set are compressed
}

// syntaxes is data: PS3.6 Table A-1.
var syntaxes = []Syntax{
	{ImplicitLittle, "Implicit VR Little Endian", true},
	{ExplicitLittle, "Explicit VR Little Endian", true},
	{"1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", true},
	{Deflated, "Deflated Explicit VR Little Endian", false},
	{ExplicitBig, "Explicit VR Big Endian (Retired)", true},
	{"1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", false},
	{"1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", false},
	{"1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", false},
	{"1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)", false},
	{"1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", false},
	{"1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", false},
	{"1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", false},
	{"1.2.840.10008.1.2.4.91", "JPEG 2000", false},
	{"1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", false},
	{"1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component", false},
	{"1.2.840.10008.1.2.4.94", "JPIP Referenced", true},
	{"1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", false},
	{"1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", false},
	{"1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", false},
	{"1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", false},
	{"1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", false},
	{"1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", false},
	{"1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", false},
	{"1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", false},
	{"1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", false},
	{"1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", false},
	{"1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", false},
	{"1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", false},
	{"1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", false},
	{"1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", false},
	{"1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", false},
	{"1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", false},
	{"1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", false},
	{"1.2.840.10008.1.2.4.110", "JPEG XL Lossless", false},
	{"1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", false},
	{"1.2.840.10008.1.2.4.112", "JPEG XL", false},
	{"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", false},
	{"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", false},
	{"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", false},
	{"1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", true},
	{"1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", false},
	{"1.2.840.10008.1.2.5", "RLE Lossless", false},
	{"1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", false},
}

// Syntaxes are the transfer syntaxes that are known by name.
func Syntaxes() []Syntax { return append([]Syntax(nil), syntaxes...) }

// Plain says that what is written in a transfer syntax is worth deflating.
func Plain(uid string) bool {
	for i := range syntaxes {
		if syntaxes[i].UID == uid {
			return syntaxes[i].Plain
		}
	}
	return false
}
