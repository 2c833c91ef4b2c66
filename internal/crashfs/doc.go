// Package crashfs is a file system for tests that knows what a power cut would leave. It is mounted on a temporary folder by FUSE and
// keeps two views of every file and directory: the volatile one, which programs see, and the durable one, which only fsync changes.
// Snapshot writes out the durable view of that moment into an ordinary folder, where the program under test is then opened again.
//
// The model is the least that POSIX (IEEE Std 1003.1, fsync) lets a program rely on: fsync or fdatasync of a file makes its bytes durable,
// not its name; a name that was made, moved or removed is durable after fsync of the directory it is in ("strict names"). It
// departs from real disks where they are kinder: ext4 and XFS bring a new file's name to the disk with its bytes (Options.LooseNames
// does so for all names), and writes that nobody asked to be flushed often survive (Options.Torn keeps half of them). As on Linux, bytes
// whose fsync has failed are taken for clean by the next one, although they never reached the disk.
//
// The file system runs in a process of its own, the test's program started again: were it the test's own, a page of a mapped file
// that is missing (SQLite maps its -shm) could wait for a goroutine that waits for the page's reader to stop. So a package whose
// tests mount one has a TestMain that calls Main first. Linux only; it needs /dev/fuse and the right to mount, or fusermount3.
package crashfs
