-- The same table as in ../sqlite: what a phone is about to fetch to set itself up. `id` is the SHA-256 of what its link
-- holds, and `sealed` opens for nobody who has not the link and the site's key file.
CREATE TABLE profiles (
    id           BYTEA       NOT NULL PRIMARY KEY,
    account      UUID        NOT NULL REFERENCES accounts (id),
    app_password UUID        NOT NULL REFERENCES app_passwords (id) ON DELETE CASCADE,
    made_at      TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    sealed       BYTEA       NOT NULL
);

CREATE INDEX profiles_by_account ON profiles (account, made_at);
CREATE INDEX profiles_by_app_password ON profiles (app_password);
CREATE INDEX profiles_by_end ON profiles (expires_at);

-- Nobody sets up a phone for an account that is suspended or gone.
CREATE FUNCTION end_profiles_of_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM profiles WHERE account = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER accounts_stopped_end_profiles AFTER UPDATE OF state ON accounts FOR EACH ROW
WHEN (NEW.state <> 'active' AND OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION end_profiles_of_account();
