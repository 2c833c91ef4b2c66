package store

import "sync"

// Due names work of which some is due, or may be.
type Due struct {
	Kind string
	Lane Lane
}

// due gathers what became due by commits that nobody has asked about yet.
type due struct {
	mu  sync.Mutex
	all bool
	new map[Due]bool
}

func (d *due) add(all bool, some []Due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = d.all || all
	if d.new == nil {
		d.new = make(map[Due]bool)
	}
	for _, x := range some {
		d.new[x] = true
	}
}

// Woken is signalled after each commit that changed what is due. Signals are merged; there is one listener.
func (s *Store) Woken() <-chan struct{} { return s.woken }

// Due tells what Woken was signalled for since the last call: may says so for one kind of work and lane.
func (s *Store) Due() (may func(Due) bool) {
	s.due.mu.Lock()
	defer s.due.mu.Unlock()
	all, some := s.due.all, s.due.new
	s.due.all, s.due.new = false, nil
	return func(x Due) bool { return all || some[x] }
}

// wakes notes that work of one kind and lane may be due once tx is committed.
func (tx *Tx) wakes(kind string, lane Lane) { tx.due = append(tx.due, Due{kind, lane}) }

// wakeUp signals Woken for what tx noted.
func (tx *Tx) wakeUp() {
	if !tx.wake && len(tx.due) == 0 {
		return
	}
	tx.s.due.add(tx.wake, tx.due)
	select {
	case tx.s.woken <- struct{}{}:
	default: // one is waiting already
	}
}
