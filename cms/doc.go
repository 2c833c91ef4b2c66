// Package cms reads and writes the containers of the Cryptographic Message Syntax that mail needs: SignedData, detached or with its
// content inside (read only), EnvelopedData, AuthEnvelopedData and CompressedData. No MIME and no trust: package smime is above the
// first, package trust beside the second.
//
// It follows RFC 5652 (CMS), RFC 3370 and RFC 5754 (RSA, ECDSA and SHA-2 in CMS), RFC 4056 (RSASSA-PSS), RFC 8419 (Ed25519),
// RFC 3560 (RSAES-OAEP), RFC 5753 and RFC 8418 (ECDH on P-256, P-384 and X25519), RFC 3394 (AES key wrap), RFC 3565 (AES-CBC),
// RFC 5083 and RFC 5084 (AuthEnvelopedData, AES-GCM), RFC 3274 (CompressedData), RFC 8933 (one digest algorithm for content and
// attributes), RFC 6211 (algorithm protection), RFC 8551 §2.5.2 and RFC 4262 (capabilities) and X.690 (BER, DER). What is refused,
// read and made is one table: see [Profile].
//
// What carries a content is written and read in one pass with flat memory: BER of indefinite length on the way out, any BER that
// RFC 5652 allows on the way in. Detached SignedData is small: it is written as DER, and read as BER.
// Reading is done by a pull parser without recursion, under the limits of type [Limits].
//
// The plaintext of an EnvelopedData is neither authenticated nor complete until its last byte has been read without an error. The
// caller keeps it hidden until a signature over it has been checked. Of an AuthEnvelopedData not an octet comes out before its tag
// has been checked in a first pass, unless the caller says by [ReadOptions] that it hides this one too. The tag says that the content
// is what somebody sealed who had the key, so any of the recipients: it is no signature. Whatever goes wrong behind the first octet
// of ciphertext, in either container, is [ErrDecrypt].
//
// A content key goes to an RSA certificate by key transport and to one on P-256, P-384 or X25519 by key agreement, with a RecipientInfo
// and an ephemeral key for each: P-256 with SHA-256 and P-384 with SHA-384 in the key derivation of ANSI X9.63, X25519 with SHA-256 in
// HKDF and no ukm (where all readings of RFC 8418 §2.2 agree), and a key wrap at least as strong as the content's cipher. On the way
// in, whatever goes wrong with a private key, in key transport or in key agreement, gives a random content key and in the end
// [ErrDecrypt], after the same work.
//
// Where it departs from RFC 5652 in what it reads, always to the strict side:
//   - §5.3: signedAttrs are required of every signer, also over id-data. Without them DER(signedAttrs) of one message is
//     a valid signature over a message that consists of these bytes.
//   - §5.2: where a signature has its content is the caller's word, not the message's: [ReadSigned] refuses content inside, [ReadOpaque] wants
//     it there. Any eContentType but id-data is refused.
//   - §5.4: a SET of signedAttrs that is not in DER order is refused, even where it was signed as it stands.
//   - §6.2: of RecipientInfos, key transport and key agreement with an ephemeral key of the originator are read. The other kinds,
//     and static keys of originators, are skipped, not tried. Two that name the same certificate of ours are refused, and a
//     RecipientInfo that does not open the message is never followed by another one.
//   - RFC 8017 §7.1: RSAES-OAEP with a label, or with absent parameters (which are not three defaults), is refused. Certificates for RSAES-OAEP alone (RFC 4055 §1.2) are not encrypted to: crypto/x509 does not read their keys.
//   - RFC 5753, RFC 8418: points are uncompressed and curves named; ECMQV, schemes with SHA-224 and key wraps other than AES are refused.
//   - §10.2.4: names are compared byte by byte, not by RFC 5280 §7.1. Whoever copies the issuer from the certificate passes.
//   - RFC 5083 §2.1: AuthEnvelopedData holds AES-GCM alone, and EnvelopedData AES-CBC alone. authAttrs must be DER, and have one
//     contentType, which is id-data; they are authenticated and told to nobody. unauthAttrs and unprotectedAttrs are passed over.
//   - RFC 5084 §3.2: nonces have 12 octets, and macs as many as aes-ICVlen says, 12 where it is left out. On the way out it is always
//     written, and 16: readers are about that do not know the default.
//   - RFC 3274: what is inside is id-data, so nothing is compressed twice, and it may not grow without end: see [Limits]. Nothing
//     stands behind the compressed stream.
//   - RFC 4056 §3: RSASSA-PSS with two different digests, or without any salt, is refused; so are certificates whose key says that
//     it is for RSASSA-PSS alone (RFC 4055 §1.2), which crypto/x509 does not read.
//   - Whatever the table of type [Profile] does not hold is refused with [ErrAlgorithm]: MD5, RSA below 2048 and above 8192 bits, DSA,
//     curves other than P-256, P-384 and the two of 25519, every content cipher but AES.
//
// To the other side, since others write so and it harms nobody: NULL stands for absent parameters with digests, RSA and ECDSA
// (RFC 5754 §3.3 has them absent), and a default of RSASSA-PSS and RSAES-OAEP may be written out.
package cms
