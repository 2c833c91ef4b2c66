-- File-sets on their way to a PACS: one row for each mail and destination, how far each instance is, and why.
CREATE TABLE handover (
	id         TEXT PRIMARY KEY,
	account    TEXT NOT NULL REFERENCES account (id),
	mailbox    TEXT NOT NULL,    -- with uid: the mail; it may be deleted meanwhile
	uid        BIGINT NOT NULL,
	message    TEXT NOT NULL,    -- id; empty as in mail
	target     TEXT NOT NULL,    -- name of a [[dicom.out]]
	state      TEXT NOT NULL,    -- waiting, done, failed, left
	total      BIGINT NOT NULL,  -- instances of the set; 0 until it has been looked at
	taken      BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	detail     BYTEA             -- sealed JSON: what became of each instance
);
CREATE UNIQUE INDEX handover_of ON handover (mailbox, uid, target);
CREATE INDEX handover_state ON handover (state, id);
CREATE INDEX handover_account ON handover (account);
