-- Who waits for whom in this database, for deadlock_ask.c. $1: waits younger than so many milliseconds are left out.
--
--   w  a process that waits: process, its wait (virtual transaction and when it began), who blocks it (0: a prepared transaction,
--      with its gid, the mode waited for and the mode held), the mode and what it waits for, in words, and what it calls itself
--   o  a process that blocks or waits, and the key of its distributed transaction, from the advisory lock that says so (rule X25)
--   p  a prepared transaction of ours
--
-- pg_blocking_pids() knows of lock groups and of who stands before us in the queue, but gives 0 for a prepared transaction (rule X25):
-- that keeps the virtual transaction of the process that prepared it, by which the lock on its transaction id is found.
WITH here AS MATERIALIZED (
    SELECT d.oid FROM pg_database d WHERE d.datname = current_database()
), locks AS MATERIALIZED (
    SELECT l.* FROM pg_locks l
), waiting AS MATERIALIZED (
    SELECT l.*, coalesce(a.leader_pid, l.pid) AS process, a.application_name, (extract(epoch FROM l.waitstart) * 1000000)::bigint AS since,
           pg_blocking_pids(l.pid) AS blockers
    FROM locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE NOT l.granted AND a.datname = current_database() AND l.waitstart <= clock_timestamp() - $1::int * interval '1 ms'
    ORDER BY l.waitstart
    LIMIT 2000
), blocked AS MATERIALIZED (
    SELECT w.*, b.pid AS blocker,
           w.mode || ' on ' || CASE
               WHEN w.locktype = 'relation' AND w.database = here.oid THEN 'relation ' || w.relation::regclass::text
               WHEN w.locktype = 'tuple' AND w.database = here.oid THEN format('tuple (%s,%s) of relation %s', w.page, w.tuple, w.relation::regclass)
               WHEN w.locktype = 'transactionid' THEN 'transaction ' || w.transactionid::text
               WHEN w.locktype = 'virtualxid' THEN 'virtual transaction ' || w.virtualxid
               WHEN w.locktype = 'advisory' THEN format('advisory lock [%s,%s,%s,%s]', w.database, w.classid, w.objid, w.objsubid)
               ELSE w.locktype END AS what
    FROM waiting w CROSS JOIN here CROSS JOIN unnest(w.blockers) AS b (pid)
)
SELECT 'w', process::text, virtualtransaction, since::text, blocker::text, NULL, NULL, NULL, what, application_name
FROM blocked
WHERE blocker <> 0
UNION ALL
SELECT DISTINCT 'w', w.process::text, w.virtualtransaction, w.since::text, '0', p.gid, w.mode, h.mode, w.what, w.application_name
FROM blocked w
    JOIN locks h ON h.granted AND h.pid IS NULL AND h.locktype = w.locktype
        AND (h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid)
            IS NOT DISTINCT FROM (w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
    JOIN locks x ON x.granted AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = h.virtualtransaction
    JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE w.blocker = 0 AND p.gid LIKE 'pgbraid:%'
UNION ALL
SELECT 'o', l.pid::text, ((l.classid::bigint & 65535) << 32 | l.objid::bigint)::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM locks l JOIN here ON l.database = here.oid
WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ShareLock' AND l.objsubid = 1 AND l.classid::bigint >> 16 = 28775
    AND l.pid IN (SELECT b.process FROM blocked b UNION ALL SELECT b.blocker FROM blocked b)
UNION ALL
SELECT 'p', p.gid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_prepared_xacts p
WHERE p.database = current_database() AND p.gid LIKE 'pgbraid:%' AND EXISTS (SELECT FROM blocked)
LIMIT 20000
