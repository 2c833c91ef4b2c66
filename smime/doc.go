// Package smime seals and opens messages: Seal signs and encrypts, Open decrypts and checks, both in one pass from reader to
// writer with memory that does not grow with the message. Whom to trust is not decided here: Open says which certificates' keys
// signed, packages trust and agent say what that is worth.
//
// It follows RFC 5751 (S/MIME 3.2, by which Direct binds itself) and RFC 8551 in its sections 3.1 (canonical form, wrapping),
// 3.3 and 3.4 (EnvelopedData, AuthEnvelopedData), 3.5 (signing), 3.6 (compression) and 3.7 (nesting), RFC 1847
// (multipart/signed), RFC 2634 §1.1 (triple wrapping), RFC 9788 (header protection), Direct 2.4 and 2.5, and DICOM PS3.15 B.8.
//
// Made: multipart/signed with a detached signature around message/rfc822, inside EnvelopedData or AuthEnvelopedData, in
// application/pkcs7-mime. Partners of B.8 that do not unwrap get the content's own fields as the signed part, and the others
// outside (SealOptions).
//
// Read is the same, and, where OpenOptions.Forms asks for it, what others make of these layers, each once at most, in this
// order:
//
//	[signed around] encrypted [compressed] [signed [compressed]] entity
//
// A signature is a multipart/signed or a SignedData with its content inside; there must be one, around or inside.
// AuthEnvelopedData is read as EnvelopedData is: its tag is no signature.
//
// The message that comes out has the header of the wrapped message; or else all fields of the entity, and of the outer header
// those whose names the entity does not have. Where the entity says hp="clear" or "cipher" (RFC 9788 §2.1.1) its fields are the
// header, and outer ones count for nothing, but those of the trace; HP-Outer is left out. See Opened.Wrapped and
// Opened.HeaderProtected.
//
// # Departures to the strict side
//
//   - The body that is decrypted must be the whole message, or the whole content of the one signature around it. RFC 8551 §3.7
//     lets signing, encryption and compression be nested in any order and number; of a mixture nobody can tell which bytes were
//     protected (EFAIL). So there is no other order than the above, nothing is decrypted or decompressed twice, and what stands
//     deeper is content, delivered as it is.
//   - RFC 8551 §3.10 has application/octet-stream taken for S/MIME by the name of its file. Here it is not.
//   - An application/pkcs7-mime without smime-type is known by its first octets, one with another smime-type than its content is
//     refused; in both any case of letters does.
//   - multipart/signed has exactly two parts and is closed, names its protocol, and the second part is of that type; the old x-
//     names count as the same. A line that begins like an open delimiter and goes on otherwise is refused, and so is a boundary
//     that is folded or escaped.
//   - Preamble and epilogue are dropped (RFC 2046 §5.1.1), but only where they are short printable text, as must be all else
//     that is encrypted and that no signature protects: the headers of the multipart and of its second part. Blocks that
//     somebody without the key puts there would else tell him by our answer what they decrypt to.
//   - A field that shapes an entity (Content-Type and the like) must stand once, in whatever header is read on the way.
//   - RFC 9788 §4 would have a reader compare and warn; here an unprotected field beside protected ones is simply not in
//     Opened.Header. Opened.Outer has it.
//
// # Departures to the lenient side
//
//   - Besides the bytes as received their canonical form is tried (LF made CRLF, RFC 8551 §3.1.1): gateways and OpenSSL change
//     the one into the other. Signature.Canonicalised says where only the latter fits. What is signed with its content inside
//     has one form alone.
//   - With Epilogue the line end after a signed multipart is tried both ways, since the reference implementation in Java signs
//     it or not by a setting of its own. Signature.Epilogue says where only that fits.
//   - The digest goes by what the SignerInfo says, among SHA-256, always computed, and those that micalg announces; among all
//     that are accepted where micalg announces none that is known. RFC 8551 §3.5.3.2 has micalg a hint as well.
//   - message/rfc822 in base64 or quoted-printable is unwrapped, though RFC 2046 §5.2.1 forbids those encodings; not where it
//     says that it is forwarded=yes, which is a message passed on.
//
// # What a signature around the ciphertext does not say
//
// Whoever signs a ciphertext need not know what is in it (RFC 8551 §3.7). A partner whom we trust can cut off somebody else's
// signature, change the ciphertext and sign it anew; an answer to such a message would tell him whether it still decrypts. So
// EncryptedThenSigned is for partners who make nothing else, and what comes in it is better not answered,
// unless it is AuthEnvelopedData.
package smime
