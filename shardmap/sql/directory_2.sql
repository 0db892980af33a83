-- Version 2: keys of this installation, made once.
--   decision  proves that a decision about a distributed transaction was written by a router of this directory (rule X8)
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO keys VALUES ('decision', randomblob(32));
