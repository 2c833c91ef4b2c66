package hook

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/fetch"
	"carepost/internal/keyring"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
)

const secret = "a secret of more than twenty-four octets"

// received is what a receiver took, checked by OpenSSL.
type received struct{ id, body string }

// verified checks a signature as a receiver would, by OpenSSL.
func verified(t *testing.T, r *http.Request, body []byte) bool {
	file := filepath.Join(t.TempDir(), "signed")
	if err := os.WriteFile(file, []byte(r.Header.Get("webhook-id")+"."+r.Header.Get("webhook-timestamp")+"."+string(body)), 0o600); err != nil {
		t.Error(err)
	}
	out, err := exec.Command("openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", fmt.Sprintf("hexkey:%x", secret), "-binary", file).Output()
	if err != nil {
		t.Error(err)
	}
	return r.Header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(out)
}

// Entries are told in order, signed, each until it is taken; nothing of a person is in them. ATT-36.
func TestWebhook(t *testing.T) {
	s := storetest.SQLite(t)
	var took []received
	status := 204
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !verified(t, r, body) {
			t.Errorf("%v, %q is not signed", err, body)
		}
		if status/100 == 2 {
			took = append(took, received{r.Header.Get("webhook-id"), string(body)})
		}
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	now := time.Now()
	way := fetch.New(fetch.Options{AllowPlaces: []netip.AddrPort{netip.MustParseAddrPort(server.Listener.Addr().String())}})
	h := New(Options{Store: s, Poster: way, Clock: func() time.Time { return now },
		Hooks: []Hook{{URL: server.URL, Events: []string{"recipient.seal", "recipient.fail"}, Secret: []byte(secret)}}})
	q, err := queue.New(queue.Options{Store: s}, h.Handlers()...)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.NewLog(audit.LogOptions{Store: s, Keys: keyring.New(s)})
	if err != nil {
		t.Fatal(err)
	}
	tx := func(fn func(*store.Tx) error) {
		t.Helper()
		if err := s.Tx(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	var recipient string
	tx(func(tx *store.Tx) error {
		m := store.Message{Direction: transit.Outbound, Kind: transit.Mail}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		r := store.Recipient{Message: m.ID, Address: addr.Address{Endpoint: "lab", Domain: "south.example"}}
		err := tx.InsertRecipient(&r)
		recipient = r.ID
		return err
	})
	act := func(action string) {
		t.Helper()
		tx(func(tx *store.Tx) error {
			return audit.Write(tx, audit.Entry{Actor: "flow", Action: action, Object: "recipient:" + recipient, Detail: map[string]string{"reason": "of a person"}})
		})
		if _, err := log.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run := func() error {
		t.Helper()
		if err := h.lookAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		tx(func(tx *store.Tx) error {
			all, err := tx.Works("", 10)
			for _, w := range all {
				err = tx.RetryWorkNow(w.ID)
			}
			return err
		})
		jobs, err := q.Claim(t.Context(), kind, store.Small, 1)
		if err != nil || len(jobs) == 0 {
			return err
		}
		if err := h.send(t.Context(), jobs[0]); err != nil {
			tx(func(tx *store.Tx) error { return jobs[0].Retry(tx, 0, err.Error()) })
			return err
		}
		tx(jobs[0].Finish)
		return nil
	}
	act("recipient.seal")
	if err := run(); err != nil || len(took) != 0 {
		t.Fatalf("what was before the hook: %v, %d", err, len(took))
	}
	act("recipient.seal")
	act("recipient.hand-over")
	for _, status = range []int{500, 302, 404, 410} {
		if err := run(); err == nil || len(took) != 0 || strings.Contains(err.Error(), "@") {
			t.Errorf("status %d: %v", status, err)
		}
	}
	status = 204
	act("recipient.fail")
	if err := run(); err != nil || len(took) != 2 {
		t.Fatalf("%v, %d told", err, len(took))
	}
	if !strings.Contains(took[0].body, `"type":"recipient.seal"`) || !strings.Contains(took[1].body, `"type":"recipient.fail"`) || took[0].id == took[1].id ||
		!strings.Contains(took[0].body, recipient) || !strings.Contains(took[0].body, `"state":"accepted"`) {
		t.Errorf("%+v", took)
	}
	for _, r := range took {
		if strings.Contains(r.body, "lab") || strings.Contains(r.body, "person") {
			t.Errorf("it tells of a person: %s", r.body)
		}
	}
	if err := run(); err != nil || len(took) != 2 {
		t.Errorf("told again: %v, %d", err, len(took))
	}
	// What nobody takes is given up in the end, and the next one is told.
	act("recipient.seal")
	status, now = 500, now.Add(4*24*time.Hour)
	if err := run(); err != nil {
		t.Errorf("given up: %v", err)
	}
	tx(func(tx *store.Tx) error {
		at, err := tx.Hook(h.id(h.o.Hooks[0]))
		if at.Dropped != 1 {
			t.Errorf("%+v", at)
		}
		return err
	})
}

func TestSecret(t *testing.T) {
	if s, err := Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(secret))); err != nil || string(s) != secret {
		t.Errorf("%q, %v", s, err)
	}
	for _, bad := range []string{"", "short", "whsec_!", "whsec_" + base64.StdEncoding.EncodeToString([]byte("short"))} {
		if _, err := Secret(bad); err == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
