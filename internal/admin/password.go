package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// What a password must have, and what a mail program can send of it (RFC 4616 §2).
const (
	minPassword = 12  // characters
	maxPassword = 255 // octets
)

// RFC 9106 §4, the second recommendation.
const (
	passes    = 3
	lanes     = 4
	memory    = 64 << 10 // KiB
	saltBytes = 16
	tagBytes  = 32
)

// SetPassword lets a mail program sign in for an address, with this password and no other. *Invalid.
func (s *Service) SetPassword(ctx context.Context, by audit.Actor, a addr.Address, password string) error {
	prepared, err := checkPassword(a, password)
	if err != nil {
		return err
	}
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	phc := newHash(prepared)
	done()
	return s.change(ctx, by, a, "account.password", nil, func(tx *store.Tx, account Account) error { return tx.SetPassword(account.ID, phc) })
}

// RemovePassword ends that.
func (s *Service) RemovePassword(ctx context.Context, by audit.Actor, a addr.Address) error {
	return s.change(ctx, by, a, "account.password-remove", nil, func(tx *store.Tx, account Account) error { return tx.SetPassword(account.ID, "") })
}

// CheckPassword says why a password would not be taken for an address. *Invalid.
func CheckPassword(a addr.Address, password string) error {
	_, err := checkPassword(a, password)
	return err
}

// checkPassword prepares a new password and says what is wrong with it.
func checkPassword(a addr.Address, password string) (string, error) {
	prepared, ok := prepare(password)
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "", invalid("the password is too short: at least %d characters", minPassword)
	case len(password) > maxPassword || len(prepared) > maxPassword:
		return "", invalid("the password is too long: at most %d bytes", maxPassword)
	case !ok:
		return "", invalid("the password holds characters that cannot be typed alike everywhere: leave out control characters")
	case strings.Count(prepared, prepared[:1]) == len(prepared):
		return "", invalid("the password is one character over and over: take another")
	case strings.Contains(strings.ToLower(prepared), strings.ToLower(a.String())):
		return "", invalid("the password holds the address: take another")
	}
	return prepared, nil
}

// prepare makes equal what was typed alike (RFC 8265 §4.2). ok is false for what no password can be.
func prepare(password string) (prepared string, ok bool) {
	prepared, err := precis.OpaqueString.String(password)
	return prepared, err == nil && prepared != "" && utf8.ValidString(password)
}

// newHash computes a PHC string.
func newHash(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	tag := argon2.IDKey([]byte(password), salt, passes, memory, lanes, tagBytes)
	return fmt.Sprintf("%s%s$%s", phcHead, b64.EncodeToString(salt), b64.EncodeToString(tag))
}

var (
	phcHead = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, memory, passes, lanes)
	b64     = base64.RawStdEncoding.Strict()
)

// fits says whether the password is the one that phc was made of. It takes the same work for any phc, also for none.
func fits(phc, password string) bool {
	salt, want, ok := parse(phc)
	tag := argon2.IDKey([]byte(password), salt, passes, memory, lanes, tagBytes)
	return subtle.ConstantTimeCompare(tag, want) == 1 && ok
}

// parse reads what newHash writes. The parameters are ours: nothing else costs what we can bound.
func parse(phc string) (salt, tag []byte, ok bool) {
	rest, ok := strings.CutPrefix(phc, phcHead)
	first, second, both := strings.Cut(rest, "$")
	salt, err := b64.DecodeString(first)
	tag, err2 := b64.DecodeString(second)
	if !ok || !both || strings.ContainsAny(rest, "\r\n") || err != nil || err2 != nil || len(salt) != saltBytes || len(tag) != tagBytes {
		return make([]byte, saltBytes), make([]byte, tagBytes), false
	}
	return salt, tag, true
}
