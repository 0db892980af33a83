-- Statements that are not queries: transactions, settings, EXPLAIN, control calls, what needs a connection of its own.

-- transactions
BEGIN;
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
START TRANSACTION;
COMMIT;
END AND CHAIN;
ROLLBACK;
ABORT AND CHAIN;
SAVEPOINT a;
SAVEPOINT "A b";
RELEASE a;
ROLLBACK TO SAVEPOINT a;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SET TRANSACTION SNAPSHOT '00000003-0000001B-1';
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY;
SET CONSTRAINTS ALL DEFERRED;
PREPARE TRANSACTION 'x';
COMMIT PREPARED 'x';
ROLLBACK PREPARED 'x';

-- settings
SET search_path TO a, public;
SET search_path TO b, public;
SET LOCAL work_mem = '10MB';
SET "TimeZone" = 'UTC';
SET TIME ZONE 'Europe/Berlin';
SET TIME ZONE LOCAL;
SET app.tenant = '7';
SET x TO DEFAULT;
SET LOCAL x TO DEFAULT;
RESET x;
RESET ALL;
RESET TIME ZONE;
SHOW work_mem;
SHOW TIME ZONE;
SHOW ALL;
SHOW TRANSACTION ISOLATION LEVEL;
SET transaction_isolation = 'serializable';
SET LOCAL transaction_read_only = on;
RESET transaction_isolation;
SET ROLE alice;
SET ROLE NONE;
RESET ROLE;
SET SESSION AUTHORIZATION alice;
SET SESSION AUTHORIZATION DEFAULT;
RESET SESSION AUTHORIZATION;
SET NAMES 'utf8';
SET NAMES 'latin1';
SET client_encoding = 'UTF-8';
SET client_encoding = 'SJIS';
SET client_encoding TO big5;
SET client_encoding TO DEFAULT;
SET seed = 0.5;
SET session_replication_role = replica;
SELECT set_config('search_path', '', false);
SELECT pg_catalog.set_config('work_mem', '1MB', true) AS x;
SELECT set_config('client_encoding', 'GBK', false);
SELECT set_config('transaction_isolation', 'serializable', true);
SELECT set_config('a.b', 'c', false), 1;
SELECT set_config('a.b', $1, false);
SELECT set_config('a.b', $2::text, true) AS x;
SELECT set_config('client_encoding', $1, false);
SELECT set_config('a.b', NULL, false);
SELECT set_config($1, 'x', false);
SELECT set_config('a.b', 'x', $1);
SELECT set_config(name, value, false) FROM settings;

-- sessions
DISCARD ALL;
DISCARD PLANS;
DISCARD SEQUENCES;
DISCARD TEMP;
DEALLOCATE x;
DEALLOCATE PREPARE ALL;
PREPARE x AS SELECT 1;
PREPARE x (int, "char"[]) AS SELECT $1;
PREPARE x (mood) AS SELECT $1;
EXECUTE x;
EXECUTE x(1, -2.5, 'a', NULL, true, date '2020-01-01');
EXECUTE x(1 + 1);
EXECUTE x(now());
EXECUTE x($1);
EXECUTE x(1.5::int);
EXPLAIN (COSTS OFF) EXECUTE x(1);
CREATE TABLE y AS EXECUTE x(1);
SELECT * FROM pg_prepared_statements;
SELECT count(*) FROM pg_catalog.pg_cursors;
SELECT name FROM pg_prepared_statement();
LISTEN a;
UNLISTEN *;
NOTIFY a, 'b';
DECLARE c CURSOR FOR SELECT 1;
FETCH 1 FROM c;
MOVE c;
CLOSE c;
CLOSE ALL;
SELECT pg_advisory_unlock_all();

-- EXPLAIN: one shard's plan
EXPLAIN SELECT * FROM customers WHERE id = 5;
EXPLAIN SELECT * FROM customers WHERE id = 7;
\bind 5
EXPLAIN (COSTS OFF) SELECT * FROM customers WHERE id = $1;
EXPLAIN SELECT * FROM customers;
EXPLAIN ANALYZE SELECT * FROM customers;
EXPLAIN SELECT count(*) FROM customers;
EXPLAIN UPDATE customers SET name = 'x' WHERE id = 5;
EXPLAIN ANALYZE UPDATE customers SET name = 'x' WHERE id = 5;
EXPLAIN (ANALYZE 'false') UPDATE customers SET name = 'x' WHERE id = 5;
EXPLAIN (ANALYZE 'true') UPDATE customers SET name = 'x' WHERE id = 5;
EXPLAIN INSERT INTO customers (id) VALUES (1), (2), (3);
EXPLAIN INSERT INTO customers (id) VALUES (1), (1);
EXPLAIN UPDATE countries SET name = 'x';
EXPLAIN ANALYZE UPDATE countries SET name = 'x';
EXPLAIN SELECT * FROM countries;
EXPLAIN SELECT * FROM settings;
EXPLAIN SELECT reads_orders();
EXPLAIN SELECT 1;
EXPLAIN EXECUTE x;
EXPLAIN CREATE TABLE y AS SELECT 1;
EXPLAIN SELECT * INTO y FROM settings;
EXPLAIN SELECT pgbraid.shard_table('orders', 'customer_id');

-- P40: pgbraid's functions
SELECT pgbraid.shard_table('orders', 'customer_id');
SELECT pgbraid.shard_table('events', 'tenant', 'region') AS done;
SELECT pgbraid.shard_table('a', 'b', 'c', 'd', 'e');
SELECT pgbraid.shard_table('a', 'b', 'c', 'd', 'e', 'f');
\bind orders customer_id
SELECT pgbraid.shard_table($1, $2);
SELECT pgbraid.reference_table('countries'::text);
SELECT pgbraid.unshard_table('public.orders');
SELECT pgbraid.unshard_table(NULL);
SELECT pgbraid.shard_table('orders');
SELECT pgbraid.shard_table('or' || 'ders', 'x');
SELECT pgbraid.shard_table(E'orders', 'x');
SELECT pgbraid.shard_table(t => 'orders');
SELECT pgbraid.nonsense('orders');
SELECT pgbraid.shard_table(name, 'id') FROM settings;
SELECT 1, pgbraid.shard_table('orders', 'customer_id');
SELECT * FROM pgbraid.shard_table('orders', 'customer_id');

-- cursors
DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5;
DECLARE c CURSOR FOR SELECT * FROM orders;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT item FROM orders ORDER BY item;
DECLARE c CURSOR FOR SELECT nosuch();
FETCH BACKWARD 2 FROM c;
MOVE ALL IN c;
DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY order_id;
DECLARE c CURSOR FOR SELECT id FROM orders LIMIT 3;
DECLARE c CURSOR FOR SELECT count(*) FROM orders;
DECLARE c CURSOR FOR SELECT DISTINCT item FROM orders;
