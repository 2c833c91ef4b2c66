-- What was found when somebody looked at how an anchor's keeper issues certificates, and until when that counts (Direct 6.1).
ALTER TABLE anchor ADD COLUMN evaluation BYTEA; -- sealed; NULL: nobody has said anything

-- A bundle brings the anchors of an owner from elsewhere, all at once. detail holds where from, how often and what came last.
CREATE TABLE bundle (
	id         TEXT PRIMARY KEY,
	name       TEXT NOT NULL UNIQUE,
	owner_hash BYTEA NOT NULL,
	owner      BYTEA NOT NULL, -- sealed
	dir        BIGINT NOT NULL, -- as anchor.dir; 0: both
	detail     BYTEA NOT NULL, -- sealed
	created_at BIGINT NOT NULL
);
CREATE INDEX bundle_owner ON bundle (owner_hash);
CREATE TABLE bundle_anchor (
	bundle   TEXT NOT NULL REFERENCES bundle (id),
	fp       BYTEA NOT NULL, -- SHA-256 of der
	der      BYTEA NOT NULL,
	added_at BIGINT NOT NULL,
	PRIMARY KEY (bundle, fp)
);

-- A certificate that an owner believes for one address of somebody else's, and for nothing besides.
CREATE TABLE pin (
	id         TEXT PRIMARY KEY,
	owner_hash BYTEA NOT NULL,
	owner      BYTEA NOT NULL, -- sealed
	whose_hash BYTEA NOT NULL UNIQUE, -- of owner and address: equal in no two owners
	detail     BYTEA NOT NULL, -- sealed: address, certificate, who vouched
	added_at   BIGINT NOT NULL
);
CREATE INDEX pin_owner ON pin (owner_hash);

-- Mail that was set aside for want of an anchor alone, until somebody says that he knows the sender.
CREATE TABLE contact (
	recipient TEXT PRIMARY KEY REFERENCES recipient (id),
	message   TEXT NOT NULL,
	detail    BYTEA NOT NULL, -- sealed: sender and certificate
	at        BIGINT NOT NULL
);
CREATE INDEX contact_message ON contact (message);
CREATE INDEX contact_at ON contact (at);
