-- When the upstream was asked about the mailbox password that is sealed (rows sealed in one go share the moment), and
-- whether it has refused it since: a seal that is stale is sent upstream as a probe only, not before `next_probe_at`.
-- Not under the row's MAC: whoever writes here delays a login or costs a refusal, and opens nothing.
ALTER TABLE app_passwords ADD COLUMN sealed_at TEXT;
ALTER TABLE app_passwords ADD COLUMN stale_since TEXT;
ALTER TABLE app_passwords ADD COLUMN probes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE app_passwords ADD COLUMN next_probe_at TEXT;

UPDATE app_passwords SET sealed_at = created_at WHERE sealed IS NOT NULL;
