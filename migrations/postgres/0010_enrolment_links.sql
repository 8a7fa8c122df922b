-- The same tables as in ../sqlite: what the portal uses up once.

-- An administrator's leave to bind a first factor, one for each account at a time; the token is kept as its SHA-256, and the row
-- carries a MAC.
CREATE TABLE enrolment_links (
    account    UUID        NOT NULL PRIMARY KEY REFERENCES accounts (id),
    token      BYTEA       NOT NULL,
    made_at    TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    mac        BYTEA       NOT NULL
);

CREATE INDEX enrolment_links_by_end ON enrolment_links (expires_at);

-- Forms that were sent, each a MAC over its session and what it carried: a page that is loaded again does nothing twice.
CREATE TABLE used_forms (
    mark    BYTEA       NOT NULL PRIMARY KEY,
    used_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX used_forms_by_age ON used_forms (used_at);

-- A link is for a first factor, whoever binds it and however.
CREATE FUNCTION end_links_of_factor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM enrolment_links WHERE account = NEW.account;
    RETURN NULL;
END
$$;

CREATE FUNCTION end_links_of_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM enrolment_links WHERE account = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER factors_bound_end_links AFTER INSERT ON factors FOR EACH ROW
EXECUTE FUNCTION end_links_of_factor();

CREATE TRIGGER accounts_stopped_end_links AFTER UPDATE OF state ON accounts FOR EACH ROW
WHEN (NEW.state <> 'active' AND OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION end_links_of_account();
