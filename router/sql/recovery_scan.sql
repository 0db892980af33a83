-- The prepared transactions of this database, a row each, and in every row (there is at least one) what recovery must know of the
-- shard: may it prepare, are pgbraid's own objects as bootstrap.sql makes them, have its standbys replayed up to $1 (the position
-- of an earlier scan), and where is its log now.
SELECT x.gid, x.owner, (EXTRACT(epoch FROM pg_catalog.now() - x.prepared) * 1000)::pg_catalog.int8,
       (EXTRACT(epoch FROM x.prepared) * 1000000)::pg_catalog.int8,
       pg_catalog.current_setting('max_prepared_transactions'),
       pg_catalog.to_regnamespace('pgbraid') IS NULL
           OR (pg_catalog.to_regprocedure('pgbraid.decide(text,text[],text)') IS NOT NULL
               AND EXISTS (SELECT FROM pg_catalog.pg_index i
                           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                           WHERE i.indrelid = pg_catalog.to_regclass('pgbraid.decisions') AND i.indisprimary AND i.indnkeyatts = 1
                             AND i.indisvalid AND i.indimmediate AND a.attname = 'gtid')
               AND 6 = (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a
                        WHERE a.attrelid = pg_catalog.to_regclass('pgbraid.decisions') AND NOT a.attisdropped
                          AND (a.attname, a.atttypid::pg_catalog.regtype::pg_catalog.text) IN
                              (('gtid', 'text'), ('committed', 'boolean'), ('participants', 'text[]'), ('mac', 'text'),
                               ('decided_at', 'timestamp with time zone'), ('xid', 'xid8')))),
       NOT EXISTS (SELECT FROM pg_catalog.pg_stat_replication r
                   WHERE (r.replay_lsn IS NULL OR r.replay_lsn < $1::pg_catalog.pg_lsn) AND r.state <> 'backup'
                     AND r.pid NOT IN (SELECT s.active_pid FROM pg_catalog.pg_replication_slots s
                                       WHERE s.slot_type = 'logical' AND s.active_pid IS NOT NULL))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s
                           WHERE s.slot_type = 'physical' AND (s.restart_lsn IS NULL OR s.restart_lsn < $1::pg_catalog.pg_lsn)),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.pg_current_wal_lsn() END
FROM (SELECT) one LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.database = pg_catalog.current_database()
ORDER BY x.prepared
