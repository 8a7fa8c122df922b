-- The same table as in ../postgres: codes that were sent by mail, for as long as their sending counts. The codes themselves are in the
-- sessions that asked for them.
CREATE TABLE mail_codes (
    id      BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    network TEXT NOT NULL,
    sent_at TEXT NOT NULL,
    tries   INTEGER NOT NULL
) STRICT;

CREATE INDEX mail_codes_by_account ON mail_codes (account, sent_at);
CREATE INDEX mail_codes_by_network ON mail_codes (network, sent_at);
CREATE INDEX mail_codes_by_age ON mail_codes (sent_at);
