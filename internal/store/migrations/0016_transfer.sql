-- What goes, or comes, in several mails: large sets of ours, those of partners, and messages in fragments (RFC 2046 message/partial).
CREATE TABLE transfer (
	id       TEXT PRIMARY KEY,
	kind     TEXT NOT NULL,         -- out, in, fragments
	account  TEXT NOT NULL,         -- id; empty: fragments, which nobody has opened yet
	key_hash BYTEA NOT NULL UNIQUE, -- of what names it
	detail   BYTEA NOT NULL,        -- sealed: its name, its partners, its parts
	at       BIGINT NOT NULL
);
CREATE INDEX transfer_account ON transfer (account, kind, id);
