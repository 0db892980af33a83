-- $1: oid of the table. Draw nothing from its sequences on this shard: values come from the home shard (rule P45). One statement each.
SELECT pg_catalog.format('ALTER SEQUENCE %I.%I NO CYCLE; SELECT pg_catalog.setval(%L, %s, true)', n.nspname, c.relname,
                         pg_catalog.format('%I.%I', n.nspname, c.relname),
                         CASE WHEN q.seqincrement > 0 THEN q.seqmax ELSE q.seqmin END)
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
  AND d.refobjid = $1::pg_catalog.oid AND d.deptype IN ('a', 'i')
