-- The same as in ../sqlite. The upstream that an administrator bound the account to; none: the one that its domain
-- leads to.
ALTER TABLE accounts ADD COLUMN bound_upstream TEXT;

-- For the few that are bound.
CREATE INDEX accounts_bound ON accounts (bound_upstream) WHERE bound_upstream IS NOT NULL;

CREATE FUNCTION note_moved_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (account) VALUES (NEW.id);
    RETURN NULL;
END
$$;

-- Sessions at the upstream before end.
CREATE TRIGGER accounts_moved AFTER UPDATE OF bound_upstream ON accounts FOR EACH ROW
WHEN (OLD.bound_upstream IS DISTINCT FROM NEW.bound_upstream)
EXECUTE FUNCTION note_moved_account();
