-- What pgbraid owns on every shard before the catalog can be loaded. Idempotent; run by a superuser or the database's
-- owner as one simple query, hence one transaction. The advisory lock keeps two routers from racing on CREATE.
SELECT pg_catalog.pg_advisory_xact_lock(8098990427423601);

CREATE SCHEMA IF NOT EXISTS pgbraid;
GRANT USAGE ON SCHEMA pgbraid TO PUBLIC;

-- The truth about which tables are distributed and how (rule P39): the same rows on every shard, written in the
-- transaction that changes the distribution. Tables without a row are unsharded: on the home shard only.
CREATE TABLE IF NOT EXISTS pgbraid.tables (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    dist text NOT NULL CHECK (dist IN ('sharded', 'reference')),
    key_columns text[] NOT NULL DEFAULT '{}',
    vindex text NOT NULL DEFAULT 'hash' CHECK (vindex IN ('hash', 'identity')),
    PRIMARY KEY (schema_name, table_name),
    CHECK ((dist = 'sharded') = (cardinality(key_columns) > 0)),
    CHECK (cardinality(key_columns) <= 4)
);
GRANT SELECT ON pgbraid.tables TO PUBLIC;

-- After a DROP, in its transaction: forget the tables that are gone, whoever dropped them. Anyone may call it, since it
-- only removes what has no table any more.
CREATE OR REPLACE PROCEDURE pgbraid.forget_dropped() LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$
    DELETE FROM pgbraid.tables t WHERE NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = t.schema_name AND c.relname = t.table_name AND c.relkind IN ('r', 'p'));
$body$;

-- What DDL changes in pgbraid.tables, called by the router behind the statement and in its transaction. Anyone may call
-- them: each changes only what a statement of the caller's must have made true.

-- A new table that has been given its placement constraint. Away from the home shard its sequences draw nothing (P45).
CREATE OR REPLACE PROCEDURE pgbraid.note_sharded(schema_name text, table_name text, key text, home boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
DECLARE
    rel oid;
    s record;
BEGIN
    SELECT c.oid INTO rel FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = note_sharded.schema_name AND c.relname = note_sharded.table_name AND c.relkind = 'r'
      AND pg_has_role(session_user, c.relowner, 'MEMBER')
      AND EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = 'pgbraid_placement');
    IF rel IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('table "%s" cannot be noted as sharded', note_sharded.table_name);
    END IF;
    INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns, vindex)
    VALUES (note_sharded.schema_name, note_sharded.table_name, 'sharded', ARRAY[key], 'hash');
    IF NOT home THEN
        FOR s IN SELECT n.nspname, c.relname, CASE WHEN q.seqincrement > 0 THEN q.seqmax ELSE q.seqmin END AS last
                 FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
                 JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
                 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = d.classid AND d.refobjid = rel
                   AND d.deptype IN ('a', 'i') LOOP
            EXECUTE format('ALTER SEQUENCE %I.%I NO CYCLE', s.nspname, s.relname);
            PERFORM setval(format('%I.%I', s.nspname, s.relname)::regclass, s.last, true);
        END LOOP;
    END IF;
END $body$;

-- A table that had the old name has the new one.
CREATE OR REPLACE PROCEDURE pgbraid.note_renamed(old_schema text, old_name text, new_schema text, new_name text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$
    UPDATE pgbraid.tables t SET schema_name = new_schema, table_name = new_name
    WHERE t.schema_name = old_schema AND t.table_name = old_name
      AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = old_schema AND c.relname = old_name AND c.relkind IN ('r', 'p'))
      AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = new_schema AND c.relname = new_name AND c.relkind IN ('r', 'p')
                    AND pg_has_role(session_user, c.relowner, 'MEMBER'));
$body$;

CREATE OR REPLACE PROCEDURE pgbraid.note_schema_renamed(old_schema text, new_schema text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$
    UPDATE pgbraid.tables t SET schema_name = new_schema
    WHERE t.schema_name = old_schema
      AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = old_schema)
      AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = new_schema AND c.relname = t.table_name AND c.relkind IN ('r', 'p'));
$body$;

-- A column of the sharding key that had the old name has the new one.
CREATE OR REPLACE PROCEDURE pgbraid.note_key_renamed(schema_name text, table_name text, old_key text, new_key text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$
    UPDATE pgbraid.tables t SET key_columns = array_replace(t.key_columns, old_key, new_key)
    WHERE t.schema_name = note_key_renamed.schema_name AND t.table_name = note_key_renamed.table_name
      AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = t.schema_name AND c.relname = t.table_name
                    AND pg_has_role(session_user, c.relowner, 'MEMBER')
                    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = new_key AND NOT a.attisdropped)
                    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = old_key AND NOT a.attisdropped));
$body$;

