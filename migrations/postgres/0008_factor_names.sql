-- The same as in ../sqlite: what its owner calls a factor, and what a portal session waits to be answered.

-- Empty where its owner gave it none.
ALTER TABLE factors ADD COLUMN name TEXT NOT NULL DEFAULT '';

-- What tells it from others of its kind, as lists show it: masked where it is somebody's.
ALTER TABLE factors ADD COLUMN detail TEXT;

-- Encrypted; whoever answers rightly takes it away.
ALTER TABLE portal_sessions ADD COLUMN challenge BYTEA;
