-- The same tables as in ../sqlite, in PostgreSQL's types. Text that is sorted has collation "C", so that both sort alike.

CREATE TABLE accounts (
    id            UUID        NOT NULL PRIMARY KEY,
    address       TEXT        COLLATE "C" NOT NULL UNIQUE,
    upstream      TEXT        NOT NULL,
    state         TEXT        NOT NULL CHECK (state IN ('active', 'suspended', 'removed')),
    must_bind     BOOLEAN     NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    last_login_at TIMESTAMPTZ
);

CREATE TABLE factors (
    id           UUID        NOT NULL PRIMARY KEY,
    account      UUID        NOT NULL REFERENCES accounts (id),
    kind         TEXT        NOT NULL,
    secret       BYTEA       NOT NULL,
    bound_at     TIMESTAMPTZ NOT NULL,
    last_step    BIGINT,
    last_used_at TIMESTAMPTZ
);

CREATE INDEX factors_by_account ON factors (account);

CREATE TABLE app_passwords (
    id                UUID        NOT NULL PRIMARY KEY,
    account           UUID        NOT NULL REFERENCES accounts (id),
    label             TEXT        NOT NULL,
    name              TEXT        NOT NULL,
    kdf               TEXT        NOT NULL,
    proof             BYTEA       NOT NULL,
    public_key        BYTEA       NOT NULL,
    sealed            BYTEA,
    sealed_version    BIGINT      NOT NULL,
    upstream          TEXT        NOT NULL,
    protocols         TEXT        NOT NULL,
    networks          TEXT        NOT NULL,
    expires_at        TIMESTAMPTZ,
    created_at        TIMESTAMPTZ NOT NULL,
    last_used_at      TIMESTAMPTZ,
    last_used_address TEXT,
    last_used_program TEXT,
    mac               BYTEA       NOT NULL,
    UNIQUE (account, label)
);

-- The last record of each audit chain and where its file is kept, under a MAC.
CREATE TABLE audit_heads (
    chain    TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    place    TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    hash     BYTEA  NOT NULL,
    mac      BYTEA  NOT NULL
);

-- The search index; the files of the audit directory are the truth.
CREATE TABLE audit_records (
    chain    TEXT        COLLATE "C" NOT NULL,
    sequence BIGINT      NOT NULL,
    at       TIMESTAMPTZ NOT NULL,
    event    TEXT        NOT NULL,
    account  TEXT,
    ip       TEXT,
    outcome  TEXT,
    json     TEXT        NOT NULL,
    PRIMARY KEY (chain, sequence)
);

CREATE INDEX audit_records_by_time ON audit_records (at);
CREATE INDEX audit_records_by_account ON audit_records (account, at);
CREATE INDEX audit_records_by_ip ON audit_records (ip, at);

-- How far into each chain's file the index has come, and the last bytes before that place.
CREATE TABLE audit_marks (
    chain    TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    tail     BYTEA  NOT NULL
);

-- One row: what only the right key file makes, so that a wrong one is noticed before it is used.
CREATE TABLE site (
    the_one   INTEGER NOT NULL PRIMARY KEY CHECK (the_one = 1),
    key_check BYTEA   NOT NULL
);
