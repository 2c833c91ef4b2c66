-- Where the engine is in the process, the time of the queue never goes back, not even over a restart: at is the last time seen.
CREATE TABLE last_seen (
	id BIGINT PRIMARY KEY, -- 1
	at BIGINT NOT NULL
);
INSERT INTO last_seen (id, at) VALUES (1, 0);

-- How many leases a destination has.
CREATE INDEX work_leased ON work (kind, lane, dest, next_at) WHERE state = 'leased';
