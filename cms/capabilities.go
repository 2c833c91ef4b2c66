package cms

import (
	"crypto/x509"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxCapabilities bounds what is kept of a list; what comes after is passed over.
const maxCapabilities = 64

// capabilityOf returns x as a SMIMECapability, nil where it is not announced. Of signatures and of key agreement nothing is
// said: the certificate does that.
func capabilityOf(x Algorithm) []byte {
	id := map[Algorithm]oid{
		RSAESPKCS1v15: oidRSA,
		AES128CBC:     oidAES128CBC, AES192CBC: oidAES192CBC, AES256CBC: oidAES256CBC, // RFC 3565 §4.1
		AES128GCM: oidAES128GCM, AES192GCM: oidAES192GCM, AES256GCM: oidAES256GCM,
		ZLIB: oidZLIB, // RFC 3274 §2
	}[x]
	if id != "" {
		return encode(func(b *cryptobyte.Builder) { addAlgorithm(b, id, nil) })
	}
	digest := map[Algorithm]oid{
		RSAESOAEPSHA1: oidSHA1, RSAESOAEPSHA256: oidSHA256, RSAESOAEPSHA384: oidSHA384, RSAESOAEPSHA512: oidSHA512}[x]
	if digest == "" {
		return nil
	}
	return encode(func(b *cryptobyte.Builder) { // RFC 3560 §5, with the parameters of RFC 4055 §4.1
		addAlgorithm(b, oidOAEP, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if digest != oidSHA1 { // the default
					addDigestAndMask(b, digest)
				}
			})
		})
	})
}

// addCapabilities writes SMIMECapabilities in the order given, which is that of preference (RFC 8551 §2.5.2).
func addCapabilities(b *cryptobyte.Builder, all []Algorithm) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, x := range all {
			b.AddBytes(capabilityOf(x))
		}
	})
}

// parseCapabilities reads the content of SMIMECapabilities: those that are known, each once. What is unknown or odd is passed
// over (RFC 8551 §2.5.2).
func parseCapabilities(content cryptobyte.String) (known []Algorithm) {
	for n := 0; n < maxCapabilities && !content.Empty(); n++ {
		var one cryptobyte.String
		if !content.ReadASN1(&one, asn1.SEQUENCE) {
			break
		}
		a, err := parseAlgorithm(one)
		if err != nil {
			continue
		}
		if x := capability(a); x != 0 && !slices.Contains(known, x) {
			known = append(known, x)
		}
	}
	return known
}

// capability is the reverse of capabilityOf, NULL being as good as absent.
func capability(a algorithmIdentifier) Algorithm {
	if x, mask := transportOf(a); x != 0 && mask == x {
		return x
	}
	if !a.noParams() {
		return 0
	}
	return map[oid]Algorithm{
		oidAES128CBC: AES128CBC, oidAES192CBC: AES192CBC, oidAES256CBC: AES256CBC,
		oidAES128GCM: AES128GCM, oidAES192GCM: AES192GCM, oidAES256GCM: AES256GCM,
		oidZLIB: ZLIB,
	}[a.oid]
}

const oidCapabilitiesExtension = "1.2.840.113549.1.9.15"

// CertificateCapabilities returns what cert announces of its owner's software, as SignerInfo.Capabilities (RFC 4262). It is worth
// as much as the certificate; what a signature announced later is to be preferred.
func CertificateCapabilities(cert *x509.Certificate) []Algorithm {
	for _, e := range cert.Extensions {
		if e.Id.String() != oidCapabilitiesExtension {
			continue
		}
		s := cryptobyte.String(e.Value)
		var content cryptobyte.String
		if wellFormedDER(e.Value, 16) != nil || !s.ReadASN1(&content, asn1.SEQUENCE) || !s.Empty() {
			return nil
		}
		return parseCapabilities(content)
	}
	return nil
}
