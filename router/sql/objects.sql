-- Types and tables of users with a name that is the same on every shard, and their object ids, which are not (rule P37).
-- An array type is named by what it is made of: the names that PostgreSQL finds for arrays depend on what else there was.
SELECT 't', pg_catalog.format('%I.%I', n.nspname, coalesce(e.typname, t.typname)) || CASE WHEN e.oid IS NULL THEN '' ELSE '[]' END, t.oid
FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(e.typnamespace, t.typnamespace)
WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'r', pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND n.nspname !~ '^pg_(toast|temp)'
