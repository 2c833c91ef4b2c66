-- Mail that waits for a person to release it, each recipient on its own; and how far each webhook has followed the audit log.
CREATE TABLE held (
	recipient TEXT PRIMARY KEY REFERENCES recipient (id),
	message   TEXT NOT NULL REFERENCES message (id),
	work      TEXT NOT NULL, -- that ends the waiting
	blob      TEXT REFERENCES blob (id), -- what is shown when it is released; inbound only
	state     TEXT NOT NULL, -- held, released, ended
	at        BIGINT NOT NULL
);
CREATE INDEX held_message ON held (message);
CREATE INDEX held_waiting ON held (at) WHERE state = 'held';
CREATE INDEX held_blob ON held (blob) WHERE state = 'held' AND blob IS NOT NULL;

CREATE TABLE hook (
	id      TEXT PRIMARY KEY, -- keyed hash of the URL
	seq     BIGINT NOT NULL,  -- of the last entry that is done with
	sent_at BIGINT,           -- when one was taken last
	dropped BIGINT NOT NULL   -- entries that were given up
);
