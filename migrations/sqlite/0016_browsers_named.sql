-- The same as in ../postgres. Browsers that an account was signed in with, as its owner sees them: what each says it is, and
-- where it was last. None of what was seen before is known.
ALTER TABLE known_browsers ADD COLUMN browser TEXT;
ALTER TABLE known_browsers ADD COLUMN address TEXT;

-- The search index finds an account's refusals among many logins by a key of their own: it is made again from the files.
DELETE FROM audit_keys;
DELETE FROM audit_blocks;
DELETE FROM audit_marks;
