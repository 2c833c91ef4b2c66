// Package smime seals and opens messages: Seal signs and encrypts, Open decrypts and checks, both in one pass from reader to
// writer with memory that does not grow with the message. Whom to trust is not decided here: Open says which certificates'
// keys signed, packages trust and agent say what that is worth.
//
// It follows RFC 5751 (S/MIME 3.2, by which Direct binds itself) and RFC 8551 in its sections 3.1 (canonical form, wrapping),
// 3.3 (EnvelopedData) and 3.5.3 (multipart/signed), RFC 1847 (multipart/signed), Direct 2.4 and 2.5, and DICOM PS3.15 B.8.
//
// Made: multipart/signed with a detached signature around message/rfc822, inside EnvelopedData, in application/pkcs7-mime.
// Partners of B.8 that do not unwrap get the content's own fields as the signed part, and the others outside (SealOptions).
//
// Where it departs from these documents in what it reads, always to the strict side:
//   - EnvelopedData must be the single outermost body, and its content one multipart/signed. RFC 8551 §3.7 lets signing and
//     encryption be nested in any order; of a mixture nobody can tell which bytes were protected (EFAIL). So opaque
//     SignedData, compressed data and unsigned content are refused. AuthEnvelopedData is read as EnvelopedData is: its tag is no signature.
//   - multipart/signed has exactly two parts and is closed, names its protocol, and the second part is of that type; the old
//     x- names count as the same. A line that begins like an open delimiter and goes on otherwise is refused.
//   - Preamble and epilogue are dropped (RFC 2046 §5.1.1), but only where they are short printable text, as must be all else that is
//     encrypted and that no signature protects: the headers of the multipart and of its second part. Blocks that somebody without the
//     key puts there would else tell him by our answer what they decrypt to.
//   - A field that shapes an entity (Content-Type and the like) must stand once, in whatever header is read on the way.
//
// And to the lenient side:
//   - Besides the bytes as received their canonical form is tried (LF made CRLF, RFC 8551 §3.1.1): gateways and OpenSSL
//     change the one into the other. Signature.Canonicalised says where only the latter fits.
//   - The digest goes by what the SignerInfo says, among SHA-256, always computed, and those that micalg announces; among all
//     three of SHA-2 where micalg announces none that is known.
//   - message/rfc822 in base64 or quoted-printable is unwrapped, though RFC 2046 §5.2.1 forbids those encodings.
package smime
