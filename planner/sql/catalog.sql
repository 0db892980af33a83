-- Everything the planner knows of a database, in one result of twelve text columns: the kind of row, then its fields
-- (planner/catalog.c has the list). Needs sql/bootstrap.sql to have run on the shard.
--
-- "harmless" functions look at nothing but their arguments and the session's settings (rule P20): PostgreSQL's own, pgbraid's own, and C
-- functions of extensions if they are immutable (an extension is installed by a superuser, who could break any promise
-- anyway) or of an extension known not to read tables, and those that make ranges of users' types that PostgreSQL's own functions
-- compare. PostgreSQL's own are sorted out by name in planner/opaque.c.
WITH base AS (
    SELECT p.oid, p.pronamespace, p.proname, p.prokind, p.provolatile, p.proretset, n.nspname,
           p.oid < 16384 AS builtin,
           p.oid < 16384 OR n.nspname = 'pgbraid' OR (p.prokind = 'f'
               AND EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
                           WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
                             AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                             AND ((p.provolatile = 'i' AND p.prolang IN (12, 13)) OR x.extname IN ('uuid-ossp', 'pgcrypto', 'pg_trgm', 'unaccent',
                                  'citext', 'hstore', 'ltree', 'intarray', 'cube', 'fuzzystrmatch', 'isn', 'seg',
                                  'btree_gin', 'btree_gist'))))
               OR EXISTS (SELECT FROM pg_catalog.pg_range r
                          WHERE p.prolang = 12 AND p.prosrc LIKE '%range_constructor%' AND r.rngsubopc < 16384 AND r.rngcanonical < 16384
                            AND p.prorettype IN (r.rngtypid, r.rngmultitypid)) AS harmless
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
), func AS (
    SELECT b.oid, b.nspname, b.proname, b.prokind, b.provolatile, b.proretset, b.builtin,
           b.harmless OR (b.prokind = 'a' AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_aggregate a
               CROSS JOIN LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn),
                                          (a.aggdeserialfn), (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) s (f)
               JOIN base sb ON sb.oid = s.f
               WHERE a.aggfnoid = b.oid AND NOT sb.harmless)) AS harmless
    FROM base b
), harmful AS (
    SELECT oid, nspname || '.' || proname AS name FROM func WHERE NOT harmless
), rel AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relreplident,
           n.nspname IN ('pg_catalog', 'information_schema', 'pgbraid') AS system
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE (c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') OR (c.relkind IN ('i', 'I') AND c.oid >= 16384))
      AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_(toast|temp)'
), userrel AS (
    SELECT * FROM rel WHERE NOT system
), harmful_op AS (
    SELECT o.oid, h.name FROM pg_catalog.pg_operator o JOIN harmful h ON h.oid = o.oprcode
), harmful_type AS (
    -- domains whose constraints call user code, and arrays and domains over them
    WITH RECURSIVE t (oid, name) AS (
        SELECT k.contypid, h.name
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
        JOIN (SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass AS class, oid, name FROM harmful
              UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, name FROM harmful_op) h
          ON h.class = d.refclassid AND h.oid = d.refobjid
        WHERE k.contypid <> 0
        UNION
        SELECT p.oid, t.name FROM t JOIN pg_catalog.pg_type p ON p.typbasetype = t.oid OR p.typelem = t.oid)
    SELECT oid, name FROM t
), expression AS (
    -- constraint, index and generated-column expressions, and view bodies, with the object they belong to
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass AS class, k.oid, k.conrelid AS rel, k.conname AS name
    FROM pg_catalog.pg_constraint k WHERE k.conrelid <> 0
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, i.indrelid, c.relname
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, f.adrelid, a.attname
    FROM pg_catalog.pg_attrdef f
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, r.ev_class, r.rulename
    FROM pg_catalog.pg_rewrite r WHERE r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, p.polrelid, p.polname FROM pg_catalog.pg_policy p
), view_read AS (
    SELECT DISTINCT v.oid AS view, v.relkind, r.oid AS read, r.nspname::text AS schema, r.relrowsecurity AS secured
    FROM userrel v
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid AND w.rulename = '_RETURN'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
                               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN userrel r ON r.oid = d.refobjid AND r.oid <> v.oid
    WHERE v.relkind IN ('v', 'm')
), expandable AS (
    -- views over distributed tables, directly or through other views, and what keeps the router from putting their
    -- text in their place (planner/view.c)
    SELECT c.oid,
           o.barrier,
           bool_and(has_table_privilege(c.relowner, x.read, 'SELECT')) AS owner_reads,
           bool_or(x.secured) AND NOT o.invoker AS secured,
           has_table_privilege('public', c.oid, 'SELECT')
               AND bool_and(has_schema_privilege('public', x.schema, 'USAGE') AND has_table_privilege('public', x.read, 'SELECT')) AS public
    FROM pg_catalog.pg_class c
    JOIN view_read x ON x.view = c.oid AND x.relkind = 'v'
    CROSS JOIN LATERAL (SELECT COALESCE(bool_or(option_value::boolean) FILTER (WHERE option_name = 'security_barrier'), false) AS barrier,
                               COALESCE(bool_or(option_value::boolean) FILTER (WHERE option_name = 'security_invoker'), false) AS invoker
                        FROM pg_catalog.pg_options_to_table(c.reloptions)
                        WHERE option_name IN ('security_barrier', 'security_invoker')) o
    WHERE c.oid IN (WITH RECURSIVE d (oid) AS (
                        SELECT r.oid FROM userrel r JOIN pgbraid.tables t ON t.schema_name = r.nspname AND t.table_name = r.relname
                        UNION SELECT y.view FROM d JOIN view_read y ON y.read = d.oid)
                    SELECT oid FROM d)
    GROUP BY c.oid, c.relowner, o.barrier, o.invoker
), hook AS (
    SELECT t.tgrelid AS rel, 'trigger' AS kind, t.tgname::text AS name, f.nspname || '.' || f.proname AS function,
           f.harmless, (t.tgtype & 1) = 0 OR t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL AS statement_level
    FROM pg_catalog.pg_trigger t JOIN func f ON f.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
    UNION ALL
    SELECT r.ev_class, 'rule', r.rulename, NULL, false, false FROM pg_catalog.pg_rewrite r WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT x.rel, CASE WHEN x.class = 'pg_catalog.pg_policy'::pg_catalog.regclass THEN 'policy' ELSE 'expression' END, x.name,
           h.name, false, false
    FROM expression x
    JOIN pg_catalog.pg_depend d ON d.classid = x.class AND d.objid = x.oid
    JOIN (SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass AS class, oid, name FROM harmful
          UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, name FROM harmful_op) h
      ON h.class = d.refclassid AND h.oid = d.refobjid
    UNION ALL
    SELECT p.polrelid, 'policy', p.polname, r.nspname || '.' || r.relname, false, false
    FROM pg_catalog.pg_policy p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
    JOIN userrel r ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.oid
    WHERE r.oid <> p.polrelid
    UNION ALL
    SELECT a.attrelid, 'expression', a.attname, t.name, false, false
    FROM pg_catalog.pg_attribute a JOIN harmful_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
), filled AS (
    -- what a column gets when an INSERT leaves it out, judged by the functions in the stored expression
    SELECT f.adrelid, f.adnum,
           CASE WHEN a.attgenerated <> '' THEN 'generated'
                WHEN u.opaque THEN 'opaque'
                WHEN u.sequence OR f.adbin::text LIKE '%{NEXTVALUEEXPR%' THEN 'sequence'
                WHEN u.volatile THEN 'volatile'
                WHEN u.stable OR f.adbin::text ~ '[{](SQLVALUEFUNCTION|COERCEVIAIO) ' THEN 'moment'
                ELSE 'fixed' END AS how,
           pg_catalog.pg_get_expr(f.adbin, f.adrelid) AS text
    FROM pg_catalog.pg_attrdef f
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    CROSS JOIN LATERAL (
        SELECT COALESCE(bool_or(NOT p.harmless OR (p.builtin AND p.provolatile = 'v' AND p.proname NOT IN (
                   'nextval', 'random', 'gen_random_uuid', 'clock_timestamp', 'timeofday'))), false) AS opaque,
               COALESCE(bool_or(p.builtin AND p.proname = 'nextval'), false) AS sequence,
               COALESCE(bool_or(p.provolatile = 'v'), false) AS volatile,
               COALESCE(bool_or(p.provolatile = 's'), false) AS stable
        FROM pg_catalog.regexp_matches(f.adbin::text, ':(?:func|opfunc|elemfunc)id ([0-9]+)', 'g') m (id)
        JOIN func p ON p.oid = m.id[1]::oid) u
)
SELECT 'schema' AS kind, n.nspname::text AS c1,
       (n.nspname IN ('pg_catalog', 'information_schema') OR has_schema_privilege('public', n.oid, 'USAGE'))::text AS c2,
       NULL::text AS c3, NULL::text AS c4, NULL::text AS c5, NULL::text AS c6, NULL::text AS c7, NULL::text AS c8,
       NULL::text AS c9, NULL::text AS c10, NULL::text AS c11
FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'usage', n.nspname, r.rolname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_namespace n CROSS JOIN pg_catalog.pg_roles r
WHERE n.nspname !~ '^pg_' AND NOT has_schema_privilege('public', n.oid, 'USAGE')
  AND has_schema_privilege(r.oid, n.oid, 'USAGE')
UNION ALL
-- identity: a primary key or replica identity index that holds the whole sharding key
SELECT 'table', r.oid::text, r.nspname, r.relname, r.relkind::text, r.relrowsecurity::text,
       CASE WHEN t.dist IS NULL AND EXISTS (SELECT FROM pg_catalog.pg_constraint k
                                            WHERE k.conrelid = r.oid AND k.conname = 'pgbraid_placement')
            THEN 'unknown' ELSE t.dist END,
       t.vindex,
       -- an index is where its table is
       CASE WHEN r.relkind IN ('i', 'I')
            THEN (SELECT x.indrelid::text FROM pg_catalog.pg_index x WHERE x.indexrelid = r.oid)
            ELSE (SELECT i.inhparent::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid ORDER BY i.inhseqno LIMIT 1) END,
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = r.oid AND i.indisvalid AND i.indisunique
                 AND ((r.relreplident = 'd' AND i.indisprimary) OR (r.relreplident = 'i' AND i.indisreplident))
                 AND NOT EXISTS (SELECT FROM pg_catalog.unnest(t.key_columns) AS k (name)
                                 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                                   WHERE a.attrelid = r.oid AND a.attname = k.name
                                                     AND a.attnum = ANY (i.indkey))))::text,
       -- the table that owns a sequence, or a table's primary key: numbers of its columns
       CASE WHEN r.relkind = 'S'
            THEN (SELECT d.refobjid::text FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = r.oid AND d.refclassid = d.classid
                    AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') LIMIT 1)
            ELSE (SELECT pg_catalog.array_to_string(k.conkey, ',') FROM pg_catalog.pg_constraint k
                  WHERE k.conrelid = r.oid AND k.contype = 'p' AND NOT r.system) END,
       NULL
FROM rel r LEFT JOIN pgbraid.tables t ON t.schema_name = r.nspname AND t.table_name = r.relname AND NOT r.system
UNION ALL
SELECT 'key', r.oid::text, k.ord::text, k.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM userrel r JOIN pgbraid.tables t ON t.schema_name = r.nspname AND t.table_name = r.relname
CROSS JOIN LATERAL pg_catalog.unnest(t.key_columns) WITH ORDINALITY AS k (name, ord)
UNION ALL
SELECT 'column', r.oid::text, a.attnum::text, a.attname, a.atttypid::oid::text, a.atttypmod::text, a.attnotnull::text,
       COALESCE(NOT l.collisdeterministic, false)::text,
       CASE WHEN a.attidentity <> '' THEN 'sequence' ELSE COALESCE(f.how, 'null') END,
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = r.oid AND i.indisprimary AND i.indimmediate AND a.attnum = ANY (i.indkey))::text,
       -- the database's collation, or none; does it sort by the bytes that clients get?
       CASE WHEN a.attcollation IN (0, 100) THEN 'default' ELSE 'other' END
           || CASE WHEN d.utf8 AND (l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') OR l.collprovider = 'd' AND d.by_bytes)
                   THEN ' by bytes' ELSE '' END,
       CASE WHEN f.how = 'moment' THEN f.text END
FROM userrel r
CROSS JOIN (SELECT datlocprovider = 'c' AND datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') AS by_bytes,
                   pg_catalog.pg_encoding_to_char(encoding) = 'UTF8' AS utf8
            FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) d
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN filled f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
WHERE r.relkind NOT IN ('S', 'i', 'I')
UNION ALL
SELECT 'hook', h.rel::text, h.kind, h.name, h.function, h.harmless::text, h.statement_level::text,
       NULL, NULL, NULL, NULL, NULL
FROM hook h JOIN userrel r ON r.oid = h.rel
UNION ALL
SELECT 'child', i.inhparent::text, r.oid::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_inherits i JOIN userrel r ON r.oid = i.inhrelid AND r.relkind NOT IN ('i', 'I')
UNION ALL
SELECT 'view', x.view::text, x.read::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM view_read x
UNION ALL
SELECT 'definition', v.oid::text, pg_catalog.pg_get_viewdef(v.oid), v.barrier::text, v.owner_reads::text, v.secured::text,
       v.public::text, NULL, NULL, NULL, NULL, NULL
FROM expandable v
UNION ALL
SELECT 'reader', v.oid::text, r.rolname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM expandable v CROSS JOIN pg_catalog.pg_roles r
WHERE NOT v.public AND has_table_privilege(r.oid, v.oid, 'SELECT')
  AND NOT EXISTS (SELECT FROM view_read x
                  WHERE x.view = v.oid AND NOT (has_schema_privilege(r.oid, x.schema, 'USAGE') AND has_table_privilege(r.oid, x.read, 'SELECT')))
UNION ALL
SELECT 'function', f.nspname, f.proname, f.builtin::text, bool_and(f.harmless)::text, bool_or(f.prokind = 'a')::text,
       bool_or(f.prokind = 'w')::text, bool_or(f.proretset)::text, max(f.provolatile::text), NULL, NULL, NULL
FROM func f
GROUP BY f.nspname, f.proname, f.builtin
HAVING NOT f.builtin OR bool_or(f.prokind <> 'f' OR f.provolatile <> 'i')
UNION ALL
SELECT 'operator', n.nspname, o.oprname, o.oprleft::text, o.oprright::text, COALESCE(f.nspname || '.' || f.proname, ''),
       COALESCE(f.harmless, false)::text, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace LEFT JOIN func f ON f.oid = o.oprcode
WHERE o.oid >= 16384
UNION ALL
SELECT 'cast', k.castsource::text, k.casttarget::text, (k.castcontext = 'i')::text,
       COALESCE(f.harmless, true)::text, f.nspname || '.' || f.proname, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_cast k LEFT JOIN func f ON f.oid = k.castfunc
WHERE k.oid >= 16384
UNION ALL
SELECT 'type', n.nspname, t.typname, min(h.name), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM harmful_type h JOIN pg_catalog.pg_type t ON t.oid = h.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
GROUP BY n.nspname, t.typname
