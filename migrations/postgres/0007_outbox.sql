-- The same tables as in ../sqlite: what users are told by mail.

-- What waits to be sent. `due_at` is when it may be taken next: whoever takes it moves that on.
CREATE TABLE outbox (
    id       UUID        NOT NULL PRIMARY KEY,
    account  UUID        NOT NULL REFERENCES accounts (id),
    address  TEXT        NOT NULL,
    notice   TEXT        NOT NULL,
    made_at  TIMESTAMPTZ NOT NULL,
    due_at   TIMESTAMPTZ NOT NULL,
    attempts BIGINT      NOT NULL,
    mac      BYTEA       NOT NULL
);

CREATE INDEX outbox_by_account ON outbox (account, made_at);
CREATE INDEX outbox_by_age ON outbox (made_at);
CREATE INDEX outbox_by_due ON outbox (due_at);

-- When an account was last told of what a stranger can cause again and again.
CREATE TABLE told (
    account UUID        NOT NULL REFERENCES accounts (id),
    notice  TEXT        NOT NULL,
    told_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, notice)
);

-- Browsers that an account was signed in with, each a MAC over what it says it is and its network.
CREATE TABLE known_browsers (
    account UUID        NOT NULL REFERENCES accounts (id),
    mark    BYTEA       NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, mark)
);

CREATE INDEX known_browsers_by_age ON known_browsers (seen_at);

-- Sign-ins that wait for a second factor.
CREATE INDEX portal_sessions_by_step ON portal_sessions (step, began_at);
