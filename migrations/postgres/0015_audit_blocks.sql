-- The same as in ../sqlite: the search index over the trail keeps records by the block. The files are the truth: it is
-- made again from them.
LOCK TABLE audit_marks IN EXCLUSIVE MODE; -- in the order in which a gate of the version before takes them
DROP TABLE audit_records;
DELETE FROM audit_marks;

-- Records of one chain that follow each other. A block's number begins with the time of its latest record.
CREATE TABLE audit_blocks (
    number BIGINT NOT NULL PRIMARY KEY,
    chain  TEXT   COLLATE "C" NOT NULL,
    last   BIGINT NOT NULL,
    lines  TEXT   NOT NULL
);

-- Not unique: a file that somebody copied a line into is indexed as it is.
CREATE INDEX audit_blocks_by_chain ON audit_blocks (chain, last);

-- What blocks are found under: the beginning of a hash over what and which.
CREATE TABLE audit_keys (
    key   BIGINT NOT NULL,
    block BIGINT NOT NULL,
    PRIMARY KEY (key, block)
);
