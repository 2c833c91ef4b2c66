-- Studies that devices hand in, and their objects while they wait to be sent.
CREATE TABLE intake (
	id         TEXT PRIMARY KEY,
	group_hash BYTEA NOT NULL, -- of the study and of who brought it, by which way, for whom
	state      TEXT NOT NULL,  -- open, closing, held, sent, dropped
	detail     BYTEA NOT NULL, -- sealed
	objects    BIGINT NOT NULL,
	bytes      BIGINT NOT NULL,
	first_at   BIGINT NOT NULL,
	last_at    BIGINT NOT NULL, -- of the last object
	done_at    BIGINT
);
CREATE UNIQUE INDEX intake_open ON intake (group_hash) WHERE state = 'open';
CREATE INDEX intake_group ON intake (group_hash, id);
CREATE INDEX intake_state ON intake (state, id);

CREATE TABLE intake_object (
	intake    TEXT NOT NULL REFERENCES intake (id),
	same_hash BYTEA NOT NULL, -- of the group, the SOP Instance UID and the bytes: a repeat has the same
	seq       BIGINT NOT NULL, -- from 1, in the order of their coming
	blob      TEXT REFERENCES blob (id), -- none once it is sent or dropped
	size      BIGINT NOT NULL,
	detail    BYTEA NOT NULL, -- sealed
	PRIMARY KEY (intake, seq)
);
CREATE UNIQUE INDEX intake_object_same ON intake_object (intake, same_hash);
CREATE INDEX intake_object_hash ON intake_object (same_hash);
CREATE INDEX intake_object_blob ON intake_object (blob) WHERE blob IS NOT NULL;
