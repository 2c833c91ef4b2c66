package message

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"testing"

	"carepost/message/messagetest"
)

const pythonParts = `
import email, json, sys
def parts(m):
    if m.is_multipart() and m.get_content_maintype() == "multipart":
        out = [[m.get_content_type(), ""]]
        for p in m.get_payload(): out += parts(p)
        return out
    if m.get_content_maintype() == "message":
        return [[m.get_content_type(), ""]]
    return [[m.get_content_type(), (m.get_payload(decode=True) or b"").decode("latin-1")]]
json.dump(parts(email.message_from_bytes(sys.stdin.buffer.read())), sys.stdout)
`

// DIR-07: another reader, Python's email package, sees the same parts and the same content in what we do not refuse.
func TestPythonAgrees(t *testing.T) {
	for name, c := range messagetest.Cases(t, "testdata/tree") {
		switch name {
		case "loose-types", "empty-parts":
			continue // Python takes a malformed type for text/plain, and drops the first of two empty parts
		}
		src := messagetest.CRLF(c.Files["in"])
		root, err := Parse(bytes.NewReader(src), int64(len(src)), Limits{})
		if err != nil {
			continue
		}
		var got [][2]string
		for p := range root.Walk() {
			text := ""
			if p.Type.Type != "multipart" && p.Type.Type != "message" {
				b, err := io.ReadAll(p.Open(bytes.NewReader(src)))
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range b {
					text += string(rune(x)) // as latin-1
				}
			}
			got = append(got, [2]string{p.Type.Type + "/" + p.Type.Subtype, text})
		}
		cmd := exec.Command("/usr/bin/python3", "-c", pythonParts)
		cmd.Stdin = bytes.NewReader(src)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("python3: %v", err)
		}
		var want [][2]string
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}
		if g, _ := json.Marshal(got); string(g) != string(mustJSON(want)) {
			t.Errorf("%s:\nours   %s\nPython %s", name, g, out)
		}
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
