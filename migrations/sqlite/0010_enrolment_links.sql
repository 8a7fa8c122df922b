-- The same tables as in ../postgres: what the portal uses up once.

-- An administrator's leave to bind a first factor, one for each account at a time; the token is kept as its SHA-256, and the row
-- carries a MAC.
CREATE TABLE enrolment_links (
    account    BLOB NOT NULL PRIMARY KEY REFERENCES accounts (id),
    token      BLOB NOT NULL,
    made_at    TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    mac        BLOB NOT NULL
) STRICT;

CREATE INDEX enrolment_links_by_end ON enrolment_links (expires_at);

-- Forms that were sent, each a MAC over its session and what it carried: a page that is loaded again does nothing twice.
CREATE TABLE used_forms (
    mark    BLOB NOT NULL PRIMARY KEY,
    used_at TEXT NOT NULL
) STRICT;

CREATE INDEX used_forms_by_age ON used_forms (used_at);

-- A link is for a first factor, whoever binds it and however.
CREATE TRIGGER factors_bound_end_links AFTER INSERT ON factors
BEGIN
    DELETE FROM enrolment_links WHERE account = NEW.account;
END;

CREATE TRIGGER accounts_stopped_end_links AFTER UPDATE OF state ON accounts
WHEN NEW.state <> 'active' AND OLD.state IS NOT NEW.state
BEGIN
    DELETE FROM enrolment_links WHERE account = NEW.id;
END;
