"""What the Edge Testing Tool checks of a message that it gets, and of a notice, by its own numbers (DTS).

Standard input: a JSON list of messages, each with its octets in base64: "outer" as it came, "signed" when decrypted, "inner" the wrapped
message; and as text what OpenSSL prints of both structures and of the signer's certificate: "enveloped", "cms", "certificate".
Standard output: for each message a JSON object, the name of each case with the list of what is wrong.
Nothing but Python's own library looks at the messages.
"""
import base64
import email
import email.policy
import email.utils
import json
import re
import sys

CASES, NOTICE_CASES = [], []
MSGID = re.compile(r"^<[^<>@\s]+@[^<>@\s]+>$")
ADDRESS = re.compile(r"^[^<>@\s]+@[^<>@\s]+$")
RESENT = ["Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc", "Resent-Message-ID"]


def case(name, into=CASES):
    def add(check):
        into.append((name, check))
        return check
    return add


def notice(name):
    return case(name, NOTICE_CASES)


class Message:
    def __init__(self, given):
        self.raw = {k: base64.b64decode(given[k]) for k in ("outer", "signed", "inner")}
        self.outer, self.signed, self.inner = (email.message_from_bytes(self.raw[k], policy=email.policy.SMTP) for k in ("outer", "signed", "inner"))
        self.enveloped, self.cms, self.certificate = (given[k] for k in ("enveloped", "cms", "certificate"))

    def both(self):
        return (("outer", self.outer), ("inner", self.inner))


def only_one(part, where, name):
    n = len(part.get_all(name, []))
    if n != 1:
        yield f"{where}: {n} fields {name}"


def at_most_one(part, where, name):
    if len(part.get_all(name, [])) > 1:
        yield f"{where}: several fields {name}"


def addresses(part, where, name):
    for field in part.get_all(name, []):
        for _, a in email.utils.getaddresses([str(field)]):
            if not ADDRESS.match(a):
                yield f"{where}: {name} with {a!r}"


def ids(part, where, name):
    for field in part.get_all(name, []):
        words = str(field).split()
        if not words or not all(MSGID.match(w) for w in words):
            yield f"{where}: {name} with {field!r}"


def once(name, also=lambda part, where, name: ()):
    def check(m):
        for where, part in m.both():
            yield from only_one(part, where, name)
            yield from also(part, where, name)
    return check


def perhaps(name, also=lambda part, where, name: ()):
    def check(m):
        for where, part in m.both():
            yield from at_most_one(part, where, name)
            yield from also(part, where, name)
    return check


def date(part, where, name):
    for field in part.get_all(name, []):
        try:
            if email.utils.parsedate_to_datetime(str(field)) is None:
                yield f"{where}: {name} with {field!r}"
        except ValueError:
            yield f"{where}: {name} with {field!r}"


# The header, outside and inside.
@case("DTS102b_MIME_Version")
def _(m):
    for where, part in m.both() + (("signed", m.signed),):
        if where != "signed" or part["MIME-Version"]:
            yield from only_one(part, where, "MIME-Version")
            if str(part["MIME-Version"]).strip() != "1.0":
                yield f"{where}: {part['MIME-Version']}"


@case("DTS103_to_106_Return_Path_Received")
def _(m):
    for where, part in m.both():
        yield from at_most_one(part, where, "Return-Path")
        for field in part.get_all("Received", []):
            if ";" not in str(field) or email.utils.parsedate_tz(str(field).rsplit(";", 1)[1]) is None:
                yield f"{where}: Received without a date"


@case("DTS107_to_113_Resent")
def _(m):
    for where, part in m.both():
        for name in RESENT:
            yield from at_most_one(part, where, name)
        if any(part[n] for n in RESENT) and not (part["Resent-Date"] and part["Resent-From"]):
            yield f"{where}: Resent fields without Resent-Date and Resent-From"


case("DTS114_Date")(once("Date", date))
case("DTS115_From")(once("From", addresses))
case("DTS116_Sender")(perhaps("Sender", addresses))
case("DTS117_Reply_To")(perhaps("Reply-To", addresses))
case("DTS118_To")(perhaps("To", addresses))
case("DTS119_Cc")(perhaps("Cc", addresses))
case("DTS121_Message_ID")(once("Message-ID", ids))
case("DTS122_In_Reply_To")(perhaps("In-Reply-To", ids))
case("DTS123_References")(perhaps("References", ids))
case("DTS124_Subject")(perhaps("Subject"))
case("DTS128_Disposition_Notification_To")(perhaps("Disposition-Notification-To", addresses))


