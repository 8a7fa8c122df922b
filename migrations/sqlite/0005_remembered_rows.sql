-- A serving process goes by what it read of an account a moment ago, as long as `changes` names nothing newer: so what
-- sessions do not rest on, but logins do, leaves a row there as well.

CREATE TRIGGER factors_unbound AFTER DELETE ON factors
BEGIN
    INSERT INTO changes (account) VALUES (OLD.account);
END;

CREATE TRIGGER app_passwords_stale AFTER UPDATE OF stale_since ON app_passwords
WHEN OLD.stale_since IS NOT NEW.stale_since AND OLD.mac IS NEW.mac
BEGIN
    INSERT INTO changes (account) VALUES (NEW.account);
END;
