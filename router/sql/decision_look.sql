-- What one shard knows of the distributed transaction $1: the row of its decision, whether its own transaction is still open here
-- (the lock $2 that every writer has before anything is prepared: gtid_lock), whether a part of it is prepared here, and since when there is
-- a table of decisions at all: what was prepared before that may have been decided in a table that is gone.
SELECT d.committed, pg_catalog.array_to_string(d.participants, ','), d.mac,
       EXISTS (SELECT FROM pg_catalog.pg_locks l
               WHERE l.locktype = 'advisory' AND l.granted AND l.pid IS NOT NULL
                 AND l.database = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
                 AND l.objsubid = 1 AND l.classid = ($2::pg_catalog.int8 >> 32)::pg_catalog.oid
                 AND l.objid = ($2::pg_catalog.int8 & 4294967295)::pg_catalog.oid),
       EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p
               WHERE p.database = pg_catalog.current_database() AND p.gid LIKE 'pgbraid:' || $1 || ':%'),
       (SELECT (EXTRACT(epoch FROM s.decided_at) * 1000000)::pg_catalog.int8 FROM pgbraid.decisions s WHERE s.gtid = '')
FROM (SELECT) one LEFT JOIN pgbraid.decisions d ON d.gtid = $1
