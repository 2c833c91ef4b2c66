package queue

import "carepost/internal/store"

// HugeSize is the size in bytes from which a body keeps to the lane of the huge ones.
const HugeSize = 8 << 20

// Lane keeps bodies of gigabytes out of the way of letters.
func Lane(size int64) store.Lane {
	if size >= HugeSize {
		return store.Huge
	}
	return store.Small
}
