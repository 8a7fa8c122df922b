-- The same tables as in ../postgres, in SQLite's types: a UUID is a BLOB of 16 bytes, a timestamp is TEXT of the one
-- form 2026-01-01T00:00:00.000000Z (so that text order is time order), a boolean is 0 or 1.

CREATE TABLE accounts (
    id            BLOB    NOT NULL PRIMARY KEY,
    address       TEXT    NOT NULL UNIQUE,
    upstream      TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('active', 'suspended', 'removed')),
    must_bind     INTEGER NOT NULL CHECK (must_bind IN (0, 1)),
    created_at    TEXT    NOT NULL,
    last_login_at TEXT
) STRICT;

CREATE TABLE factors (
    id           BLOB NOT NULL PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    kind         TEXT NOT NULL,
    secret       BLOB NOT NULL,
    bound_at     TEXT NOT NULL,
    last_step    INTEGER,
    last_used_at TEXT
) STRICT;

CREATE INDEX factors_by_account ON factors (account);

CREATE TABLE app_passwords (
    id                BLOB    NOT NULL PRIMARY KEY,
    account           BLOB    NOT NULL REFERENCES accounts (id),
    label             TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    kdf               TEXT    NOT NULL,
    proof             BLOB    NOT NULL,
    public_key        BLOB    NOT NULL,
    sealed            BLOB,
    sealed_version    INTEGER NOT NULL,
    upstream          TEXT    NOT NULL,
    protocols         TEXT    NOT NULL,
    networks          TEXT    NOT NULL,
    expires_at        TEXT,
    created_at        TEXT    NOT NULL,
    last_used_at      TEXT,
    last_used_address TEXT,
    last_used_program TEXT,
    mac               BLOB    NOT NULL,
    UNIQUE (account, label)
) STRICT;

-- The last record of each audit chain and where its file is kept, under a MAC.
CREATE TABLE audit_heads (
    chain    TEXT    NOT NULL PRIMARY KEY,
    place    TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    mac      BLOB    NOT NULL
) STRICT;

-- The search index; the files of the audit directory are the truth.
CREATE TABLE audit_records (
    chain    TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    at       TEXT    NOT NULL,
    event    TEXT    NOT NULL,
    account  TEXT,
    ip       TEXT,
    outcome  TEXT,
    json     TEXT    NOT NULL,
    PRIMARY KEY (chain, sequence)
) STRICT;

CREATE INDEX audit_records_by_time ON audit_records (at);
CREATE INDEX audit_records_by_account ON audit_records (account, at);
CREATE INDEX audit_records_by_ip ON audit_records (ip, at);

-- How far into each chain's file the index has come, and the last bytes before that place.
CREATE TABLE audit_marks (
    chain    TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    tail     BLOB    NOT NULL
) STRICT;

-- One row: what only the right key file makes, so that a wrong one is noticed before it is used.
CREATE TABLE site (
    the_one   INTEGER NOT NULL PRIMARY KEY CHECK (the_one = 1),
    key_check BLOB    NOT NULL
) STRICT;
