package mailbox_test

import (
	"strings"
	"testing"

	"carepost/internal/mailbox"
)

// What a person writes beside a study can be kept with it, whatever program wrote it; what is hidden in HTML is no text. DCM-27.
func TestReadLetter(t *testing.T) {
	const head = "From: =?utf-8?q?Dr=2E_L=C3=A9?= <le@north.example>\r\nTo: desk@south.example\r\nSubject: DICOM-ZIP Compare\r\n"
	const set = "--b\r\nContent-Type: application/zip; name=DICOM.ZIP\r\nContent-Disposition: attachment; filename=DICOM.ZIP\r\n\r\nPK\r\n"
	const report = "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\n\r\nx\r\n"
	const plain = "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=F6=DFe pr=FCfen.\r\n"
	const marked = "<html><head><title>no</title><style>p{}</style><script>alert(1)</script></head><body><p>Please\r\n compare.</p>tooth&nbsp;<b>11</b><br>by Monday</body></html>"
	mixed := func(parts ...string) string {
		return head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Join(parts, "") + "--b--\r\n"
	}
	for name, tc := range map[string]struct {
		mail, text, attached string
		cut                  bool
	}{
		"text and set":  {mixed(plain, set, report), "Größe prüfen.", "report.pdf (application/pdf)", false},
		"texts around":  {mixed(plain, set, "--b\r\n\r\nRegards\r\n"), "Größe prüfen.\n\nRegards", "", false},
		"text file":     {mixed(plain, "--b\r\nContent-Type: text/plain; name=n.txt\r\n\r\nno\r\n", set), "Größe prüfen.", "n.txt (text/plain)", false},
		"HTML alone":    {mixed("--b\r\nContent-Type: text/html\r\n\r\n"+marked+"\r\n", set), "Please compare.\ntooth 11\nby Monday", "", false},
		"both":          {mixed("--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html\r\n\r\n"+marked+"\r\n--c--\r\n", set), "plain", "", false},
		"no text":       {mixed(set), "", "", false},
		"only a letter": {head + "\r\nhello\x1b[2J\x00\u202e\r\nthere\r\n", "hello[2J\nthere", "", false},
		"long":          {mixed("--b\r\n\r\n"+strings.Repeat("0123456789abcde\n", 20000)+"\r\n", set), strings.Repeat("0123456789abcde\n", 16384), "", true},
		"broken":        {mixed("--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGFsbG8=\r\n!\r\n", set), "hallo", "", true},
	} {
		r := strings.NewReader(tc.mail)
		l, err := mailbox.ReadLetter(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.TrimSpace(l.Text) != strings.TrimSpace(tc.text) || strings.Join(l.Attached, "; ") != tc.attached || l.Cut != tc.cut {
			t.Errorf("%s: %.300q, %q, cut %v", name, l.Text, l.Attached, l.Cut)
		}
		if file := l.String(); !strings.Contains(file, "From:       Dr. Lé") || strings.ContainsAny(file, "\x1b\x00\r\u202e") {
			t.Errorf("%s: the file is %.300q", name, file)
		}
	}
}
