-- The same columns as in ../sqlite, in PostgreSQL's types.
ALTER TABLE app_passwords ADD COLUMN sealed_at TIMESTAMPTZ;
ALTER TABLE app_passwords ADD COLUMN stale_since TIMESTAMPTZ;
ALTER TABLE app_passwords ADD COLUMN probes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE app_passwords ADD COLUMN next_probe_at TIMESTAMPTZ;

UPDATE app_passwords SET sealed_at = created_at WHERE sealed IS NOT NULL;
