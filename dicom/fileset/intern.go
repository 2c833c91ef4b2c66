package fileset

import (
	"strings"
	"sync"
)

// interner keeps one copy of equal strings: thousands of instances share their patient and study.
type interner struct {
	mu sync.Mutex
	m  map[string]string
}

func newInterner() *interner { return &interner{m: make(map[string]string)} }

// bytes is string for what is not one yet: no memory is spent on what is there already.
func (in *interner) bytes(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if kept, ok := in.m[string(b)]; ok {
		return kept
	}
	s := string(b)
	in.m[s] = s
	return s
}

func (in *interner) string(s string) string {
	if s == "" {
		return ""
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if kept, ok := in.m[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	in.m[s] = s
	return s
}
