-- Version 1 of the directory. Applied once, to an empty file; later versions are scripts of their own.

-- Every committed change adds one.
CREATE TABLE layout (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 1)
) STRICT;
INSERT INTO layout VALUES (1, 1);

CREATE TABLE databases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    -- Set when the ranges first cover; NULL before means the shard with the lowest range.
    home_shard_id INTEGER,
    FOREIGN KEY (home_shard_id, id) REFERENCES shards (id, database_id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Ids are never used again. One PostgreSQL database is one shard, hence the unique conninfo.
CREATE TABLE shards (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    database_id INTEGER NOT NULL REFERENCES databases (id),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    conninfo TEXT NOT NULL UNIQUE CHECK (conninfo <> ''),
    UNIQUE (database_id, name),
    UNIQUE (id, database_id)
) STRICT;

-- The bounds are signed hashes, as the predicates on the shards have them: hash >= low AND hash < high.
-- A keyspace id is the hash XOR 2^63, so both count in the same order. high NULL is the top of the space.
CREATE TABLE key_ranges (
    shard_id INTEGER PRIMARY KEY,
    database_id INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER,
    CHECK (high > low),
    UNIQUE (database_id, low),
    FOREIGN KEY (shard_id, database_id) REFERENCES shards (id, database_id)
) STRICT;

CREATE TRIGGER key_ranges_disjoint BEFORE INSERT ON key_ranges
WHEN EXISTS (SELECT 1 FROM key_ranges k
             WHERE k.database_id = NEW.database_id
               AND (k.high IS NULL OR k.high > NEW.low)
               AND (NEW.high IS NULL OR k.low < NEW.high))
BEGIN
    SELECT RAISE(ABORT, 'key ranges overlap');
END;

CREATE TRIGGER key_ranges_fixed BEFORE UPDATE ON key_ranges
BEGIN
    SELECT RAISE(ABORT, 'a key range never changes: shards are replaced');
END;

-- A way to place rows: type and parameters. Tables with the same vindex are colocated.
CREATE TABLE vindexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    database_id INTEGER NOT NULL REFERENCES databases (id),
    type TEXT NOT NULL CHECK (type IN ('hash', 'identity')),
    -- What is hashed, column by column: types that hash alike have one name (smallint and integer are bigint).
    key_types TEXT NOT NULL CHECK (key_types <> ''),
    CHECK (type <> 'identity' OR key_types = 'bigint'),
    UNIQUE (database_id, type, key_types),
    UNIQUE (id, database_id)
) STRICT;

-- A cache of pgbraid.tables on the shards, which is the truth.
CREATE TABLE tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    database_id INTEGER NOT NULL REFERENCES databases (id),
    schema TEXT NOT NULL CHECK (length(CAST(schema AS BLOB)) BETWEEN 1 AND 63),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    distribution TEXT NOT NULL CHECK (distribution IN ('unsharded', 'reference', 'sharded')),
    vindex_id INTEGER,
    -- A replica identity that contains the key: the table can be resharded.
    has_identity INTEGER NOT NULL CHECK (has_identity IN (0, 1)),
    CHECK ((distribution = 'sharded') = (vindex_id IS NOT NULL)),
    UNIQUE (database_id, schema, name),
    FOREIGN KEY (vindex_id, database_id) REFERENCES vindexes (id, database_id)
) STRICT;

CREATE TABLE key_columns (
    table_id INTEGER NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position BETWEEN 1 AND 4),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    -- Name as in SQL, and atttypmod.
    type TEXT NOT NULL CHECK (type IN ('smallint', 'integer', 'bigint', 'text', 'character varying', 'character',
                                       'uuid', 'numeric', 'timestamp without time zone', 'date')),
    typmod INTEGER NOT NULL CHECK (typmod >= -1),
    PRIMARY KEY (table_id, position),
    UNIQUE (table_id, name)
) STRICT, WITHOUT ROWID;
