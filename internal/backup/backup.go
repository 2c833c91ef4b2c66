// Package backup writes an installation into a directory of its own, proves that such a directory is whole, and makes an installation of
// it again.
//
// A backup has the form of an installation without its keys:
//
//	manifest.json    what it is: see Manifest; it carries that of SHA256SUMS, its own checksum, and a seal of that
//	SHA256SUMS       the SHA-256 of every other file, in the form of sha256sum, which can check it where there is no Carepost
//	data/carepost.db the database at one moment
//	data/b/…         the bodies that were live then, sealed, each a hard link on the same disk and a copy elsewhere
//	carepost.toml, card.toml, partners/…, dns/…
//
// The database is copied first. Its bodies are durable before their rows, never change, and stay for days after they have died, so that what
// it names is there while the gateway goes on writing. The directory appears under its name when all of it is durable.
//
// The checksums show damage to anybody. Who has the key-encryption key also sees by the seal that the backup was made by who has it.
//
// Everything in data is sealed; the store keys are in the database, wrapped. What unwraps them, keys/kek, is never in a backup: who has
// one without the other reads nothing. So the key has to be kept apart, and a key of former times as long as the backups of its time.
//
// An older database knows nothing of what came after it: mail accepted since the backup is lost, and what waited to be sent
// then is sent again (the same bytes under the same Message-ID).
package backup

import (
	"errors"
	"fmt"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// Errors that callers branch on.
var (
	ErrExists     = errors.New("backup: there is something already") // where a new directory was to be made
	ErrPlace      = errors.New("backup: not a place for it")
	ErrIncomplete = errors.New("backup: bodies are missing that the installation had lost already") // else it is whole, and made, or restored
	ErrDamaged    = errors.New("backup: it is not what was written")
	ErrKEK        = errors.New("backup: this key-encryption key does not open it")
)

// Options of Create. Store, Blobs and Dir are needed.
type Options struct {
	Store *store.Store
	Blobs *blob.Store
	Dir   string        // the installation: carepost.toml, data, dns, keys
	By    audit.Actor   // default "backup"
	KEK   vault.Keeper  // default the one in Dir/keys/kek
	Clock transit.Clock // default time.Now

	Progress func(done, total int64) // in bytes, about; nil: none
}

// Manifest says what a backup holds.
type Manifest struct {
	Format   int       `json:"format"` // 1
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`        // the state is that of this time
	Files    int       `json:"files"`          // lines of SHA256SUMS
	Bodies   int       `json:"bodies"`         // those with a file of their own
	Bytes    int64     `json:"bytes"`          // of all files
	Lost     int       `json:"lost,omitempty"` // bodies that the installation had lost already
	LostIDs  []string  `json:"lost_ids,omitempty"`
	List     string    `json:"sha256sums"` // SHA-256 of SHA256SUMS
	Checksum string    `json:"checksum"`   // SHA-256 of this object with empty checksum and seal
	Seal     []byte    `json:"seal"`       // the checksum under a store key of the database: nobody else made this
}

// Problem is one thing wrong with a backup.
type Problem struct {
	Path string `json:"path,omitempty"` // in the backup
	Body string `json:"body,omitempty"` // id
	What What   `json:"what"`
}

// What is wrong.
type What string

// Kinds of damage.
const (
	Missing    What = "missing"
	Changed    What = "changed"    // or cut, or lengthened
	Extra      What = "extra"      // not in the list
	Unreadable What = "unreadable" // by the disk
	Unsound    What = "unsound"    // its hash is right, its content does not read
	Lost       What = "lost"       // before the backup was made
)

// shown is how many problems, and lost bodies, are named.
const shown = 1000

// Report says how good a backup is.
type Report struct {
	Manifest Manifest  `json:"manifest"`
	Opened   bool      `json:"opened"`             // with the key-encryption key; false: only the hashes were compared
	Restored bool      `json:"restored,omitempty"` // Restore: the installation stands
	Files    int       `json:"files"`              // read and compared
	Bodies   int       `json:"bodies"`             // live ones, small ones too, that read true
	Problems []Problem `json:"problems"`           // at most 1000
	More     int       `json:"more_problems,omitempty"`

	bad      map[string]bool // paths with a problem
	progress Progress
	done     int64
	total    int64 // bytes, about
}

// Progress is told of bytes done, of about so many in all, where verifying or restoring is watched: Progress(f).Verify(…). nil: nobody is told.
type Progress func(done, total int64)

func newReport(p Progress) Report { return Report{Problems: []Problem{}, progress: p} }

func (r *Report) moved(n int64) {
	if r.done += n; r.progress != nil {
		r.progress(min(r.done, r.total), r.total)
	}
}

// add notes a problem; of those with one file the first counts.
func (r *Report) add(p Problem) {
	if p.Path != "" {
		if r.bad[p.Path] {
			return
		}
		if r.bad == nil {
			r.bad = make(map[string]bool)
		}
		r.bad[p.Path] = true
	}
	if len(r.Problems) == shown {
		r.More++
		return
	}
	r.Problems = append(r.Problems, p)
}

// verdict is the error that goes with the report.
func (r *Report) verdict() error {
	worst := error(nil)
	for _, p := range r.Problems {
		if p.What != Lost {
			return fmt.Errorf("%w: %d problems", ErrDamaged, len(r.Problems)+r.More)
		}
		worst = fmt.Errorf("%w: %d bodies", ErrIncomplete, r.Manifest.Lost)
	}
	return worst
}

const (
	manifestFile = "manifest.json"
	listFile     = "SHA256SUMS"
	configFile   = "carepost.toml"
	database     = "data/carepost.db"
)
