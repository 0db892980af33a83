-- $1: oid of the table, $2: who asks
SELECT n.nspname, c.relname, c.relkind,
       pg_catalog.pg_has_role($2, c.relowner, 'USAGE') AS owns,
       c.relispartition OR c.relkind = 'p'
           OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS inherits,
       n.nspname IN ('pg_catalog', 'information_schema', 'pgbraid') OR n.nspname LIKE 'pg\_%' OR c.relpersistence = 't' AS system,
       t.dist, t.vindex, pg_catalog.array_to_json(t.key_columns) AS keys,
       (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pgbraid.tables t ON t.schema_name = n.nspname AND t.table_name = c.relname
WHERE c.oid = $1::pg_catalog.oid
