package auditor

import (
	"context"
	"time"

	"carepost/atna"
)

// telling is one connection's worth of the log.
type telling struct {
	a        *Auditor
	from, to int64 // entries (from, to] have been looked at
	n        int   // entries since the connection began
	session  *session
}

// stopTime is how long the server's answer to the end of a connection is awaited when we are stopping.
const stopTime = 3 * time.Second

// batch reads some entries of the log and sends what they make. More may follow.
func (t *telling) batch(ctx context.Context) (more bool, err error) {
	rs, err := t.a.o.Log.After(ctx, t.to, maxBatch)
	if err != nil || len(rs) == 0 {
		return false, err
	}
	var b []byte
	for _, r := range rs {
		for _, f := range t.a.frames(r) {
			if len(b) > 0 && len(b)+len(f) > maxWrite {
				if err := t.send(ctx, b); err != nil {
					return false, err
				}
				b = b[:0]
			}
			b = append(b, f...)
		}
		if t.session != nil || len(b) > 0 {
			t.n++
		}
	}
	if len(b) > 0 {
		if err := t.send(ctx, b); err != nil {
			return false, err
		}
	}
	t.to = rs[len(rs)-1].Seq
	return len(rs) == maxBatch, nil
}

// send sends, by a connection that is made when the first message wants one.
func (t *telling) send(ctx context.Context, b []byte) (err error) {
	if t.session == nil {
		if t.session, err = dial(ctx, t.a.o.Server, t.a.o); err != nil {
			return err
		}
	}
	return t.session.write(b, t.a.o.Times.Write)
}

// old says that the connection is to be ended.
func (t *telling) old() bool {
	return t.session != nil && time.Since(t.session.started) > t.a.o.Times.Session
}

// finish ends the connection in order. After nil the server has read everything. It is kept open for a while first: a server that dies
// with what it has read in its memory takes the connection with it.
func (t *telling) finish(ctx context.Context) error {
	if err := t.session.stay(ctx, t.a.o.Times.Quiet); err != nil {
		return err
	}
	most := t.a.o.Times.End
	if ctx.Err() != nil {
		most = min(most, stopTime)
	}
	return t.session.end(most)
}

// abandon closes what is left of the connection.
func (t *telling) abandon() {
	if t.session != nil {
		t.session.conn.Close()
	}
}

// header is that of every message.
func (s Source) header(at time.Time) atna.Header { return atna.Header{At: at, Host: s.Host, App: app} }

// app is our APP-NAME.
const app = "carepost"
