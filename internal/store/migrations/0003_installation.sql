-- Accounts may be closed and opened again; mail programs sign in with a password (a PHC string of argon2id); what comes in may be dropped
-- into folders outside the data directory.
ALTER TABLE account ADD COLUMN closed_at BIGINT; -- NULL: open
ALTER TABLE account ADD COLUMN password BYTEA;   -- sealed
ALTER TABLE account ADD COLUMN maildir BYTEA;    -- sealed
ALTER TABLE account ADD COLUMN studies BYTEA;    -- sealed

-- A body is live, dead (to be removed) or gone (its data key is erased; the row stays, for others refer to it). Whoever sweeps asks whose
-- a file is, and who refers to a body.
CREATE INDEX blob_key ON blob (key) WHERE key <> '';
CREATE INDEX message_raw ON message (blob_raw) WHERE blob_raw IS NOT NULL;
CREATE INDEX message_work ON message (blob_work) WHERE blob_work IS NOT NULL;
CREATE INDEX delivery_blob ON delivery (blob);
CREATE INDEX mail_blob ON mail (blob);
