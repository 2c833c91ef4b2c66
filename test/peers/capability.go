package peers

import (
	"strings"

	"carepost/cms"
)

// Capability is what a peer does with a feature in one direction.
type Capability struct {
	Can   bool
	NoWay bool   // it cannot be asked: there is no option. Where it neither can nor has no way, it is asked in the tests, and refuses
	Why   string // why not, or what is to be known
}

// claim is one thing that a peer cannot do, or does in a way of its own.
type claim struct {
	peer string // the begin of its name
	dir  []Direction
	of   func(Feature) bool
	Capability
}

var (
	reads = []Direction{Reads}
	makes = []Direction{Makes}
	both  = []Direction{Reads, Makes}
)

func uses(algorithms ...cms.Algorithm) func(Feature) bool {
	return func(f Feature) bool {
		for _, x := range algorithms {
			if f.Signature == x || f.Key == x || f.Cipher == x {
				return true
			}
		}
		return false
	}
}

func within(from, to cms.Algorithm) func(Feature) bool {
	return func(f Feature) bool { return f.Key >= from && f.Key <= to || f.Cipher >= from && f.Cipher <= to }
}

func refuses(why string) Capability { return Capability{Why: why} }
func noWay(why string) Capability   { return Capability{NoWay: true, Why: why} }

// claims is all that is known; the first that fits counts. The matrix's test holds each against the program that is installed.
var claims = []claim{
	{"OpenSSL", both, uses(cms.Ed25519), refuses("`cms` gives EdDSA a digest, which it does not take: \"invalid digest\"")},
	{"OpenSSL", both, uses(cms.ECDHX25519), refuses("`cms` agrees on keys with EC certificates alone")},
	{"OpenSSL", both, uses(cms.ZLIB), refuses("Debian builds it without zlib")},

	{"gpgsm", makes, uses(cms.RSAPSS), noWay("no option; it verifies PSS with a salt as long as the hash")},
	{"gpgsm", both, func(f Feature) bool { return f.Signature == cms.ECDSAP384 && f.Hash == cms.SHA256 },
		refuses("\"a 256 bit hash is not valid for a 384 bit ECC key\"")},
	{"gpgsm", both, func(f Feature) bool {
		return (f.Signature == cms.ECDSAP256 || f.Signature == cms.ECDSAP384) && f.Hash == cms.SHA1
	},
		refuses("no hash shorter than the curve: \"Invalid length\"")},
	{"gpgsm", makes, uses(cms.ECDSAP256, cms.ECDSAP384), Capability{Can: true,
		Why: "writes NULL as parameters of ECDSA, where RFC 5754 §3.3 wants none; read for its sake"}},
	{"gpgsm", both, uses(cms.Ed25519), refuses("hands Ed25519 to the rules of DSA: \"Internal error\"; its agent has no such keys for it")},
	{"gpgsm", reads, within(cms.RSAESOAEPSHA1, cms.RSAESOAEPSHA512), refuses("no OAEP: \"error getting encrypted session key\"")},
	{"gpgsm", makes, within(cms.RSAESOAEPSHA1, cms.RSAESOAEPSHA512), noWay("no OAEP, no option")},
	{"gpgsm", reads, within(cms.ECDHP256, cms.ECDHX25519), refuses("no key agreement: takes the shared secret for PKCS #1, \"Invalid session key\"")},
	{"gpgsm", makes, within(cms.ECDHP256, cms.ECDHX25519), refuses("no key agreement: wants keyEncipherment, \"Wrong key usage\"")},
	{"gpgsm", both, within(cms.AES128GCM, cms.AES256GCM), refuses("no AuthEnvelopedData")},
	{"gpgsm", reads, uses(cms.ZLIB), refuses("no CompressedData")},
	{"gpgsm", makes, uses(cms.ZLIB), noWay("no CompressedData, no option")},

	{"NSS", makes, uses(cms.RSAPSS), noWay("no option of cmsutil; it verifies PSS")},
	{"NSS", reads, uses(cms.Ed25519), refuses("no EdDSA")},
	{"NSS", makes, uses(cms.Ed25519, cms.ECDHX25519), noWay("no such keys in its database")},
	{"NSS", reads, within(cms.RSAESOAEPSHA1, cms.RSAESOAEPSHA512), refuses("no OAEP: \"SEC_ERROR_UNSUPPORTED_KEYALG\"; newer ones have it")},
	{"NSS", makes, within(cms.RSAESOAEPSHA1, cms.RSAESOAEPSHA512), noWay("no option of cmsutil")},
	{"NSS", both, within(cms.ECDHP256, cms.ECDHX25519), refuses("no key agreement; newer ones have ECDH")},
	{"NSS", reads, within(cms.AES128GCM, cms.AES256GCM), refuses("no AuthEnvelopedData")},
	{"NSS", makes, func(f Feature) bool { return f.Kind == Contents && f.Cipher != NSSCipher }, noWay("cmsutil chooses AES-128-CBC by itself")},
	{"NSS", reads, uses(cms.ZLIB), refuses("no CompressedData")},
	{"NSS", makes, uses(cms.ZLIB), noWay("no CompressedData, no option")},

	{"Bouncy Castle", both, uses(cms.ECDHX25519), Capability{Can: true,
		Why: "its parts (X25519, HKDF, KDF2, key wrap, ASN.1), joined by our driver: 1.72 has no class that does"}},
}

// Capable says what a peer does with f. What nothing is claimed of, it can.
func Capable(p Peer, f Feature, d Direction) Capability {
	for _, c := range claims {
		for _, dir := range c.dir {
			if dir == d && strings.HasPrefix(p.Name(), c.peer) && c.of(f) {
				return c.Capability
			}
		}
	}
	return Capability{Can: true}
}
