package admin

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"carepost/addr"
)

var here = netip.MustParseAddr("192.0.2.1")

func TestPasswordRules(t *testing.T) {
	for password, words := range map[string]string{
		"":                           "too short",
		"eleven char":                "too short",
		strings.Repeat("é", 11):      "too short", // 22 octets
		strings.Repeat("ab", 128):    "too long",
		"with a\nline end":           "characters",
		"with a \x00 NUL":            "characters",
		"not UTF-8 \xff\xfe\xfd":     "characters",
		"aaaaaaaaaaaaaaaaaaaa":       "over and over",
		"my Lab@North.example 1":     "address",
		"correct horse":              "",
		"Пароль длинный":             "",
		"            x":              "",
		strings.Repeat("ab", 127):    "",
		"ﬁve ﬁngers" + "\u00a0death": "",
	} {
		err := CheckPassword(lab, password)
		if words == "" {
			must(t, err)
		} else {
			wantInvalid(t, err, words)
		}
	}
}

// RFC 9106 §4: parameters and form; nothing but what we write is read.
func TestHash(t *testing.T) {
	phc := newHash(secret)
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=65536,t=3,p=4$") || phc == newHash(secret) {
		t.Error(phc)
	}
	if !fits(phc, secret) || fits(phc, secret+" ") {
		t.Error("does not tell a password from another")
	}
	for _, bad := range []string{"", "x", phc + "A", phc[:len(phc)-1], strings.Replace(phc, "t=3", "t=1", 1), strings.Replace(phc, "m=65536", "m=99999999", 1),
		phcHead + "$", phcHead + "AAAAAAAAAAAAAAAAAAAAAA$", phc + "\n"} {
		if _, _, ok := parse(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	s := service(t, Options{})
	ctx := t.Context()
	must(t, s.AddAccount(ctx, by, other))
	must(t, s.SetPassword(ctx, by, lab, "caf\u00e9 au lait"))
	for _, c := range []struct {
		user, password string
		ok             bool
	}{
		{"lab@north.example", "caf\u00e9 au lait", true},
		{"LAB@North.Example", "cafe\u0301 au\u00a0lait", true}, // RFC 8265 §4.2: the same letters, typed elsewhere
		{"lab@north.example", "cafe au lait", false},
		{"lab", "caf\u00e9 au lait", false},
		{"lab@north.example\x00", "caf\u00e9 au lait", false},
		{"desk@north.example", "", false}, // there, without password
		{"nobody@north.example", "caf\u00e9 au lait", false},
		{"lab@north.example", "caf\xe9 au lait", false},
	} {
		got, err := s.Authenticate(ctx, here, c.user, c.password)
		if c.ok && (err != nil || got != lab) || !c.ok && (!errors.Is(err, ErrCredentials) || !got.IsZero()) {
			t.Errorf("%q %q: %v, %v", c.user, c.password, got, err)
		}
	}
	must(t, s.CloseAccount(ctx, by, lab))
	_, err := s.Authenticate(ctx, here, "lab@north.example", "caf\u00e9 au lait")
	want(t, err, ErrCredentials)
	actions := strings.Join(entries(t, s), " ")
	if strings.Count(actions, "account.sign-in ") != 2 || strings.Count(actions, "account.sign-in-refuse") != 7 {
		t.Errorf("audit: %s", actions)
	}
}

// Guessing is held up before the store is asked or anything computed.
func TestTooMany(t *testing.T) {
	now := time.Now()
	s := service(t, Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	must(t, s.SetPassword(ctx, by, lab, secret))
	for range freePair + 1 {
		_, err := s.Authenticate(ctx, here, lab.String(), "wrong")
		want(t, err, ErrCredentials)
	}
	_, err := s.Authenticate(ctx, here, strings.ToUpper(lab.String()), secret)
	want(t, err, ErrTooMany)
	now = now.Add(firstWait)
	_, err = s.Authenticate(ctx, here, lab.String(), secret)
	must(t, err)
}

// Somebody who signs in wrongly learns nothing of who has an account: the work is the same. Processor time is measured, for the machine
// may be busy with other things; the least of several tries counts.
func TestTiming(t *testing.T) {
	s := service(t, Options{})
	ctx := t.Context()
	must(t, s.SetPassword(ctx, by, lab, secret))
	must(t, s.AddAccount(ctx, by, other))
	least := map[string]time.Duration{}
	for range 4 {
		for _, user := range []string{lab.String(), other.String(), "nobody@north.example", "no address"} {
			start := used(t)
			_, err := s.Authenticate(ctx, here, user, "wrong password")
			want(t, err, ErrCredentials)
			if d := used(t) - start; least[user] == 0 || d < least[user] {
				least[user] = d
			}
		}
	}
	known := least[lab.String()]
	for user, d := range least {
		if d < known/2 || d > known*2 {
			t.Errorf("%s: %v, an account with a password %v", user, d, known)
		}
	}
	t.Log(least)
}

// used is the processor time that this process has taken.
func used(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// A flood of sign-ins takes the memory of one hash at a time, and those whose turn does not come are told to come again.
func TestFlood(t *testing.T) {
	s := service(t, Options{Hashes: 1, Wait: time.Second})
	ctx := t.Context()
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for watching.Err() == nil {
			most.Store(max(most.Load(), heap()))
			time.Sleep(5 * time.Millisecond) // between two looks
		}
	})
	var all sync.WaitGroup
	var busy, wrong atomic.Int64
	for i := range 500 {
		all.Go(func() {
			peer := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
			switch _, err := s.Authenticate(ctx, peer, "user"+strconv.Itoa(i)+"@north.example", "wrong"); {
			case errors.Is(err, ErrBusy):
				busy.Add(1)
			case errors.Is(err, ErrCredentials):
				wrong.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	stop()
	watcher.Wait()
	grown := int64(most.Load()-before) >> 20
	t.Logf("%d judged, %d sent away, heap grew by %d MiB", wrong.Load(), busy.Load(), grown)
	if grown > 3*64 || wrong.Load() == 0 || busy.Load() == 0 { // one at work, one or two that the collector has not come to
		t.Errorf("heap grew by %d MiB", grown)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestTries(t *testing.T) {
	start := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	elsewhere := netip.MustParseAddr("203.0.113.9")
	for name, test := range map[string]func(t *testing.T, c *tries){
		"one client with an old password waits longer and longer": func(t *testing.T, c *tries) {
			k, now, waits := keysOf(here, "lab@north.example"), start, []time.Duration(nil)
			for range 20 {
				c.failed(k, now)
				waits = append(waits, c.held(k, now))
				now = now.Add(c.held(k, now))
			}
			if waits[freePair-1] != 0 || waits[freePair] != time.Second || waits[freePair+1] != 2*time.Second || slices.Max(waits) > longestWait || slices.Max(waits) < longestWait/2 {
				t.Errorf("waits %v", waits)
			}
			if colleague := keysOf(here, "desk@north.example"); c.held(colleague, now) != 0 {
				t.Error("a colleague in the same office waits as well")
			}
		},
		"a day of it does not shut the office out": func(t *testing.T, c *tries) {
			k := keysOf(here, "lab@north.example")
			for now := start; now.Before(start.AddDate(0, 0, 1)); now = now.Add(time.Minute) {
				if c.held(k, now) == 0 {
					c.failed(k, now)
				}
				if c.held(keysOf(here, "desk@north.example"), now) != 0 {
					t.Fatalf("a colleague waits after %v", now.Sub(start))
				}
			}
		},
		"nor do three old passwords shut out who signs in there every day": func(t *testing.T, c *tries) {
			colleague := keysOf(here, "desk@north.example")
			c.passed(colleague, start)
			for now := start; now.Before(start.AddDate(0, 0, 1)); now = now.Add(time.Minute) {
				for _, user := range []string{"lab@north.example", "ward@north.example", "boss@north.example"} {
					if k := keysOf(here, user); c.held(k, now) == 0 {
						c.failed(k, now)
					}
				}
				if c.held(colleague, now) != 0 {
					t.Fatalf("a colleague waits after %v", now.Sub(start))
				}
			}
			if c.failed(colleague, start.AddDate(0, 0, 1)); c.held(colleague, start.AddDate(0, 0, 1)) != 0 {
				t.Error("and for one slip")
			}
		},
		"a name is one name, however it is written": func(t *testing.T, c *tries) {
			for i, user := range []string{"lab@north.example", `"lab"@north.example`, `"\l\ab"@NORTH.example`, "LAB@north.example", `"la\b"@north.example`, `"\lab"@north.example`} {
				if k := keysOf(here, user); k != keysOf(here, "lab@north.example") {
					t.Errorf("%d: %s is counted by itself", i, user)
				}
			}
		},
		"a flood of names does not make who signs in every day a stranger": func(t *testing.T, c *tries) {
			known := keysOf(here, "lab@north.example")
			c.passed(known, start)
			for i := range mostCounts {
				from := netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
				c.failed(keysOf(from, "lab@north.example"), start.Add(time.Duration(i+1)*time.Millisecond))
			}
			if c.held(known, start.Add(mostCounts*time.Millisecond)) != 0 {
				t.Error("its owner is shut out")
			}
		},
		"many names from one client": func(t *testing.T, c *tries) {
			tried := 0
			for i := range 10000 {
				k := keysOf(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}), "user"+strconv.Itoa(i)) // its /64
				now := start.Add(time.Duration(i) * time.Second / 10)
				if c.held(k, now) == 0 {
					c.failed(k, now)
					tried++
				}
			}
			if tried > freePeer+12 {
				t.Errorf("%d tries in a quarter of an hour", tried)
			}
		},
		"one name from everywhere": func(t *testing.T, c *tries) {
			known := keysOf(here, "lab@north.example")
			c.passed(known, start)
			tried := 0
			for i := range 10000 {
				k := keysOf(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), "lab@north.example")
				now := start.Add(time.Duration(i) * time.Second / 10)
				if c.held(k, now) == 0 {
					c.failed(k, now)
					tried++
				}
			}
			if tried > freeAccount+12 {
				t.Errorf("%d tries in a quarter of an hour", tried)
			}
			after := start.Add(1000 * time.Second)
			if c.held(known, after) != 0 {
				t.Error("its owner is shut out where he works every day")
			}
			if c.held(keysOf(elsewhere, "lab@north.example"), after) == 0 {
				t.Error("strangers do not wait")
			}
		},
		"an account of one's own does not clear guesses at another": func(t *testing.T, c *tries) {
			tried := 0
			for i := range 1000 {
				k := keysOf(here, "user"+strconv.Itoa(i))
				if c.held(k, start) == 0 {
					c.failed(k, start)
					tried++
				}
				c.passed(keysOf(here, "mine@north.example"), start)
			}
			if tried != freePeer+1 {
				t.Errorf("%d tries at once", tried)
			}
		},
		"bounded": func(t *testing.T, c *tries) {
			for i := range mostCounts {
				c.failed(keysOf(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), strconv.Itoa(i)), start.Add(time.Duration(i)))
			}
			if len(c.counts) > mostCounts {
				t.Errorf("%d counts", len(c.counts))
			}
			c.failed(keysOf(here, "x"), start.Add(2*time.Hour))
			if len(c.counts) != 3 {
				t.Errorf("%d counts after two quiet hours", len(c.counts))
			}
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, newTries()) })
	}
}

// An audit that cannot be written stops the act.
func TestNoAuditNoSignIn(t *testing.T) {
	s := service(t, Options{})
	must(t, s.SetPassword(t.Context(), by, lab, secret))
	must(t, s.store.Close())
	got, err := s.Authenticate(t.Context(), here, lab.String(), secret)
	if err == nil || errors.Is(err, ErrCredentials) || got != (addr.Address{}) {
		t.Errorf("got %v, %v", got, err)
	}
}
