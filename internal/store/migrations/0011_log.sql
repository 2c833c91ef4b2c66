-- The audit log: the order of its entries, the Merkle tree over them (RFC 9162 §2.1) and the signed heads of the tree.
ALTER TABLE audit ADD COLUMN seq BIGINT;       -- place in the log, from 1; NULL: waits for the sealer
ALTER TABLE audit ADD COLUMN detail_sum BYTEA; -- SHA-256 of the detail before it was sealed; NULL: an entry of the first form
CREATE INDEX audit_waiting ON audit (id) WHERE seq IS NULL;
CREATE UNIQUE INDEX audit_seq ON audit (seq) WHERE seq IS NOT NULL;

CREATE TABLE audit_tile (
	level  BIGINT NOT NULL,
	n      BIGINT NOT NULL,
	hashes BYTEA NOT NULL, -- up to 256 of 32 bytes: of the complete subtrees of 256^level leaves, from the n*256th on
	PRIMARY KEY (level, n)
);

CREATE TABLE audit_head (
	size BIGINT PRIMARY KEY, -- entries it stands for
	at   BIGINT NOT NULL,
	note TEXT NOT NULL -- signed
);
