package admind

import (
	"strings"
	"testing"

	"carepost/internal/mailbox"
	"carepost/message"
)

// Who takes the set of a mail out by an outline learns of it what speaks against its being all that was sent, and of the form of the mail
// nothing. DCM-22.
func TestOutlineDoubts(t *testing.T) {
	const part = "--b\r\nContent-Type: application/octet-stream; name=DICOM.ZIP\r\n\r\nx\r\n"
	for mail, want := range map[string]string{part: "", part + part: "mail-two-sets"} {
		mail = "Subject: images\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + mail + "--b--\r\n"
		r := strings.NewReader(mail)
		root, err := message.Parse(r, r.Size(), message.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		study, err := mailbox.FindStudy(root, r)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, d := range outlined(Mail{}, root, study).Doubts {
			got += d.Rule
		}
		if got != want {
			t.Errorf("%q rather than %q", got, want)
		}
	}
}
