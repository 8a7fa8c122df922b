-- The same table as in ../postgres: mail clients that got in with the mailbox password, so that nobody has to go through the trail
-- for them. `client` is what it called itself, or else its address. Kept for a month, and of each account the fifty that were
-- seen last: whoever has a mailbox password may call himself something else each time.
CREATE TABLE clients_seen (
    account BLOB NOT NULL REFERENCES accounts (id),
    client  TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (account, client)
) STRICT, WITHOUT ROWID;

CREATE INDEX clients_seen_by_age ON clients_seen (seen_at);

-- For a client that is new only: one that comes again changes its row.
CREATE TRIGGER clients_seen_make_room AFTER INSERT ON clients_seen
BEGIN
    DELETE FROM clients_seen WHERE account = NEW.account AND (seen_at, client) <
        (SELECT seen_at, client FROM clients_seen WHERE account = NEW.account
         ORDER BY seen_at DESC, client DESC LIMIT 1 OFFSET 49);
END;
