package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// event is the body of a webhook: no address, no subject, no reason.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Message   string `json:"message,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	State     string `json:"state,omitempty"` // as it is now
}

// body tells an entry. Of a recipient it looks up the message, and how far that is.
func (s *Service) body(ctx context.Context, r audit.Record) ([]byte, error) {
	e := event{Type: r.Action, Timestamp: r.At.UTC()}
	what, id, _ := strings.Cut(r.Object, ":")
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		switch what {
		case "message":
			e.Data.Message = id
			m, err := tx.Message(id)
			e.Data.State = string(m.State)
			return err
		case "recipient":
			e.Data.Recipient = id
			r, err := tx.Recipient(id)
			e.Data.Message, e.Data.State = r.Message, string(r.State)
			return err
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return json.Marshal(e)
}

// sign makes the header fields of Standard Webhooks.
func sign(secret []byte, id string, now time.Time, body []byte) map[string]string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return map[string]string{
		"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": at,
		"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

// minSecret is how many octets a secret has at least.
const minSecret = 24

// Secret reads a secret as it stands in a file: "whsec_" and base64, or the octets themselves.
func Secret(text string) ([]byte, error) {
	secret := []byte(text)
	if coded, ok := strings.CutPrefix(text, "whsec_"); ok {
		var err error
		if secret, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, errors.New("hook: the secret is not base64 after whsec_")
		}
	}
	if len(secret) < minSecret {
		return nil, errors.New("hook: the secret is too short: 24 octets at least")
	}
	return secret, nil
}
