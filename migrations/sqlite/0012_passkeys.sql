-- The same table as in ../postgres: signing in with a passkey alone.

-- What was asked of nobody in particular, and answered: each is good once. A hash of what was asked, and until when it
-- could have been answered.
CREATE TABLE used_challenges (
    challenge BLOB NOT NULL PRIMARY KEY,
    until     TEXT NOT NULL
) STRICT;

CREATE INDEX used_challenges_by_time ON used_challenges (until);
