-- The search index over the trail keeps records by the block: a tree to which all is appended, one small key for each
-- account, address and event that a block names, and no more. The files are the truth: it is made again from them.
DROP TABLE audit_records;
DELETE FROM audit_marks;

-- Records of one chain that follow each other. A block's number begins with the time of its latest record.
CREATE TABLE audit_blocks (
    number INTEGER NOT NULL PRIMARY KEY,
    chain  TEXT    NOT NULL,
    last   INTEGER NOT NULL,
    lines  TEXT    NOT NULL
) STRICT;

-- Not unique: a file that somebody copied a line into is indexed as it is.
CREATE INDEX audit_blocks_by_chain ON audit_blocks (chain, last);

-- What blocks are found under: the beginning of a hash over what and which.
CREATE TABLE audit_keys (
    key   INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (key, block)
) STRICT, WITHOUT ROWID;
