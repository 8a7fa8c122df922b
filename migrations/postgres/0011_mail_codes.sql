-- The same table as in ../sqlite: codes that were sent by mail, for as long as their sending counts. The codes themselves are in the
-- sessions that asked for them.
CREATE TABLE mail_codes (
    id      UUID NOT NULL PRIMARY KEY,
    account UUID NOT NULL REFERENCES accounts (id),
    network TEXT NOT NULL,
    sent_at TIMESTAMPTZ NOT NULL,
    tries   BIGINT NOT NULL
);

CREATE INDEX mail_codes_by_account ON mail_codes (account, sent_at);
CREATE INDEX mail_codes_by_network ON mail_codes (network, sent_at);
CREATE INDEX mail_codes_by_age ON mail_codes (sent_at);