@case("DTS120_Bcc")
def _(m):
    for where, part in m.both():
        if part["Bcc"] is not None:
            yield f"{where}: a Bcc field"


@case("DTS125_to_127_Comments_Keywords_optional_fields")
def _(m):
    for k in ("outer", "inner"):
        head = m.raw[k].split(b"\r\n\r\n", 1)[0]
        for line in head.split(b"\r\n"):
            if line[:1] in b" \t":
                continue
            if not re.match(rb"^[!-9;-~]+:", line):
                yield f"{k}: a line that is no field"
            if len(line) > 998:
                yield f"{k}: a line of {len(line)} octets"


@case("DTS129_195_body_is_base64_of_CMS")
def _(m):
    body = m.raw["outer"].split(b"\r\n\r\n", 1)[1]
    for line in body.split(b"\r\n"):
        if len(line) > 76:
            yield f"a line of {len(line)} characters"
            break
    der = base64.b64decode(body, validate=False)
    if der[:1] != b"\x30":
        yield "no CMS"


@case("DTS133_to_149_MIME_fields")
def _(m):
    for where, top in (("outer", m.outer), ("signed", m.signed), ("inner", m.inner)):
        for part in top.walk():
            if part.defects:
                yield f"{where}: {part.defects}"
            cte = str(part.get("Content-Transfer-Encoding", "7bit")).lower()
            if cte not in ("7bit", "8bit", "binary", "base64", "quoted-printable"):
                yield f"{where}: {cte}"
            for name in ("Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description", "Content-Disposition"):
                yield from at_most_one(part, where, name)


@case("DTS190_application_pkcs7_mime")
def _(m):
    if m.outer.get_content_type() not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        yield m.outer.get_content_type()
    if str(m.outer["Content-Transfer-Encoding"]).lower() != "base64":
        yield str(m.outer["Content-Transfer-Encoding"])


@case("DTS191_smime_type_enveloped_data")
def _(m):
    if m.outer.get_param("smime-type") not in ("enveloped-data", "authEnveloped-data"):
        yield str(m.outer.get_param("smime-type"))


@case("DTS192_name_smime_p7m")
def _(m):
    if m.outer.get_param("name") != "smime.p7m":
        yield str(m.outer.get_param("name"))


@case("DTS161_194_disposition")
def _(m):
    if m.outer.get_content_disposition() != "attachment" or m.outer.get_filename() != "smime.p7m":
        yield str(m.outer["Content-Disposition"])


@case("DTS196_197_199_wrapped")
def _(m):
    for name in ("From", "Date", "Message-ID"):
        if str(m.outer[name]) != str(m.inner[name]):
            yield f"{name} is {m.outer[name]!r} outside and {m.inner[name]!r} inside"
    inside = {a for _, a in email.utils.getaddresses([str(f) for n in ("To", "Cc") for f in m.inner.get_all(n, [])])}
    outside = {a for _, a in email.utils.getaddresses([str(f) for n in ("To", "Cc") for f in m.outer.get_all(n, [])])}
    if not outside or not outside <= inside:
        yield f"outside are recipients that are not inside: {outside - inside}"
    if m.inner["Subject"] and m.outer["Subject"]:
        yield "the subject is outside"


@case("DTS200_wrapped_entity")
def _(m):
    first = m.signed.get_payload()[0]
    if first.get_content_type() != "message/rfc822" or not first.is_multipart():
        yield first.get_content_type()
    if first["Content-Transfer-Encoding"] and str(first["Content-Transfer-Encoding"]).lower() in ("base64", "quoted-printable"):
        yield "message/rfc822 is encoded (RFC 2046 5.2.1)"


@case("DTS138_to_140_151_to_157_multipart_signed_of_two")
def _(m):
    if m.signed.get_content_type() != "multipart/signed":
        yield m.signed.get_content_type()
    if len(m.signed.get_payload()) != 2:
        yield f"{len(m.signed.get_payload())} parts"
    boundary = m.signed.get_boundary()
    if not boundary or len(boundary) > 70:
        yield f"the boundary {boundary!r}"


