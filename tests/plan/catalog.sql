-- P19: the catalog is shown without pgbraid's own constraints.
SELECT r.conname, pg_catalog.pg_get_constraintdef(r.oid, true) FROM pg_catalog.pg_constraint r WHERE r.conrelid = '16384' AND r.contype = 'c' ORDER BY 1;
SELECT conname FROM pg_constraint;
SELECT pg_constraint.conname FROM "pg_catalog" . "pg_constraint" WHERE conname = 'x''y';
SELECT c.tableoid, c.oid FROM pg_catalog.pg_constraint AS c JOIN pg_class r ON r.oid = c.conrelid;
SELECT c.oid, c.relchecks, c.relkind FROM pg_catalog.pg_class c WHERE c.relchecks > 0;
SELECT 'pg_constraint', relname FROM pg_class WHERE relname = 'pg_constraint';
WITH k AS (SELECT * FROM pg_constraint) SELECT * FROM k;
-- these are left alone
SELECT ctid FROM pg_constraint;
SELECT conrelid, count(*) FROM pg_constraint GROUP BY conrelid;
SELECT pg_catalog.pg_constraint.conname FROM pg_constraint;
SELECT * FROM ONLY pg_constraint;
\catalog plain
SELECT conname FROM pg_constraint;
