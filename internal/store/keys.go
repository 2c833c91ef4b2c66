package store

import (
	"context"
	"time"

	"carepost/internal/vault"
)

// KeyInfo tells of a store key, without the key.
type KeyInfo struct {
	KID     string
	Purpose vault.Purpose
	Created time.Time
	Current bool // it seals
}

// SealingKeys lists the store keys, oldest first.
func (s *Store) SealingKeys(ctx context.Context) ([]KeyInfo, error) { panic("soon") }

// RotateSealing makes a new store key, wrapped by kek; it seals from now on. What is sealed already stays as it is until Reseal.
func (s *Store) RotateSealing(ctx context.Context, kek vault.Keeper) (kid string, err error) {
	panic("soon")
}

// Reseal brings everything under the newest store key and then deletes the older ones. It may be stopped and begun again at any time.
func (s *Store) Reseal(ctx context.Context, progress func(done, total int64)) error { panic("soon") }

// RewrapKeys wraps all store keys by another key-encryption key, in one transaction.
func (s *Store) RewrapKeys(ctx context.Context, to vault.Keeper) error { panic("soon") }

// Warnings tells what an operator should know about the engine's settings.
func (s *Store) Warnings() []string { return nil }
