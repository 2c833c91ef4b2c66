-- Keys of our own that wait for the certificate that was asked for. An owner may have several: for signing, for encryption, of another kind.
CREATE TABLE keyrequest (
	id         TEXT PRIMARY KEY,
	owner_hash BYTEA NOT NULL,
	owner      BYTEA NOT NULL, -- sealed
	privkey    TEXT NOT NULL REFERENCES privkey (id),
	uses       TEXT NOT NULL, -- both, sign, encrypt
	kind       TEXT NOT NULL, -- RSA 2048, EC P-256, …; and where the key lies
	created_at BIGINT NOT NULL,
	UNIQUE (owner_hash, uses, kind)
);