-- How distributed transactions were decided whose decider this shard is. A commit's row is written in the transaction that it is
-- about, an abort's by who finds no row; the key lets only one of them be. mac proves that a router has written it. The row with
-- an empty gtid says since when the table is there: what is older may have been decided in one that somebody has dropped.
DO $body$
BEGIN
    -- One that lost its key or a column decides nothing: it is put aside, and a new one begins.
    IF to_regclass('pgbraid.decisions') IS NOT NULL AND NOT (
        EXISTS (SELECT FROM pg_catalog.pg_index i
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = to_regclass('pgbraid.decisions') AND i.indisprimary AND i.indnkeyatts = 1 AND i.indisvalid
                  AND i.indimmediate AND a.attname = 'gtid')
        AND 6 = (SELECT count(*) FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = to_regclass('pgbraid.decisions') AND NOT a.attisdropped
                   AND (a.attname, a.atttypid::regtype::text) IN
                       (('gtid', 'text'), ('committed', 'boolean'), ('participants', 'text[]'), ('mac', 'text'),
                        ('decided_at', 'timestamp with time zone'), ('xid', 'xid8')))) THEN
        EXECUTE format('ALTER TABLE pgbraid.decisions RENAME TO %I', 'decisions_until_' || extract(epoch FROM clock_timestamp()));
    END IF;
END $body$;
CREATE TABLE IF NOT EXISTS pgbraid.decisions (
    gtid text PRIMARY KEY,
    committed boolean NOT NULL,
    participants text[] NOT NULL DEFAULT '{}',
    mac text NOT NULL DEFAULT '',
    decided_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id()
);
INSERT INTO pgbraid.decisions (gtid, committed) VALUES ('', false) ON CONFLICT (gtid) DO NOTHING;
REVOKE ALL ON pgbraid.decisions FROM PUBLIC;

-- The commit point: called by the router as the client's role, in one message with COMMIT.
CREATE OR REPLACE FUNCTION pgbraid.decide(gtid text, participants text[], mac text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
#variable_conflict use_column
BEGIN
    INSERT INTO pgbraid.decisions (gtid, committed, participants, mac)
    VALUES (decide.gtid, true, decide.participants, decide.mac) ON CONFLICT (gtid) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'the distributed transaction has been rolled back by recovery',
            DETAIL = format('Transaction %s was given up because nobody went on with it for too long.', decide.gtid),
            HINT = 'Run the transaction again.';
    END IF;
END $body$;

-- Idempotency keys that have been used: an ordinary table sharded by the key, so that a repeat finds its key whatever else it does
-- (rule X34). The router adds the placement constraint, which depends on the shard's range.
CREATE TABLE IF NOT EXISTS pgbraid.idempotency_keys (
    key text PRIMARY KEY,
    gtid text NOT NULL,
    used_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX IF NOT EXISTS idempotency_keys_used_at ON pgbraid.idempotency_keys (used_at);
REVOKE ALL ON pgbraid.idempotency_keys FROM PUBLIC;
INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns)
VALUES ('pgbraid', 'idempotency_keys', 'sharded', '{key}') ON CONFLICT (schema_name, table_name) DO NOTHING;

CREATE OR REPLACE FUNCTION pgbraid.remember_key(key text, gtid text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
#variable_conflict use_column
DECLARE
    first text;
BEGIN
    INSERT INTO pgbraid.idempotency_keys (key, gtid) VALUES (remember_key.key, remember_key.gtid) ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT k.gtid INTO first FROM pgbraid.idempotency_keys k WHERE k.key = remember_key.key;
        RAISE EXCEPTION USING ERRCODE = '23505', MESSAGE = 'a transaction with this idempotency key has committed already',
            DETAIL = format('It was transaction %s.', first),
            HINT = 'Do not repeat it: what it did is there.',
            SCHEMA = 'pgbraid', TABLE = 'idempotency_keys', CONSTRAINT = 'idempotency_keys_pkey';
    END IF;
END $body$;

-- The router answers SELECT pgbraid.shard_table(...) itself; a call that reaches a shard came from inside something
-- else (rule P40), where moving rows between shards is impossible.
CREATE OR REPLACE FUNCTION pgbraid.shard_table(VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $stub$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pgbraid.shard_table() cannot be called from here',
        DETAIL = 'The call reached a shard instead of being carried out by the router.',
        HINT = 'Send it through pgbraid as a statement of its own: SELECT pgbraid.shard_table(''table'', ''column'').';
END $stub$;
CREATE OR REPLACE FUNCTION pgbraid.reference_table(VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $stub$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pgbraid.reference_table() cannot be called from here',
        DETAIL = 'The call reached a shard instead of being carried out by the router.',
        HINT = 'Send it through pgbraid as a statement of its own: SELECT pgbraid.reference_table(''table'').';
END $stub$;
CREATE OR REPLACE FUNCTION pgbraid.unshard_table(VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $stub$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pgbraid.unshard_table() cannot be called from here',
        DETAIL = 'The call reached a shard instead of being carried out by the router.',
        HINT = 'Send it through pgbraid as a statement of its own: SELECT pgbraid.unshard_table(''table'').';
END $stub$;
CREATE OR REPLACE FUNCTION pgbraid.current_gtid() RETURNS text LANGUAGE plpgsql AS $stub$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pgbraid.current_gtid() cannot be called from here',
        DETAIL = 'The call reached a shard instead of being carried out by the router.',
        HINT = 'Send it through pgbraid as a statement of its own: SELECT pgbraid.current_gtid().';
END $stub$;
CREATE OR REPLACE FUNCTION pgbraid.transaction_status(gtid text) RETURNS text LANGUAGE plpgsql AS $stub$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pgbraid.transaction_status() cannot be called from here',
        DETAIL = 'The call reached a shard instead of being carried out by the router.',
        HINT = 'Send it through pgbraid as a statement of its own: SELECT pgbraid.transaction_status(''gtid'').';
END $stub$;
