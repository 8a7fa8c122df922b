-- A serving process goes by what it read of an account a moment ago, as long as `changes` names nothing newer: so what
-- sessions do not rest on, but logins do, leaves a row there as well.

CREATE TRIGGER factors_unbound AFTER DELETE ON factors FOR EACH ROW
EXECUTE FUNCTION note_changed_app_password();

CREATE TRIGGER app_passwords_stale AFTER UPDATE OF stale_since ON app_passwords FOR EACH ROW
WHEN (OLD.stale_since IS DISTINCT FROM NEW.stale_since AND OLD.mac IS NOT DISTINCT FROM NEW.mac)
EXECUTE FUNCTION note_changed_app_password();
