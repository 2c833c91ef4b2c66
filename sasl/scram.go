package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Bounds of what a server may ask for.
const (
	minIterations = 4096    // RFC 7677 §4
	maxIterations = 1 << 20 // a second or so of work
	maxChallenge  = 4096    // octets
)

// header of GS2: no channel binding, nobody else's name (RFC 5802 §7).
const header = "n,,"

// scram is SCRAM-SHA-256.
type scram struct {
	Credentials
	nonce  string // ours; set before Start by tests alone
	bare   string // the first message without its header
	server []byte // the signature that the server must show
	step   int
	proven bool
}

func (s *scram) Start() (string, []byte, error) {
	if s.nonce == "" {
		s.nonce = rand.Text()
	}
	user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(norm.NFKC.String(s.User))
	s.bare = "n=" + user + ",r=" + s.nonce
	return "SCRAM-SHA-256", []byte(header + s.bare), nil
}

func (s *scram) Next(challenge []byte) ([]byte, error) {
	if len(challenge) > maxChallenge {
		return nil, fmt.Errorf("%w: too long", ErrServer)
	}
	s.step++
	switch s.step {
	case 1:
		return s.prove(string(challenge))
	case 2:
		proof, ok := strings.CutPrefix(string(challenge), "v=")
		proof, _, _ = strings.Cut(proof, ",")
		sum, err := base64.StdEncoding.DecodeString(proof)
		if !ok || err != nil || !hmac.Equal(sum, s.server) {
			return nil, fmt.Errorf("%w: it does not prove that it knows the password", ErrServer)
		}
		s.proven = true
		return []byte{}, nil
	}
	return nil, ErrServer
}

// prove answers the server's first message (RFC 5802 §3).
func (s *scram) prove(first string) ([]byte, error) {
	fields := strings.Split(first, ",")
	if len(fields) < 3 { // an extension that must be known ("m=") comes first, and is none of ours
		return nil, ErrServer
	}
	nonce, okN := strings.CutPrefix(fields[0], "r=")
	coded, okS := strings.CutPrefix(fields[1], "s=")
	count, okI := strings.CutPrefix(fields[2], "i=")
	salt, err := base64.StdEncoding.DecodeString(coded)
	n, nerr := strconv.Atoi(count)
	switch {
	case !okN || !okS || !okI || err != nil || nerr != nil || len(salt) == 0:
		return nil, ErrServer
	case !strings.HasPrefix(nonce, s.nonce) || nonce == s.nonce:
		return nil, fmt.Errorf("%w: its nonce is not ours with its own", ErrServer)
	case n < minIterations || n > maxIterations:
		return nil, fmt.Errorf("%w: %d iterations are too few, or too many", ErrServer, n)
	}
	salted, err := pbkdf2.Key(sha256.New, norm.NFKC.String(s.Password), salt, n, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	final := "c=" + base64.StdEncoding.EncodeToString([]byte(header)) + ",r=" + nonce
	said := s.bare + "," + first + "," + final
	client := sum(salted, "Client Key")
	stored := sha256.Sum256(client)
	proof := sum(stored[:], said)
	for i := range proof {
		proof[i] ^= client[i]
	}
	s.server = sum(sum(salted, "Server Key"), said)
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// Proven: a yes without the proof is that of somebody who wants to be taken for the server (RFC 5802 §9).
func (s *scram) Proven() error {
	if !s.proven {
		return fmt.Errorf("%w: it says yes without having proven that it knows the password", ErrServer)
	}
	return nil
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
