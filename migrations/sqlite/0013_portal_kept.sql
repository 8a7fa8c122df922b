-- The same as in ../postgres: what a portal session keeps for a moment has a place for each kind of second factor.

-- What is being bound, and what waits to be answered; encrypted under a key that only the browser's token gives. Whoever
-- answers rightly takes it away.
CREATE TABLE portal_kept (
    session BLOB NOT NULL REFERENCES portal_sessions (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    kind    TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (session, purpose, kind)
) STRICT;

ALTER TABLE portal_sessions DROP COLUMN offer;
ALTER TABLE portal_sessions DROP COLUMN challenge;
