-- The upstream that an administrator bound the account to; none: the one that its domain leads to. Not under a MAC: a
-- password goes to no upstream that the configuration does not have, and a sealed one only where it says so.
ALTER TABLE accounts ADD COLUMN bound_upstream TEXT;

-- For the few that are bound.
CREATE INDEX accounts_bound ON accounts (bound_upstream) WHERE bound_upstream IS NOT NULL;

-- Sessions at the upstream before end.
CREATE TRIGGER accounts_moved AFTER UPDATE OF bound_upstream ON accounts
WHEN OLD.bound_upstream IS NOT NEW.bound_upstream
BEGIN
    INSERT INTO changes (account) VALUES (NEW.id);
END;
