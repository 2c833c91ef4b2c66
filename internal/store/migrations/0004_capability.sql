-- What partners have announced that they can read (RFC 8551 §2.5.2). whose_hash is a keyed hash of our domain, their address and the certificate
-- that announced it: nobody is named.
CREATE TABLE capability (
	whose_hash BYTEA PRIMARY KEY,
	said       TEXT NOT NULL, -- names of algorithms, one a line, the preferred ones first
	signed_at  BIGINT NOT NULL
);
