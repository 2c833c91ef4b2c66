package message
import ("testing";"io";"strings";"mime/quotedprintable")
func TestProbe(t *testing.T) {
	pr, pw := io.Pipe(); pr.Close()
	w := NewBase64Writer(pw)
	_, e1 := w.Write([]byte("hello"))
	t.Log("write", e1, "close", w.Close())
	for _, in := range []string{"a=", "a=4", "a=\r", "a=4\r\n","a=\r\n","=", strings.Repeat("x",5000)+"\r\n"} {
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(in)))
		t.Logf("%.10q -> %d %.20q %v", in, len(b), b, err)
	}
}
