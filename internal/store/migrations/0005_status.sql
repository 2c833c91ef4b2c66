-- What authorities have said of certificates: lists and OCSP answers, kept until they are fetched anew. id is a keyed hash of where from and
-- about whom; whom we ask about would tell with whom we write.
CREATE TABLE status (
	id         TEXT PRIMARY KEY,
	about      BYTEA NOT NULL, -- sealed
	body       BYTEA NOT NULL, -- sealed
	size       BIGINT NOT NULL,
	fetched_at BIGINT NOT NULL,
	next_at    BIGINT NOT NULL,
	used_at    BIGINT NOT NULL
);
CREATE INDEX status_used ON status (used_at, size, id);
