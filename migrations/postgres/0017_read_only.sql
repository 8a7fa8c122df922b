-- The same as in ../sqlite. How much of a mailbox an app password opens: all of it, or reading alone. The MAC of a row
-- covers it where it is not `full`, so that rows of before stay as good as they are.
ALTER TABLE app_passwords ADD COLUMN access TEXT NOT NULL DEFAULT 'full' CHECK (access IN ('full', 'read-only'));
