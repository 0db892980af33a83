-- $1: oid of the table. Unsharded tables with a foreign key to it, quoted.
SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = $1::pg_catalog.oid AND k.conrelid <> k.confrelid
  AND NOT EXISTS (SELECT FROM pgbraid.tables t WHERE t.schema_name = n.nspname AND t.table_name = c.relname)
