-- $1: oid of the table, $2: its sharding key as an array. Can its rows be followed while they move?
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    WHERE c.oid = $1::pg_catalog.oid AND i.indisvalid AND i.indisunique
      AND ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))
      AND NOT EXISTS (
          SELECT FROM pg_catalog.unnest($2::text[]) AS k (name)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = k.name
          WHERE NOT a.attnum = ANY (i.indkey)))
