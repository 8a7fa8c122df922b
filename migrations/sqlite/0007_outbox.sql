-- The same tables as in ../postgres: what users are told by mail.

-- What waits to be sent. `due_at` is when it may be taken next: whoever takes it moves that on.
CREATE TABLE outbox (
    id       BLOB    NOT NULL PRIMARY KEY,
    account  BLOB    NOT NULL REFERENCES accounts (id),
    address  TEXT    NOT NULL,
    notice   TEXT    NOT NULL,
    made_at  TEXT    NOT NULL,
    due_at   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    mac      BLOB    NOT NULL
) STRICT;

CREATE INDEX outbox_by_account ON outbox (account, made_at);
CREATE INDEX outbox_by_age ON outbox (made_at);
CREATE INDEX outbox_by_due ON outbox (due_at);

-- When an account was last told of what a stranger can cause again and again.
CREATE TABLE told (
    account BLOB NOT NULL REFERENCES accounts (id),
    notice  TEXT NOT NULL,
    told_at TEXT NOT NULL,
    PRIMARY KEY (account, notice)
) STRICT;

-- Browsers that an account was signed in with, each a MAC over what it says it is and its network.
CREATE TABLE known_browsers (
    account BLOB NOT NULL REFERENCES accounts (id),
    mark    BLOB NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (account, mark)
) STRICT;

CREATE INDEX known_browsers_by_age ON known_browsers (seen_at);

-- Sign-ins that wait for a second factor.
CREATE INDEX portal_sessions_by_step ON portal_sessions (step, began_at);
