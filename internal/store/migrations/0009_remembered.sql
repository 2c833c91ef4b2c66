-- Certificates that signed mail of partners brought and that were trusted when it came, for where nothing is published ([discovery] remember).
CREATE TABLE remembered (
	id         TEXT PRIMARY KEY,
	whose_hash BYTEA NOT NULL UNIQUE, -- of our domain and their address
	detail     BYTEA NOT NULL -- sealed: the certificates, and when they signed
);
