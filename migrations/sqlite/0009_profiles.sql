-- The same table as in ../postgres: what a phone is about to fetch to set itself up. `id` is the SHA-256 of what its link
-- holds, and `sealed` opens for nobody who has not the link and the site's key file.
CREATE TABLE profiles (
    id           BLOB NOT NULL PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    app_password BLOB NOT NULL REFERENCES app_passwords (id) ON DELETE CASCADE,
    made_at      TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    sealed       BLOB NOT NULL
) STRICT;

CREATE INDEX profiles_by_account ON profiles (account, made_at);
CREATE INDEX profiles_by_app_password ON profiles (app_password);
CREATE INDEX profiles_by_end ON profiles (expires_at);

-- Nobody sets up a phone for an account that is suspended or gone.
CREATE TRIGGER accounts_stopped_end_profiles AFTER UPDATE OF state ON accounts
WHEN NEW.state <> 'active' AND OLD.state IS NOT NEW.state
BEGIN
    DELETE FROM profiles WHERE account = NEW.id;
END;
