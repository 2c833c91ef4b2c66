-- Certificates on the way from others' certificates to anchors, given by hand where nobody serves them: without any trust of their own.
CREATE TABLE intermediate (
	fp       BYTEA PRIMARY KEY, -- SHA-256 of der
	der      BYTEA NOT NULL,
	source   TEXT NOT NULL,
	added_at BIGINT NOT NULL
);
