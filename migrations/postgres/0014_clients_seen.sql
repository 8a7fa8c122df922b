-- The same table as in ../sqlite: mail clients that got in with the mailbox password, so that nobody has to go through the trail
-- for them. `client` is what it called itself, or else its address. Kept for a month, and of each account the fifty that were
-- seen last: whoever has a mailbox password may call himself something else each time.
CREATE TABLE clients_seen (
    account UUID        NOT NULL REFERENCES accounts (id),
    client  TEXT        COLLATE "C" NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, client)
);

CREATE INDEX clients_seen_by_age ON clients_seen (seen_at);

-- For a client that is new only: one that comes again changes its row.
CREATE FUNCTION make_room_for_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM clients_seen WHERE account = NEW.account AND (seen_at, client) <
        (SELECT seen_at, client FROM clients_seen WHERE account = NEW.account
         ORDER BY seen_at DESC, client DESC LIMIT 1 OFFSET 49);
    RETURN NULL;
END
$$;

CREATE TRIGGER clients_seen_make_room AFTER INSERT ON clients_seen FOR EACH ROW
EXECUTE FUNCTION make_room_for_client();
