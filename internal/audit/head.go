package audit

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Errors of the log.
var (
	ErrLog  = errors.New("audit: the log does not fit its head")
	ErrHead = errors.New("audit: no head of a log")
)

// Head says what the log held at a time.
type Head struct {
	Origin string // names the log and its key
	Size   int64  // entries
	Root   tlog.Hash
	At     time.Time // when it was signed, to the second
}

// maxHead is the greatest head that is read, in bytes.
const maxHead = 4 << 10

// text is what is signed: a checkpoint (c2sp.org/tlog-checkpoint) with the time as its extension line.
func (h Head) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nat %s\n", h.Origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]), h.At.UTC().Format(time.RFC3339))
}

// parseHead reads what text writes; lines behind the root that it does not know are left.
func parseHead(text string) (h Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return h, ErrHead
	}
	h.Origin = lines[0]
	if h.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || h.Size < 0 || strconv.FormatInt(h.Size, 10) != lines[1] {
		return h, ErrHead
	}
	if h.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return h, ErrHead
	}
	for _, line := range lines[3:] {
		if at, ok := strings.CutPrefix(line, "at "); ok {
			if h.At, err = time.Parse(time.RFC3339, at); err != nil {
				return h, ErrHead
			}
			break
		}
	}
	return h, nil
}

// OpenHead reads a signed head and checks its signature by the log's public key, as PublicKey writes it. ErrHead.
func OpenHead(signed, key string) (Head, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return Head{}, fmt.Errorf("%w: the public key is malformed", ErrHead)
	}
	if len(signed) > maxHead {
		return Head{}, fmt.Errorf("%w: too long", ErrHead)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		var unknown *note.UnverifiedNoteError
		if errors.As(err, &unknown) {
			return Head{}, fmt.Errorf("%w: signed by another key", ErrHead)
		}
		return Head{}, fmt.Errorf("%w: its signature does not fit", ErrHead)
	}
	h, err := parseHead(n.Text)
	if err == nil && h.Origin != v.Name() {
		err = fmt.Errorf("%w: it names another log", ErrHead)
	}
	return h, err
}

// key signs heads. It is a note.Signer.
type key struct {
	signer crypto.Signer
	name   string
	public string // as note.NewVerifier wants it
	hash   uint32
}

// newKey names a log by its public key.
func newKey(s crypto.Signer) (*key, error) {
	public, ok := s.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key of the log is no Ed25519 key")
	}
	sum := sha256.Sum256(public)
	k := &key{signer: s, name: "carepost-audit-" + hex.EncodeToString(sum[:8])}
	var err error
	if k.public, err = note.NewEd25519VerifierKey(k.name, public); err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(k.public)
	if err != nil {
		return nil, err
	}
	k.hash = v.KeyHash()
	return k, nil
}

func (k *key) Name() string    { return k.name }
func (k *key) KeyHash() uint32 { return k.hash }

func (k *key) Sign(msg []byte) ([]byte, error) { return k.signer.Sign(nil, msg, crypto.Hash(0)) }

// sign makes the note of a head.
func (k *key) sign(h Head) (string, error) {
	signed, err := note.Sign(&note.Note{Text: h.text()}, k)
	return string(signed), err
}
