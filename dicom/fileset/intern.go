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
