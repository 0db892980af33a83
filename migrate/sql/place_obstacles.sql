-- $1: oid of the table, $2: what it is to be (sharded, reference, unsharded), $3: the sharding key's columns as an array
-- What is in the way, one row each: the fact, the reason, the way out.
WITH self AS (
    SELECT c.oid, c.relname, t.dist FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pgbraid.tables t ON t.schema_name = n.nspname AND t.table_name = c.relname
    WHERE c.oid = $1::pg_catalog.oid
), key AS (
    SELECT k.ord, a.attnum, a.attname, a.atttypid
    FROM pg_catalog.unnest($3::text[]) WITH ORDINALITY AS k (name, ord)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::pg_catalog.oid AND a.attname = k.name AND NOT a.attisdropped
), reference AS (
    -- foreign keys from and to the table, with the distribution of the other side
    SELECT k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, k.confkey, o.relname AS other, k.conrelid = s.oid AS outgoing,
           k.conrelid = k.confrelid AS to_itself, COALESCE(t.dist, 'unsharded') AS other_dist, t.key_columns AS other_keys,
           o.oid AS other_oid
    FROM self s
    JOIN pg_catalog.pg_constraint k ON k.contype = 'f' AND s.oid IN (k.conrelid, k.confrelid)
    JOIN pg_catalog.pg_class o ON o.oid = CASE WHEN k.conrelid = s.oid THEN k.confrelid ELSE k.conrelid END
    JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace
    LEFT JOIN pgbraid.tables t ON t.schema_name = n.nspname AND t.table_name = o.relname
), aligned AS (
    -- does the foreign key tie the whole sharding key of one side to that of the other, column by column?
    SELECT r.oid, (SELECT pg_catalog.count(*) FROM key) > 0
        AND NOT EXISTS (
        SELECT FROM key k
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.generate_subscripts(r.conkey, 1) i
            JOIN pg_catalog.pg_attribute oa ON oa.attrelid = r.other_oid
                AND oa.attnum = CASE WHEN r.outgoing THEN r.confkey[i] ELSE r.conkey[i] END
            WHERE (CASE WHEN r.outgoing THEN r.conkey[i] ELSE r.confkey[i] END) = k.attnum
              AND oa.attname = CASE WHEN r.to_itself THEN k.attname ELSE r.other_keys[k.ord] END
              AND (oa.atttypid = k.atttypid OR (oa.atttypid IN (20, 21, 23) AND k.atttypid IN (20, 21, 23))
                   OR (oa.atttypid IN (25, 1043) AND k.atttypid IN (25, 1043)))))
        AND (r.to_itself OR pg_catalog.cardinality(r.other_keys) = (SELECT pg_catalog.count(*) FROM key)) AS ok
    FROM reference r
)
SELECT pg_catalog.format('unique index %I does not contain the sharding key', c.relname),
       'Each shard would enforce it among its own rows only.',
       'Add the sharding key''s columns to it, or drop it.'
FROM self s
JOIN pg_catalog.pg_index i ON i.indrelid = s.oid AND i.indisunique
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE $2 = 'sharded' AND EXISTS (SELECT FROM key k WHERE NOT k.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]))
UNION ALL
SELECT pg_catalog.format('exclusion constraint %I does not compare the sharding key by equality', x.conname),
       'Each shard would enforce it among its own rows only.', 'Add the sharding key''s columns with "=" to it, or drop it.'
FROM self s JOIN pg_catalog.pg_constraint x ON x.conrelid = s.oid AND x.contype = 'x'
WHERE $2 = 'sharded' AND EXISTS (
    SELECT FROM key k WHERE NOT EXISTS (
        SELECT FROM pg_catalog.generate_subscripts(x.conkey, 1) i
        JOIN pg_catalog.pg_operator o ON o.oid = x.conexclop[i]
        WHERE x.conkey[i] = k.attnum AND o.oprname = '=' AND o.oid < 16384))
UNION ALL
SELECT pg_catalog.format('rule %I rewrites what is written to it', w.rulename), 'A rewritten row would be placed by a key that nobody looked at.',
       'Drop the rule; a trigger can do the same.'
FROM self s JOIN pg_catalog.pg_rewrite w ON w.ev_class = s.oid
WHERE $2 <> 'unsharded'
UNION ALL
SELECT pg_catalog.format('foreign key %I refers to table %I, which is %s', r.conname, r.other, r.other_dist),
       'The rows it refers to would not all be on the same shard.',
       CASE r.other_dist WHEN 'unsharded' THEN 'Distribute that table first, or drop the foreign key.'
                         ELSE 'Drop the foreign key, or let both tables have the same sharding key and the foreign key contain it.' END
FROM reference r JOIN aligned a USING (oid)
WHERE r.outgoing AND NOT CASE $2
    WHEN 'sharded' THEN (r.other_dist = 'reference' AND NOT r.to_itself) OR ((r.to_itself OR r.other_dist = 'sharded') AND a.ok)
    WHEN 'reference' THEN r.to_itself OR r.other_dist = 'reference'
    ELSE r.to_itself OR r.other_dist <> 'sharded' END
UNION ALL
SELECT pg_catalog.format('foreign key %I of table %I, which is %s, refers to it', r.conname, r.other, r.other_dist),
       'The rows it refers to would not all be on the same shard.',
       'Drop the foreign key, or let both tables have the same sharding key and the foreign key contain it.'
FROM reference r JOIN aligned a USING (oid)
WHERE NOT r.outgoing AND NOT CASE $2
    WHEN 'sharded' THEN r.other_dist = 'unsharded' OR (r.other_dist = 'sharded' AND a.ok)
    WHEN 'reference' THEN true
    ELSE r.other_dist = 'unsharded' END
