package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/hook"
	"carepost/internal/transit"
)

// A running gateway tells what becomes of a message, once it has been handed over, and nothing of persons; what its receiver does not take comes
// again, as the same event. ATT-36.
func TestWebhookOfAGateway(t *testing.T) {
	type told struct{ id, body string }
	events := make(chan told, 100)
	refused := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("webhook-id")
		select {
		case refused <- id: // the first one
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		default:
		}
		select {
		case events <- told{id, string(body)}:
		default:
		}
	}))
	t.Cleanup(s.Close)
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		if o.Domain == "north.example" {
			o.Webhooks = []hook.Hook{{URL: s.URL, Events: []string{"recipient.hand-over"}, Secret: []byte("a secret of more than twenty-four octets")}}
			o.HookPlaces = []netip.AddrPort{netip.MustParseAddrPort(s.Listener.Addr().String())}
		}
	}, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	id := a.Submit(t, a.Letter("About Grace", "the knee is better", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	select {
	case e := <-events:
		var said struct {
			Type string
			Data struct{ Message, Recipient, State string }
		}
		if err := json.Unmarshal([]byte(e.body), &said); err != nil || said.Type != "recipient.hand-over" || said.Data.Message != id || e.id != <-refused {
			t.Errorf("%s: %s, %v", e.id, e.body, err)
		}
		if strings.Contains(e.body, "@") || strings.Contains(e.body, "Grace") || strings.Contains(e.body, "south") {
			t.Errorf("it tells of a person: %s", e.body)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was told")
	}
}
