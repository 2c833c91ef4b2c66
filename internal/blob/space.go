package blob

import (
	"fmt"
	"syscall"
)

// Reserve is how many bytes of the disk stay free unless Options say otherwise: the database goes on for a while when bodies are refused.
const Reserve = 64 << 20

// stride is how many bytes of a body are written between two looks at the disk.
const stride = 4 << 20

// room says whether the disk has more than what is reserved.
func (s *Store) room() error {
	if s.reserve < 0 {
		return nil
	}
	free, err := s.free(s.dir)
	switch {
	case err != nil:
		return fmt.Errorf("blob: asking the disk for room: %w", err)
	case free < s.reserve:
		return fmt.Errorf("blob: %w: %d MiB are free, %d MiB are reserved", syscall.ENOSPC, free>>20, s.reserve>>20)
	}
	return nil
}

// free tells how many bytes of the disk with dir an unprivileged process could take.
func free(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
