package cms

// oid holds the content octets of an OBJECT IDENTIFIER (X.690 §8.19).
type oid string

const (
	pkcs1     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01" // 1.2.840.113549.1.1
	pkcs7     = "\x2a\x86\x48\x86\xf7\x0d\x01\x07" // 1.2.840.113549.1.7
	pkcs9     = "\x2a\x86\x48\x86\xf7\x0d\x01\x09" // 1.2.840.113549.1.9
	nistAlgs  = "\x60\x86\x48\x01\x65\x03\x04"     // 2.16.840.1.101.3.4
	ansiX962  = "\x2a\x86\x48\xce\x3d"             // 1.2.840.10045
	ecdsaSHA2 = ansiX962 + "\x04\x03"

	oidData      oid = pkcs7 + "\x01"
	oidSigned    oid = pkcs7 + "\x02"
	oidEnveloped oid = pkcs7 + "\x03"

	oidAuthEnveloped oid = pkcs9 + "\x10\x01\x17" // RFC 5083 §2.1
	oidCompressed    oid = pkcs9 + "\x10\x01\x09" // RFC 3274 §1.1

	oidContentType   oid = pkcs9 + "\x03"
	oidMessageDigest oid = pkcs9 + "\x04"
	oidSigningTime   oid = pkcs9 + "\x05"
	oidCapabilities  oid = pkcs9 + "\x0f" // RFC 8551 §2.5.2
	oidProtection    oid = pkcs9 + "\x34" // RFC 6211 §2

	oidSHA1   oid = "\x2b\x0e\x03\x02\x1a" // 1.3.14.3.2.26
	oidSHA256 oid = nistAlgs + "\x02\x01"
	oidSHA384 oid = nistAlgs + "\x02\x02"
	oidSHA512 oid = nistAlgs + "\x02\x03"

	oidRSA         oid = pkcs1 + "\x01"
	oidRSASHA1     oid = pkcs1 + "\x05"
	oidOAEP        oid = pkcs1 + "\x07" // RFC 3560 §2
	oidMGF1        oid = pkcs1 + "\x08"
	oidPSpecified  oid = pkcs1 + "\x09"
	oidPSS         oid = pkcs1 + "\x0a" // RFC 4056 §2
	oidRSASHA256   oid = pkcs1 + "\x0b"
	oidRSASHA384   oid = pkcs1 + "\x0c"
	oidRSASHA512   oid = pkcs1 + "\x0d"
	oidECDSASHA1   oid = ansiX962 + "\x04\x01"
	oidECDSASHA256 oid = ecdsaSHA2 + "\x02"
	oidECDSASHA384 oid = ecdsaSHA2 + "\x03"
	oidECDSASHA512 oid = ecdsaSHA2 + "\x04"
	oidEd25519     oid = "\x2b\x65\x70" // RFC 8410 §3

	oidAES128CBC oid = nistAlgs + "\x01\x02"
	oidAES192CBC oid = nistAlgs + "\x01\x16"
	oidAES256CBC oid = nistAlgs + "\x01\x2a"
	oidAES128GCM oid = nistAlgs + "\x01\x06" // RFC 5084 §3.2
	oidAES192GCM oid = nistAlgs + "\x01\x1a"
	oidAES256GCM oid = nistAlgs + "\x01\x2e"
	oidZLIB      oid = pkcs9 + "\x10\x03\x08" // RFC 3274 §2
)

// parseOID checks the content octets of an OBJECT IDENTIFIER.
func parseOID(b []byte) (oid, error) {
	if len(b) > maxOIDBytes {
		return "", limit("octets of an object identifier")
	}
	arcs, start := 1, true // the first subidentifier holds two arcs
	for _, c := range b {
		if start && c == 0x80 {
			return "", syntax("object identifier with a padded arc")
		}
		if start = c < 0x80; start {
			arcs++
		}
	}
	if len(b) == 0 || !start {
		return "", syntax("object identifier cut")
	}
	if arcs > maxOIDArcs {
		return "", limit("arcs of an object identifier")
	}
	return oid(b), nil
}
