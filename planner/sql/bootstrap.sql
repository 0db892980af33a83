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
