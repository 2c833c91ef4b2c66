-- The first schema. One text for both engines: on SQLite BIGINT becomes INTEGER, BYTEA becomes BLOB and tables are STRICT.
-- Times are milliseconds since 1970 UTC, ids are ULIDs, *_hash are keyed hashes, and "sealed" columns are opened by package vault only.

CREATE TABLE sealkey (
	kid        TEXT PRIMARY KEY,
	purpose    TEXT NOT NULL,
	wrapped    BYTEA NOT NULL, -- by the KEK
	created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX sealkey_hash ON sealkey (purpose) WHERE purpose = 'hash'; -- one look-up key for ever, whoever comes first

CREATE TABLE setting (
	k   TEXT PRIMARY KEY,
	v   BYTEA NOT NULL, -- sealed
	ver BIGINT NOT NULL
);

CREATE TABLE blob (
	id         TEXT PRIMARY KEY,
	store      TEXT NOT NULL, -- file, inline; later the name of a bucket
	key        TEXT NOT NULL,
	size       BIGINT NOT NULL,
	sha256     BYTEA NOT NULL, -- sealed: a digest confirms a guess
	kid        TEXT NOT NULL,
	dek        BYTEA NOT NULL, -- wrapped by the store key kid
	state      TEXT NOT NULL,  -- live, dead
	created_at BIGINT NOT NULL,
	dead_at    BIGINT
);
CREATE INDEX blob_dead ON blob (dead_at) WHERE state = 'dead';
CREATE TABLE blob_inline (
	id   TEXT PRIMARY KEY REFERENCES blob (id),
	data BYTEA NOT NULL -- sealed under the data key
);

CREATE TABLE message (
	id          TEXT PRIMARY KEY,
	dir         BIGINT NOT NULL,
	kind        BIGINT NOT NULL,
	msgid_hash  BYTEA,
	envelope    BYTEA NOT NULL, -- sealed
	header      BYTEA NOT NULL, -- sealed
	size        BIGINT NOT NULL,
	blob_raw    TEXT REFERENCES blob (id),
	blob_work   TEXT REFERENCES blob (id),
	state       TEXT NOT NULL,
	state_ver   BIGINT NOT NULL,
	events      BIGINT NOT NULL, -- last seq given in msg_event
	dedupe_key  BYTEA UNIQUE,
	received_at BIGINT NOT NULL,
	expires_at  BIGINT
);
CREATE INDEX message_msgid ON message (msgid_hash) WHERE msgid_hash IS NOT NULL;

CREATE TABLE msg_event (
	message    TEXT NOT NULL REFERENCES message (id),
	seq        BIGINT NOT NULL,
	at         BIGINT NOT NULL,
	recipient  TEXT,
	from_state TEXT NOT NULL,
	to_state   TEXT NOT NULL,
	cause      TEXT NOT NULL,
	detail     BYTEA, -- sealed
	PRIMARY KEY (message, seq)
);

CREATE TABLE delivery (
	id         TEXT PRIMARY KEY,
	message    TEXT NOT NULL REFERENCES message (id),
	domain     TEXT NOT NULL,
	blob       TEXT NOT NULL REFERENCES blob (id),
	created_at BIGINT NOT NULL
);
CREATE INDEX delivery_message ON delivery (message);

CREATE TABLE recipient (
	id            TEXT PRIMARY KEY,
	message       TEXT NOT NULL REFERENCES message (id),
	ord           BIGINT NOT NULL, -- place in the envelope
	addr          BYTEA NOT NULL, -- sealed
	addr_hash     BYTEA NOT NULL, -- of message and address: equal in no two messages
	domain        TEXT NOT NULL,
	state         TEXT NOT NULL,
	state_ver     BIGINT NOT NULL,
	delivery      TEXT REFERENCES delivery (id),
	attempts      BIGINT NOT NULL,
	last_code     BIGINT NOT NULL,
	last_text     BYTEA, -- sealed
	sent_at       BIGINT,
	processed_at  BIGINT,
	dispatched_at BIGINT,
	failed_at     BIGINT,
	deadline_at   BIGINT,
	UNIQUE (message, addr_hash)
);
CREATE INDEX recipient_delivery ON recipient (delivery) WHERE delivery IS NOT NULL;

-- A notice about a recipient is made once, also long after the work that made it is gone.
CREATE TABLE notice (
	recipient TEXT NOT NULL REFERENCES recipient (id),
	kind      TEXT NOT NULL,
	message   TEXT NOT NULL,
	at        BIGINT NOT NULL,
	PRIMARY KEY (recipient, kind)
);

CREATE TABLE correl (
	kind       TEXT NOT NULL,
	token_hash BYTEA NOT NULL,
	recipient  TEXT NOT NULL REFERENCES recipient (id),
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (kind, token_hash, recipient)
);
CREATE INDEX correl_expires ON correl (expires_at);

CREATE TABLE work (
	id         TEXT PRIMARY KEY,
	kind       TEXT NOT NULL,
	ref        TEXT NOT NULL,
	lane       TEXT NOT NULL,
	dest       TEXT NOT NULL,
	state      TEXT NOT NULL,
	next_at    BIGINT NOT NULL, -- ready: due; leased: end of the lease
	retry_at   BIGINT NOT NULL, -- written at the claim: due again when the attempt says nothing better
	owner      TEXT NOT NULL,
	epoch      BIGINT NOT NULL,
	attempt    BIGINT NOT NULL,
	uniq       TEXT,
	last_error BYTEA, -- sealed
	created_at BIGINT NOT NULL
);
CREATE INDEX work_due ON work (kind, lane, next_at, id) WHERE state IN ('ready', 'leased');
CREATE UNIQUE INDEX work_uniq ON work (uniq) WHERE state IN ('ready', 'leased', 'held');
CREATE INDEX work_ref ON work (ref);

CREATE TABLE domain (
	name       TEXT PRIMARY KEY,
	created_at BIGINT NOT NULL
);

CREATE TABLE account (
	id         TEXT PRIMARY KEY,
	addr       BYTEA NOT NULL, -- sealed
	addr_hash  BYTEA NOT NULL UNIQUE,
	domain     TEXT NOT NULL REFERENCES domain (name),
	created_at BIGINT NOT NULL
);
CREATE INDEX account_domain ON account (domain, id);

CREATE TABLE mailbox (
	id          TEXT PRIMARY KEY,
	account     TEXT NOT NULL REFERENCES account (id),
	name        BYTEA NOT NULL, -- sealed: people name folders after people
	name_hash   BYTEA NOT NULL,
	uidvalidity BIGINT NOT NULL,
	uidnext     BIGINT NOT NULL,
	modseq      BIGINT NOT NULL,
	UNIQUE (account, name_hash)
);

CREATE TABLE mail (
	mailbox     TEXT NOT NULL REFERENCES mailbox (id),
	uid         BIGINT NOT NULL,
	modseq      BIGINT NOT NULL,
	message     TEXT REFERENCES message (id),
	blob        TEXT NOT NULL REFERENCES blob (id),
	flags       TEXT NOT NULL,
	internal_at BIGINT NOT NULL,
	size        BIGINT NOT NULL,
	subject     BYTEA, -- sealed
	sender      BYTEA, -- sealed
	PRIMARY KEY (mailbox, uid),
	UNIQUE (mailbox, message)
);
CREATE INDEX mail_modseq ON mail (mailbox, modseq);

CREATE TABLE privkey (
	id         TEXT PRIMARY KEY,
	public     BYTEA NOT NULL, -- sealed: SubjectPublicKeyInfo
	wrapped    BYTEA NOT NULL, -- PKCS #8, sealed by the keyring
	created_at BIGINT NOT NULL
);

CREATE TABLE cert (
	id         TEXT PRIMARY KEY,
	owner_hash BYTEA NOT NULL,
	owner      BYTEA NOT NULL, -- sealed
	privkey    TEXT NOT NULL REFERENCES privkey (id),
	fp_hash    BYTEA NOT NULL,
	der        BYTEA NOT NULL, -- sealed: it names its owner
	chain      BYTEA,          -- sealed
	not_before BIGINT NOT NULL,
	not_after  BIGINT NOT NULL,
	UNIQUE (owner_hash, fp_hash)
);

CREATE TABLE anchor (
	id         TEXT PRIMARY KEY,
	owner_hash BYTEA NOT NULL,
	owner      BYTEA NOT NULL, -- sealed
	dir        BIGINT NOT NULL,
	fp         BYTEA NOT NULL, -- SHA-256 of der
	der        BYTEA NOT NULL,
	source     TEXT NOT NULL,
	added_at   BIGINT NOT NULL,
	UNIQUE (owner_hash, dir, fp)
);

CREATE TABLE crl (
	url         TEXT PRIMARY KEY,
	issuer      BYTEA NOT NULL, -- SHA-256 of the raw name
	issuer_name BYTEA NOT NULL,
	der         BYTEA NOT NULL,
	this_update BIGINT NOT NULL,
	next_update BIGINT,
	fetched_at  BIGINT NOT NULL
);
CREATE INDEX crl_issuer ON crl (issuer);

CREATE TABLE audit (
	id     TEXT PRIMARY KEY,
	at     BIGINT NOT NULL,
	node   TEXT NOT NULL,
	actor  TEXT NOT NULL,
	action TEXT NOT NULL,
	obj    TEXT NOT NULL,
	detail BYTEA,          -- sealed
	digest BYTEA NOT NULL  -- SHA-256 of the canonical form: the leaf of the Merkle log
);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_obj ON audit (obj, id);
