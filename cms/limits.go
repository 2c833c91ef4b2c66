package cms

// Limits bounds what a reader spends on hostile input. A zero field means its default.
//
//	field             default  what it bounds
//	Depth                  16  open constructed encodings, one inside the other
//	HeaderBytes         1 MiB  octets of everything but the encrypted content; for SignedData, of all
//	Recipients           1000  RecipientInfos, of whatever kind; those of key agreement once for each of their recipients
//	Certificates           64  entries of certificates, of whatever kind
//	CertificateBytes  256 KiB  octets of all of them: crypto/x509 takes up to a hundred times the length of what it reads
//	Signers                16  SignerInfos
//	Attributes             32  signed, and again unsigned, attributes of a signer; values of a signed one
//	EmptySegments        1000  segments of the encrypted content that carry nothing themselves (empty ones, constructed ones)
//	Decompressed        4 GiB  octets that come out of CompressedData
//	Ratio                 100  times what went in, of what comes out of CompressedData after the first 64 KiB
//
// Not to be set: the constants below. The limits of all rooms stand side by side in docs/limits.md, which a test compares with the sources.
type Limits struct {
	Depth            int
	HeaderBytes      int64
	Recipients       int
	Certificates     int
	CertificateBytes int64
	Signers          int
	Attributes       int
	EmptySegments    int
	Decompressed     int64
	Ratio            int
}

const (
	maxLengthOctets = 8       // of a BER length; tags are single octets
	maxLength       = 1 << 62 // every length is below
	maxOIDBytes     = 64      // content octets of an OBJECT IDENTIFIER
	maxOIDArcs      = 20
	maxSerialBytes  = 20       // RFC 5280 §4.1.2.2
	maxRatioSlack   = 64 << 10 // octets of decompressed content that no ratio is asked of
	maxVersion      = 5        // the highest version number in RFC 5652

	minTag         = 12 // octets; a shorter one can be found by trying (CVE-2026-34182)
	minRSABits     = 2048
	maxRSABits     = 8192
	maxRSAExponent = 1<<31 - 1 // what crypto/rsa computes with
)

// defaulted fills in what is zero.
func (l Limits) defaulted() Limits {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&l.Depth, 16)
	def(&l.Recipients, 1000)
	def(&l.Certificates, 64)
	def(&l.Signers, 16)
	def(&l.Attributes, 32)
	def(&l.EmptySegments, 1000)
	def(&l.Ratio, 100)
	if l.Decompressed <= 0 {
		l.Decompressed = 4 << 30
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = 1 << 20
	}
	if l.CertificateBytes <= 0 {
		l.CertificateBytes = 256 << 10
	}
	return l
}
