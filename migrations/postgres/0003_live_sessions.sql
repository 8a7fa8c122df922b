-- The same tables as in ../sqlite. What a live session rests on leaves a row in `changes` whoever changes it, in the
-- same transaction: triggers write them, so that no statement can forget to.

-- A serving process reads what is new several times a second, and judges the account's sessions again. A row with a
-- reason ends sessions whatever holds by then: all of the account that it is a reason for, or the one it names.
-- Numbers are drawn in order, but may become visible out of order.
CREATE TABLE changes (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account UUID   NOT NULL,
    session UUID,
    reason  TEXT
);

CREATE FUNCTION note_changed_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (account, reason) VALUES (NEW.id, nullif(NEW.state, 'active'));
    RETURN NULL;
END
$$;

CREATE FUNCTION note_bound_factor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (account, reason) VALUES (NEW.account, 'factor_bound');
    RETURN NULL;
END
$$;

CREATE FUNCTION note_changed_app_password() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (account) VALUES (OLD.account);
    RETURN NULL;
END
$$;

CREATE TRIGGER accounts_changed AFTER UPDATE OF state, must_bind ON accounts FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.must_bind IS DISTINCT FROM NEW.must_bind)
EXECUTE FUNCTION note_changed_account();

CREATE TRIGGER factors_bound AFTER INSERT ON factors FOR EACH ROW
EXECUTE FUNCTION note_bound_factor();

-- The MAC covers all that matters in the row.
CREATE TRIGGER app_passwords_changed AFTER UPDATE OF mac ON app_passwords FOR EACH ROW
WHEN (OLD.mac IS DISTINCT FROM NEW.mac)
EXECUTE FUNCTION note_changed_app_password();

CREATE TRIGGER app_passwords_revoked AFTER DELETE ON app_passwords FOR EACH ROW
EXECUTE FUNCTION note_changed_app_password();

-- What SQLite calls so, too: seconds since 1970 by the one clock that all gates on this database share.
CREATE FUNCTION unixepoch() RETURNS BIGINT LANGUAGE sql STABLE
AS 'SELECT floor(extract(epoch FROM now()))::BIGINT';

-- Serving processes. `beat` is when each last said that it lives, in seconds since 1970 by the database's clock.
CREATE TABLE nodes (
    id   UUID   NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- Their sessions, for lists: a second late, the bytes some more.
CREATE TABLE live_sessions (
    id                UUID        NOT NULL PRIMARY KEY,
    node              UUID        NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    account           UUID        NOT NULL,
    protocol          TEXT        NOT NULL,
    client            TEXT        NOT NULL,
    program           TEXT,
    app_password      UUID,
    upstream          TEXT        NOT NULL,
    since             TIMESTAMPTZ NOT NULL,
    bytes_from_client BIGINT      NOT NULL,
    bytes_to_client   BIGINT      NOT NULL
);

CREATE INDEX live_sessions_by_account ON live_sessions (account);
CREATE INDEX live_sessions_by_node ON live_sessions (node);
