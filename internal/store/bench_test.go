package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
)

// accept is the transaction before every 250: body of 10 KB inline, message, recipient, work, audit entry.
func accept(b *testing.B, s *store.Store, n int64) {
	m := store.Message{Direction: transit.Inbound, Kind: transit.Mail, Size: 10 << 10, Dedupe: fmt.Append(nil, n),
		Envelope: transit.Envelope{From: addr.Path{Address: addr.Address{Endpoint: "dr.lee", Domain: "practice.example"}}, Helo: "mx.practice.example", TLS: "TLS 1.3"}}
	body := store.Blob{SHA256: make([]byte, 32), KID: s.Box().KID(), Size: 10 << 10, Inline: make([]byte, 10<<10+32)}
	if err := s.Tx(b.Context(), func(tx *store.Tx) error {
		body.ID, m.ID = tx.NewID(), tx.NewID()
		_, body.WrappedDEK = s.Box().WrapKey(body.ID, make([]byte, 32))
		m.Raw = body.ID
		if err := tx.InsertBlob(body); err != nil {
			return err
		}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		if err := tx.InsertRecipient(&store.Recipient{Message: m.ID, Address: addr.Address{Endpoint: "lab", Domain: "h.example"}}); err != nil {
			return err
		}
		if err := tx.InsertWork(&store.Work{Kind: "inbound", Ref: m.ID}); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: "smtpd", Action: "message.accept", Object: "message:" + m.ID, Detail: map[string]string{"tls": "1.3"}})
	}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAccept(b *testing.B) {
	engines := map[string]func(*testing.B) *store.Store{
		"SQLite": func(b *testing.B) *store.Store { return storetest.SQLite(b) },
		"PostgreSQL": func(b *testing.B) *store.Store {
			s, err := store.Open(b.Context(), store.Options{DSN: storetest.Postgres(b), KEK: storetest.Keeper(b)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			return s
		},
	}
	for name, open := range engines {
		for _, sessions := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/%d", name, sessions), func(b *testing.B) {
				s := open(b)
				var n atomic.Int64
				begun := time.Now()
				b.SetParallelism((sessions + 1) / 2) // times GOMAXPROCS, 2 on the reference machine
				if sessions == 1 {
					for b.Loop() {
						accept(b, s, n.Add(1))
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							accept(b, s, n.Add(1))
						}
					})
				}
				b.ReportMetric(float64(n.Load())/time.Since(begun).Seconds(), "msg/s")
			})
		}
	}
}
