-- The same tables as in ../postgres: what the portal keeps of browsers. Tokens are kept as their SHA-256; rows that open
-- something carry a MAC.

-- Browsers that somebody is signed in with, or is on the way in.
CREATE TABLE portal_sessions (
    id               BLOB NOT NULL PRIMARY KEY,
    token            BLOB NOT NULL UNIQUE,
    account          BLOB NOT NULL REFERENCES accounts (id),
    step             TEXT NOT NULL,
    began_at         TEXT NOT NULL,
    seen_at          TEXT NOT NULL,
    expires_at       TEXT NOT NULL,
    verified_at      TEXT,
    address          TEXT NOT NULL,
    browser          TEXT,
    mailbox          BLOB,
    mailbox_upstream TEXT,
    mailbox_at       TEXT,
    mac              BLOB NOT NULL,
    offer            BLOB
) STRICT;

CREATE INDEX portal_sessions_by_account ON portal_sessions (account);
CREATE INDEX portal_sessions_by_end ON portal_sessions (expires_at);

-- Browsers in which an account needs no second factor for a while. One browser has one token for all its accounts.
CREATE TABLE trusted_devices (
    id           BLOB NOT NULL PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    token        BLOB NOT NULL,
    browser      TEXT,
    address      TEXT NOT NULL,
    trusted_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    mac          BLOB NOT NULL,
    UNIQUE (account, token)
) STRICT;

CREATE INDEX trusted_devices_by_end ON trusted_devices (expires_at);

-- Ten at a time; each a MAC over account and code.
CREATE TABLE recovery_codes (
    account BLOB NOT NULL REFERENCES accounts (id),
    mac     BLOB NOT NULL,
    made_at TEXT NOT NULL,
    used_at TEXT,
    PRIMARY KEY (account, mac)
) STRICT;

-- Whoever is signed in elsewhere, or trusted, was so by factors that are others now. The browser that made the change
-- gets a new session from the portal.
CREATE TRIGGER factors_bound_end_browsers AFTER INSERT ON factors
BEGIN
    DELETE FROM portal_sessions WHERE account = NEW.account;
    DELETE FROM trusted_devices WHERE account = NEW.account;
END;

CREATE TRIGGER factors_unbound_end_browsers AFTER DELETE ON factors
BEGIN
    DELETE FROM portal_sessions WHERE account = OLD.account;
    DELETE FROM trusted_devices WHERE account = OLD.account;
END;

-- Neither do they outlast the account.
CREATE TRIGGER accounts_stopped_end_browsers AFTER UPDATE OF state ON accounts
WHEN NEW.state <> 'active' AND OLD.state IS NOT NEW.state
BEGIN
    DELETE FROM portal_sessions WHERE account = NEW.id;
    DELETE FROM trusted_devices WHERE account = NEW.id;
END;

-- A tombstone has nothing to recover.
CREATE TRIGGER accounts_removed_forget_codes AFTER UPDATE OF state ON accounts
WHEN NEW.state = 'removed'
BEGIN
    DELETE FROM recovery_codes WHERE account = NEW.id;
END;
