package dicomweb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A body that breaks off, wherever it does, is never answered as one that was stored: who still listens learns that it is to be sent again. ATT-42.
func TestBrokenOff(t *testing.T) {
	h := newHouse(t, 0, nil)
	whole := body(t, objects(t)[:2]...)
	at := strings.TrimSuffix(strings.TrimPrefix(h.url, "http://"), "/dicom-web")
	for name, left := range map[string]int{"in the first object": len(whole) / 4, "in the second": len(whole) * 3 / 4, "before the end": 5, "at once": len(whole)} {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("POST", "/", nil)
		basic(req)
		fmt.Fprintf(conn, "POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", req.Header.Get("Authorization"), related, len(whole))
		if _, err := io.WriteString(conn, whole[:len(whole)-left]); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
		conn.Close()
	}
}