@case("DTS160_micalg")
def _(m):
    if m.signed.get_param("micalg") not in ("sha-256", "sha256", "sha-384", "sha-512"):
        yield str(m.signed.get_param("micalg"))


@case("DTS205_protocol")
def _(m):
    if m.signed.get_param("protocol") != "application/pkcs7-signature":
        yield str(m.signed.get_param("protocol"))


@case("DTS201_to_204_206_207_signature_part")
def _(m):
    part = m.signed.get_payload()[1]
    if part.get_content_type() != "application/pkcs7-signature" or part.get_filename() != "smime.p7s":
        yield f"{part.get_content_type()}, {part.get_filename()}"
    if str(part["Content-Transfer-Encoding"]).lower() != "base64":
        yield str(part["Content-Transfer-Encoding"])


@case("DTS164_166_SignedData")
def _(m):
    if "contentType: pkcs7-signedData" not in m.cms:
        yield "no SignedData"


@case("DTS167_182_no_eContent")
def _(m):
    if "eContentType: pkcs7-data" not in m.cms or "eContent: <ABSENT>" not in m.cms:
        yield "a content inside"


@case("DTS165_digest_algorithm")
def _(m):
    used = set(re.findall(r"digestAlgorithms?:\s+algorithm: (\S+)", m.cms))
    if not used or not used <= {"sha256", "sha384", "sha512"}:
        yield str(used)
    if m.signed.get_param("micalg").replace("-", "") not in used:
        yield f"micalg says another than {used}"


@case("DTS_C1_signature_and_certificate_file")
def _(m):  # that it verifies OpenSSL has said
    if "d.certificate:" not in m.cms:
        yield "the signature brings no certificate"


def sans(m):
    found = re.search(r"Subject Alternative Name:[^\n]*\n\s*(.*)", m.certificate)
    return [s.strip() for s in found.group(1).split(",")] if found else []


@case("DTS240_C4_C5_C7_subjectAltName")
def _(m):
    sender = email.utils.parseaddr(str(m.inner["From"]))[1]
    if "email:" + sender not in sans(m) and "DNS:" + sender.rsplit("@", 1)[1] not in sans(m):
        yield f"{sans(m)} is not the sender's"


@case("DTS225_subject")
def _(m):
    if not re.search(r"Subject: \S", m.certificate):
        yield "the certificate has no subject"


@case("SVAP_key_length_and_signature_algorithm")
def _(m):
    bits = re.search(r"Public-Key: \((\d+) bit\)", m.certificate)
    kind = re.search(r"Public Key Algorithm: (\S+)", m.certificate).group(1)
    if kind == "rsaEncryption" and int(bits.group(1)) < 2048:
        yield f"RSA of {bits.group(1)} bits"
    if re.search(r"Signature Algorithm: \S*(sha1|md5)", m.certificate, re.I):
        yield "a weak signature"


@case("key_transport_and_encryption_algorithm")
def _(m):
    cipher = re.search(r"contentEncryptionAlgorithm:\s+algorithm: (\S+)", m.enveloped)
    if not cipher or not re.match(r"(?i)(id-)?aes-?(128|192|256)-?(cbc|gcm)", cipher.group(1)):
        yield str(cipher and cipher.group(1))
    transport = re.findall(r"keyEncryptionAlgorithm:\s+algorithm: (\S+)", m.enveloped)
    if not transport or not set(transport) <= {"rsaEncryption", "rsaesOaep"}:
        yield str(transport)


# Notices.
def fields(m):
    """The fields of the second part of a notice."""
    return m.inner.get_payload()[1].get_payload()[0]


@notice("DTS450_signed")
def _(m):
    if m.signed.get_content_type() != "multipart/signed":
        yield m.signed.get_content_type()


@notice("DTS451_header")
def _(m):
    for name in ("From", "To", "Date", "Message-ID", "MIME-Version", "Subject"):
        yield from only_one(m.inner, "inner", name)
    if m.inner["Message-ID"] == fields(m)["Original-Message-ID"]:
        yield "the Message-ID is the original's"


