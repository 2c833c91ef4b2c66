-- What the pilot authority of a domain has issued: its OCSP responder tells good from unknown by it (RFC 6960 §2.2), and what is to be
-- revoked is found in it by serial number or fingerprint.
CREATE TABLE issued (
	id          TEXT PRIMARY KEY,
	domain      TEXT NOT NULL,  -- of the authority
	serial_hash BYTEA NOT NULL,
	fp_hash     BYTEA NOT NULL, -- of the SHA-256 of the certificate
	der         BYTEA NOT NULL, -- sealed: it names its owner
	UNIQUE (domain, serial_hash)
);
CREATE INDEX issued_fp ON issued (domain, fp_hash);

-- With whom mail was exchanged lately: they are told of a key that was compromised.
CREATE INDEX delivery_created ON delivery (created_at);
