-- Types and tables of users with a name that is the same on every shard, and their object ids, which are not (rule P37).
-- An array type is named by what it is made of: the names that PostgreSQL finds for arrays depend on what else there was.
-- The last two: what ids a value has inside in binary (array, row, range, multirange; domains have their base type's), and the type of a range's
-- bounds, or of a multirange's ranges.
SELECT 't', pg_catalog.format('%I.%I', n.nspname, coalesce(e.typname, t.typname)) || CASE WHEN e.oid IS NULL THEN '' ELSE '[]' END, t.oid,
       CASE t.typsend WHEN 'pg_catalog.array_send'::pg_catalog.regproc THEN 'a' WHEN 'pg_catalog.record_send'::pg_catalog.regproc THEN 'r'
                      WHEN 'pg_catalog.range_send'::pg_catalog.regproc THEN 'g' WHEN 'pg_catalog.multirange_send'::pg_catalog.regproc THEN 'm' END,
       CASE WHEN t.typsend IN ('pg_catalog.range_send'::pg_catalog.regproc, 'pg_catalog.multirange_send'::pg_catalog.regproc)
            THEN (WITH RECURSIVE b (oid, base) AS (
                      SELECT t.oid, t.typbasetype
                      UNION ALL SELECT y.oid, y.typbasetype FROM b JOIN pg_catalog.pg_type y ON y.oid = b.base)
                  SELECT CASE WHEN g.rngtypid = b.oid THEN g.rngsubtype ELSE g.rngtypid END
                  FROM b JOIN pg_catalog.pg_range g ON b.oid IN (g.rngtypid, g.rngmultitypid) WHERE b.base = 0)
       END
FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(e.typnamespace, t.typnamespace)
WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'r', pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid, NULL, NULL
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND n.nspname !~ '^pg_(toast|temp)'
