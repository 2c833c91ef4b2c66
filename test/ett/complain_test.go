package ett

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// fault is a change to a message after which a check must complain.
type fault struct{ where, old, new, check string }

// faults of messages and of notices. old is written as in a message made by the installation; the case of letters counts.
var faults = []fault{
	{"outer", "MIME-Version: 1.0\r\n", "", "send_DTS102b_MIME_Version"},
	{"outer", "MIME-Version:", "Received: by nobody\r\nMIME-Version:", "send_DTS103_to_106_Return_Path_Received"},
	{"inner", "MIME-Version:", "Resent-To: lab@ett.example\r\nMIME-Version:", "send_DTS107_to_113_Resent"},
	{"outer", "Date: ", "Date: soon, ", "send_DTS114_Date"},
	{"outer", "From: ", "From: a\r\nFrom: ", "send_DTS115_From"},
	{"inner", "MIME-Version:", "Bcc: lab@ett.example\r\nMIME-Version:", "send_DTS120_Bcc"},
	{"outer", "Message-ID: <", "Message-ID: ", "send_DTS121_Message_ID"},
	{"inner", "MIME-Version:", "In-Reply-To: that of yesterday\r\nMIME-Version:", "send_DTS122_In_Reply_To"},
	{"inner", "MIME-Version:", "no field\r\nMIME-Version:", "send_DTS125_to_127_Comments_Keywords_optional_fields"},
	{"inner", "MIME-Version:", "Disposition-Notification-To: nobody\r\nMIME-Version:", "send_DTS128_Disposition_Notification_To"},
	{"outer", "\r\n\r\nMI", "\r\n\r\nXX", "send_DTS129_195_body_is_base64_of_CMS"},
	{"outer", "application/pkcs7-mime", "application/octet-stream", "send_DTS190_application_pkcs7_mime"},
	{"outer", "enveloped-data", "signed-data", "send_DTS191_smime_type_enveloped_data"},
	{"outer", "smime.p7m", "smime.bin", "send_DTS192_name_smime_p7m"},
	{"outer", "attachment", "inline", "send_DTS161_194_disposition"},
	{"outer", "MIME-Version:", "Subject: told to everybody\r\nMIME-Version:", "send_DTS196_197_199_wrapped"},
	{"signed", "message/rfc822", "text/plain", "send_DTS200_wrapped_entity"},
	{"signed", "micalg=", "x=", "send_DTS160_micalg"},
	{"signed", "protocol=\"application/pkcs7-signature\"", "protocol=\"application/x\"", "send_DTS205_protocol"},
	{"signed", "smime.p7s", "smime.bin", "send_DTS201_to_204_206_207_signature_part"},
	{"cms", "eContent: <ABSENT>", "eContent:", "send_DTS167_182_no_eContent"},
	{"cms", "algorithm: sha256", "algorithm: sha1", "send_DTS165_digest_algorithm"},
	{"cms", "d.certificate:", "d.nothing:", "send_DTS_C1_signature_and_certificate_file"},
	{"certificate", "DNS:north.example", "DNS:south.example", "send_DTS240_C4_C5_C7_subjectAltName"},
	{"certificate", "(2048 bit)", "(1024 bit)", "send_SVAP_key_length_and_signature_algorithm"},
	{"enveloped", "algorithm: aes", "algorithm: des", "send_key_transport_and_encryption_algorithm"},

	{"inner", "MIME-Version:", "Disposition-Notification-To: a@b.example\r\nMIME-Version:", "notice_DTS452_no_Disposition_Notification_To"},
	{"inner", "MIME-Version:", "Disposition-Notification-Options: x=optional,y\r\nMIME-Version:", "notice_DTS453_no_options"},
	{"inner", "Original-Recipient: rfc822;", "Original-Recipient: ", "notice_DTS454_459_Original_Recipient"},
	{"inner", "Final-Recipient:", "Final:", "notice_DTS460_Final_Recipient"},
	{"inner", "Original-Message-ID: <", "Original-Message-ID: ", "notice_DTS461_Original_Message_ID"},
	{"inner", "/MDN-sent-automatically", "", "notice_DTS462_Disposition"},
	{"inner", "Disposition: automatic", "Failure: none\r\nDisposition: automatic", "notice_DTS463_Failure"},
	{"inner", "Disposition: automatic", "Error: none\r\nDisposition: automatic", "notice_DTS464_Error"},
	{"inner", "Disposition: automatic", "Warning: a\r\nWarning: b\r\nDisposition: automatic", "notice_DTS465_Warning"},
	{"inner", "Disposition: automatic", "X-DIRECT-FINAL-DESTINATION-DELIVERY:\r\nDisposition: automatic", "notice_DTS466_extension_field"},
}

// complains damages messages that were good, one at a time: the check whose matter it is must say so.
func complains(t *testing.T, good []looked) {
	is := func(action string) int {
		return slices.IndexFunc(good, func(m looked) bool { return bytes.Contains(m.Inner, []byte(action)) })
	}
	message, notice := is("Content-Type: text/plain; charset=utf-8\r\n\r\nThe knee"), is(";processed\r\n")
	if message < 0 || notice < 0 {
		t.Fatalf("there is no message and no processed notice among %d", len(good))
	}
	var bad []looked
	for _, f := range faults {
		m := good[message]
		if strings.HasPrefix(f.check, "notice_") {
			m = good[notice]
		}
		changed := false
		edit := func(s string) string {
			out := strings.ReplaceAll(s, f.old, f.new)
			changed = out != s
			return out
		}
		switch f.where {
		case "outer":
			m.Outer = []byte(edit(string(m.Outer)))
		case "signed":
			m.Signed = []byte(edit(string(m.Signed)))
		case "inner":
			m.Inner = []byte(edit(string(m.Inner)))
		case "cms":
			m.CMS = edit(m.CMS)
		case "certificate":
			m.Certificate = edit(m.Certificate)
		case "enveloped":
			m.Enveloped = edit(m.Enveloped)
		}
		if !changed {
			t.Errorf("%q is nowhere in %s", f.old, f.where)
		}
		bad = append(bad, m)
	}
	for i, found := range python(t, bad) {
		if len(found[faults[i].check]) == 0 {
			t.Errorf("%s says nothing of %q in the place of %q", faults[i].check, faults[i].new, faults[i].old)
		}
	}
}
