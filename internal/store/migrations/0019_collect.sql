-- Mailboxes at providers whose mail is fetched: how that goes, and which of their mails have been fetched or refused.
CREATE TABLE collect (
	id     TEXT PRIMARY KEY, -- keyed hash of what names the mailbox
	heard  BIGINT NOT NULL,  -- everything that lay there then has been fetched; 0: never
	detail BYTEA NOT NULL    -- sealed JSON: what went wrong
);
CREATE TABLE collected (
	id      TEXT PRIMARY KEY,
	source  TEXT NOT NULL,   -- of collect
	item_hash BYTEA NOT NULL,  -- keyed hash of what the provider calls the mail
	state   TEXT NOT NULL,   -- taken, refused, removed
	message TEXT NOT NULL,   -- id; empty where it is refused
	size    BIGINT NOT NULL, -- as the provider says
	detail  BYTEA,           -- sealed JSON: why it is refused
	at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX collected_item ON collected (source, item_hash);
CREATE INDEX collected_state ON collected (source, state, at);
