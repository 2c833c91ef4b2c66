package smtp

import "time"

// Pace is the patience for one message's content: a wait for one read or write is bounded by Idle, all waiting together by Grace plus
// a second for each Rate bytes. So a steady sender may take hours, a trickle may not (unlike one deadline for everything). Only
// waiting for the peer counts, not what our own side does in between. The zero Pace has no patience.
type Pace struct {
	Idle, Grace time.Duration
	Rate        int64 // bytes per second; at least 1

	bytes  int64
	waited time.Duration
}

// Left is how long the next read or write may take; at or below zero patience is at an end.
func (p *Pace) Left() time.Duration {
	rate := max(p.Rate, 1)
	earned := time.Duration(p.bytes/rate)*time.Second + time.Duration(p.bytes%rate)*time.Second/time.Duration(rate)
	return min(p.Idle, p.Grace+earned-p.waited)
}

// Count takes note of n bytes moved while waiting for the given time.
func (p *Pace) Count(n int, waited time.Duration) {
	p.bytes += int64(n)
	p.waited += waited
}
