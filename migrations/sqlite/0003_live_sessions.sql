-- The same tables as in ../postgres. What a live session rests on leaves a row in `changes` whoever changes it, in the
-- same transaction: triggers write them, so that no statement can forget to.

-- A serving process reads what is new several times a second, and judges the account's sessions again. A row with a
-- reason ends sessions whatever holds by then: all of the account that it is a reason for, or the one it names.
CREATE TABLE changes (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account BLOB    NOT NULL,
    session BLOB,
    reason  TEXT
) STRICT;

CREATE TRIGGER accounts_changed AFTER UPDATE OF state, must_bind ON accounts
WHEN OLD.state IS NOT NEW.state OR OLD.must_bind IS NOT NEW.must_bind
BEGIN
    INSERT INTO changes (account, reason) VALUES (NEW.id, nullif(NEW.state, 'active'));
END;

CREATE TRIGGER factors_bound AFTER INSERT ON factors
BEGIN
    INSERT INTO changes (account, reason) VALUES (NEW.account, 'factor_bound');
END;

-- The MAC covers all that matters in the row.
CREATE TRIGGER app_passwords_changed AFTER UPDATE OF mac ON app_passwords
WHEN OLD.mac IS NOT NEW.mac
BEGIN
    INSERT INTO changes (account) VALUES (NEW.account);
END;

CREATE TRIGGER app_passwords_revoked AFTER DELETE ON app_passwords
BEGIN
    INSERT INTO changes (account) VALUES (OLD.account);
END;

-- Serving processes. `beat` is when each last said that it lives, in seconds since 1970 by the database's clock.
CREATE TABLE nodes (
    id   BLOB    NOT NULL PRIMARY KEY,
    beat INTEGER NOT NULL
) STRICT;

-- Their sessions, for lists: a second late, the bytes some more.
CREATE TABLE live_sessions (
    id                BLOB    NOT NULL PRIMARY KEY,
    node              BLOB    NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    account           BLOB    NOT NULL,
    protocol          TEXT    NOT NULL,
    client            TEXT    NOT NULL,
    program           TEXT,
    app_password      BLOB,
    upstream          TEXT    NOT NULL,
    since             TEXT    NOT NULL,
    bytes_from_client INTEGER NOT NULL,
    bytes_to_client   INTEGER NOT NULL
) STRICT;

CREATE INDEX live_sessions_by_account ON live_sessions (account);
CREATE INDEX live_sessions_by_node ON live_sessions (node);
