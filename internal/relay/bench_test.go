package relay_test

import (
	"strings"
	"sync"
	"testing"

	"carepost/addr"
	"carepost/internal/relay"
	"carepost/internal/transit"
)

// Messages to Postfix's smtp-sink: 10 KB from 20 workers, a connection for each, and 50 MB from one.
func BenchmarkDeliver(b *testing.B) {
	line := strings.Repeat("0123456789", 7) + "012345\r\n"
	for name, c := range map[string]struct{ size, workers int }{"10KB-20": {10 << 10, 20}, "50MB-1": {50 << 20, 1}} {
		b.Run(name, func(b *testing.B) {
			at := freePort(b)
			start(b, at, "smtp-sink", "-u", "nobody", at, "1000")
			client := relay.New(relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": at}})
			message := "a: b\r\n\r\n" + strings.Repeat(line, c.size/len(line))
			b.SetBytes(int64(len(message)))
			work := make(chan struct{})
			var all sync.WaitGroup
			for range c.workers {
				all.Go(func() {
					for range work {
						out := client.Deliver(b.Context(), consignment(b, "a@x.example", "b@y.example", text(message)))
						if out.At[0].Result != transit.Delivered {
							b.Error(describe(out.At[0]))
						}
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
