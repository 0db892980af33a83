-- Decisions that retention ($1 seconds) has run out for and that nothing can be waiting to contradict any more: no transaction that
-- was there when the row was written is left (rule X1).
SELECT d.gtid, pg_catalog.array_to_string(d.participants, ',')
FROM pgbraid.decisions d
WHERE d.gtid <> '' AND d.decided_at < pg_catalog.now() - $1::pg_catalog.float8 * INTERVAL '1 second'
  AND d.xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
ORDER BY d.decided_at LIMIT 1000