@notice("DTS452_no_Disposition_Notification_To")
def _(m):
    for where, part in m.both():
        if part["Disposition-Notification-To"]:
            yield f"{where}: it asks for a notice"


@notice("DTS453_no_options")
def _(m):
    for where, part in m.both():
        if part["Disposition-Notification-Options"]:
            yield f"{where}: it has options"


def typed(m, name):
    for field in fields(m).get_all(name, []):
        kind, _, address = str(field).partition(";")
        if kind.strip().lower() != "rfc822" or not ADDRESS.match(address.strip()):
            yield f"{name}: {field!r}"


@notice("DTS454_459_Original_Recipient")
def _(m):
    yield from at_most_one(fields(m), "fields", "Original-Recipient")
    yield from typed(m, "Original-Recipient")


@notice("DTS455_report_of_three_parts")
def _(m):
    if m.inner.get_content_type() != "multipart/report" or m.inner.get_param("report-type") != "disposition-notification":
        yield str(m.inner["Content-Type"])
    kinds = [p.get_content_type() for p in m.inner.get_payload()]
    if kinds[:2] != ["text/plain", "message/disposition-notification"] or len(kinds) > 3 or kinds[2:] not in ([], ["text/rfc822-headers"], ["message/rfc822"]):
        yield str(kinds)


@notice("DTS456_content")
def _(m):
    if not m.inner.get_payload()[0].get_content().strip():
        yield "no text for people"
    if m.inner.get_payload()[1].get_content_type() != "message/disposition-notification" or not fields(m).keys():
        yield "no fields"


def one_of(name, required, also=lambda m: ()):
    def check(m):
        if required:
            yield from only_one(fields(m), "fields", name)
        else:
            yield from at_most_one(fields(m), "fields", name)
        yield from also(m)
    return check


notice("DTS457_Reporting_UA")(one_of("Reporting-UA", False))
notice("DTS458_MDN_Gateway")(one_of("MDN-Gateway", False))
notice("DTS460_Final_Recipient")(one_of("Final-Recipient", True, lambda m: typed(m, "Final-Recipient")))
notice("DTS461_Original_Message_ID")(one_of("Original-Message-ID", True, lambda m: ids(fields(m), "fields", "Original-Message-ID")))
DISPOSITION = re.compile(r"^(manual|automatic)-action/MDN-sent-(manually|automatically);\s*(processed|dispatched|displayed|failed)(/[A-Za-z-]+(,[A-Za-z-]+)*)?$")


@notice("DTS462_Disposition")
def _(m):
    yield from only_one(fields(m), "fields", "Disposition")
    if not DISPOSITION.match(str(fields(m)["Disposition"]).strip()):
        yield str(fields(m)["Disposition"])


@notice("DTS463_Failure")
def _(m):
    if fields(m)["Failure"] and "failed" not in str(fields(m)["Disposition"]):
        yield "Failure, and it has not failed"


@notice("DTS464_Error")
def _(m):
    if ("error" in str(fields(m)["Disposition"]).partition("/")[2].partition(";")[2]) != bool(fields(m)["Error"]):
        yield "the modifier error and the field Error do not go together"


@notice("DTS465_Warning")
def _(m):
    yield from at_most_one(fields(m), "fields", "Warning")


@notice("DTS466_extension_field")
def _(m):
    extra = fields(m).get_all("X-DIRECT-FINAL-DESTINATION-DELIVERY", [])
    if ";dispatched" in str(fields(m)["Disposition"]).replace(" ", "") and len(extra) != 1:
        yield "a dispatched notice without the field of the final delivery"
    if extra and (str(extra[0]).strip() or ";dispatched" not in str(fields(m)["Disposition"]).replace(" ", "")):
        yield "the field of the final delivery where it means nothing"


def main():
    out = []
    for given in json.load(sys.stdin):
        m = Message(given)
        found = {}
        cases = [("send_" + n, c) for n, c in CASES]
        if m.inner.get_param("report-type") == "disposition-notification":
            cases += [("notice_" + n, c) for n, c in NOTICE_CASES]
        for name, check in cases:
            try:
                wrong = list(check(m))
            except Exception as e:
                wrong = [f"{type(e).__name__}: {e}"]
            found[name] = wrong
        out.append(found)
    json.dump(out, sys.stdout)


main()
