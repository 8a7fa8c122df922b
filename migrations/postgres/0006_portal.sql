-- The same tables as in ../sqlite: what the portal keeps of browsers. Tokens are kept as their SHA-256; rows that open
-- something carry a MAC.

-- Browsers that somebody is signed in with, or is on the way in.
CREATE TABLE portal_sessions (
    id               UUID        NOT NULL PRIMARY KEY,
    token            BYTEA       NOT NULL UNIQUE,
    account          UUID        NOT NULL REFERENCES accounts (id),
    step             TEXT        NOT NULL,
    began_at         TIMESTAMPTZ NOT NULL,
    seen_at          TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL,
    verified_at      TIMESTAMPTZ,
    address          TEXT        NOT NULL,
    browser          TEXT,
    mailbox          BYTEA,
    mailbox_upstream TEXT,
    mailbox_at       TIMESTAMPTZ,
    mac              BYTEA       NOT NULL,
    offer            BYTEA
);

CREATE INDEX portal_sessions_by_account ON portal_sessions (account);
CREATE INDEX portal_sessions_by_end ON portal_sessions (expires_at);

-- Browsers in which an account needs no second factor for a while. One browser has one token for all its accounts.
CREATE TABLE trusted_devices (
    id           UUID        NOT NULL PRIMARY KEY,
    account      UUID        NOT NULL REFERENCES accounts (id),
    token        BYTEA       NOT NULL,
    browser      TEXT,
    address      TEXT        NOT NULL,
    trusted_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    mac          BYTEA       NOT NULL,
    UNIQUE (account, token)
);

CREATE INDEX trusted_devices_by_end ON trusted_devices (expires_at);

-- Ten at a time; each a MAC over account and code.
CREATE TABLE recovery_codes (
    account UUID        NOT NULL REFERENCES accounts (id),
    mac     BYTEA       NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    PRIMARY KEY (account, mac)
);

-- Whoever is signed in elsewhere, or trusted, was so by factors that are others now. The browser that made the change
-- gets a new session from the portal.
CREATE FUNCTION end_browsers_of_factor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose UUID := CASE WHEN TG_OP = 'INSERT' THEN NEW.account ELSE OLD.account END;
BEGIN
    DELETE FROM portal_sessions WHERE account = whose;
    DELETE FROM trusted_devices WHERE account = whose;
    RETURN NULL;
END
$$;

CREATE FUNCTION end_browsers_of_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM portal_sessions WHERE account = NEW.id;
    DELETE FROM trusted_devices WHERE account = NEW.id;
    -- A tombstone has nothing to recover.
    DELETE FROM recovery_codes WHERE account = NEW.id AND NEW.state = 'removed';
    RETURN NULL;
END
$$;

CREATE TRIGGER factors_changed_end_browsers AFTER INSERT OR DELETE ON factors FOR EACH ROW
EXECUTE FUNCTION end_browsers_of_factor();

-- Neither do they outlast the account.
CREATE TRIGGER accounts_stopped_end_browsers AFTER UPDATE OF state ON accounts FOR EACH ROW
WHEN (NEW.state <> 'active' AND OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION end_browsers_of_account();
