-- Reference tables, unsharded tables, catalogs, statements without tables; code that nobody can see through.

-- reads
SELECT * FROM countries c JOIN products p ON p.name = c.name ORDER BY 1 LIMIT 3;
SELECT count(*) FROM countries;
SELECT * FROM countries FOR UPDATE;
SELECT * FROM settings;
SELECT * FROM settings s JOIN countries c ON c.code = s.value;
INSERT INTO settings VALUES ('a', 'b') RETURNING *;
UPDATE settings SET value = now() WHERE name = 'a';
DELETE FROM settings WHERE name IN (SELECT code FROM countries);
INSERT INTO audit (what) VALUES ('x');
INSERT INTO audit (what) VALUES ('x'), ('y') RETURNING id;
INSERT INTO settings SELECT code, name FROM countries;
MERGE INTO settings s USING countries c ON c.code = s.name WHEN MATCHED THEN DELETE;
SELECT * FROM setting_names;
SELECT * FROM country_names;
SELECT * FROM country_names n JOIN customers c ON c.country = n.code;

-- no tables
SELECT 1;
VALUES (1), (2);
SELECT now(), random(), version(), current_user;
SELECT $1::int + 1;
SELECT nextval('audit_id_seq');
SELECT current_database();
SELECT pg_backend_pid(), txid_current();
SELECT 'orders'::regclass;
SELECT pg_relation_size('orders');
SELECT pg_advisory_xact_lock(1);
SELECT pg_notify('a', 'b');
SELECT has_table_privilege('orders', 'SELECT');
SELECT set_config('a.b', 'c', false), 1;
SELECT pg_sleep(0);
-- state of one connection
SELECT pg_advisory_lock(1);
SELECT currval('audit_id_seq');
SELECT lastval();
SELECT pg_export_snapshot();
SELECT setseed(0.5);

-- catalogs
SELECT relname FROM pg_class WHERE relkind = 'r';
SELECT * FROM information_schema.columns;
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE pg_catalog.pg_table_is_visible(c.oid);
SELECT * FROM pg_catalog.pg_class c JOIN settings s ON s.name = c.relname;

-- P42: reference tables: every shard does the same, or nobody does
INSERT INTO countries VALUES ('de', 'Germany', 83);
INSERT INTO countries VALUES ('de', 'Germany', 83), ('fr', 'France', 67) RETURNING *;
\bind de
UPDATE countries SET population = population + 1 WHERE code = $1;
DELETE FROM countries WHERE code = 'de';
INSERT INTO countries (code) VALUES ('x') ON CONFLICT (code) DO UPDATE SET name = excluded.name;
WITH d AS (DELETE FROM countries WHERE code = 'de' RETURNING *) SELECT * FROM d;
INSERT INTO refserial (v) VALUES ('x');
INSERT INTO refserial (id, v) VALUES (DEFAULT, 'x');
INSERT INTO refserial (id, v) VALUES (1, 'x');
INSERT INTO refmoment (id) VALUES (1);
INSERT INTO refmoment (id, made) VALUES (1, now());
INSERT INTO refmoment (id, made) VALUES (1, 'now');
INSERT INTO refmoment (id, made) VALUES (1, '2024-01-01');
UPDATE refmoment SET made = CURRENT_TIMESTAMP;
UPDATE refmoment SET made = DEFAULT;
UPDATE countries SET population = random() * 10;
UPDATE countries SET population = (SELECT count(*) FROM customers);
UPDATE countries SET population = (SELECT max(price) FROM products);
UPDATE countries SET population = (SELECT count(*) FROM settings);
UPDATE countries c SET population = 1 FROM products p WHERE p.name = c.name;
DELETE FROM countries WHERE code IN (SELECT country FROM customers);
DELETE FROM countries WHERE ctid = '(0,1)';
INSERT INTO countries (code) SELECT name FROM products;
INSERT INTO countries (code) SELECT country FROM customers WHERE id = 5;
INSERT INTO countries (code) SELECT g::text FROM generate_series(1, 3) g;
INSERT INTO countries (code) SELECT g::text FROM (SELECT generate_series(1, 3) g LIMIT 2) s;
WITH c AS (DELETE FROM countries RETURNING code) INSERT INTO settings SELECT code FROM c;
WITH c AS (DELETE FROM countries RETURNING code) UPDATE orders SET item = 'x' WHERE customer_id = 5;
WITH c AS (DELETE FROM settings RETURNING name) UPDATE orders SET item = 'x' WHERE customer_id = 5;
SELECT * FROM orders o JOIN countries c ON c.code = o.item WHERE o.customer_id = 5 FOR UPDATE;
SELECT * FROM orders o JOIN countries c ON c.code = o.item WHERE o.customer_id = 5 FOR UPDATE OF o;
SELECT * FROM orders o JOIN countries c ON c.code = o.item WHERE o.customer_id = 5 FOR UPDATE OF c;

-- P20: code that may look at other rows
SELECT reads_orders() FROM orders WHERE customer_id = 5;
SELECT reads_orders();
SELECT liar(1) FROM settings;
SELECT declared_safe(1), id FROM customers WHERE id = 5;
SELECT declared_safe(1), id FROM customers;
SELECT o.summary FROM orders o WHERE o.customer_id = 5;
SELECT (o).summary FROM orders o WHERE o.customer_id = 5;
SELECT o.item FROM orders o WHERE o.customer_id = 5;
SELECT 1 OPERATOR(public.~~~) 2;
SELECT v FROM trig_safe WHERE v ~~~ 1;
SELECT own_sum(v) FROM trig_safe WHERE id = 5;
SELECT own_bad(v) FROM trig_safe WHERE id = 5;
SELECT query_to_xml('SELECT count(*) FROM orders', true, false, '');
SELECT * FROM ts_stat('SELECT to_tsvector(item) FROM orders');
SELECT table_to_xml('orders', true, false, '');
SELECT nextval('audit_id_seq') FROM orders WHERE customer_id = 5;
SELECT pg_advisory_xact_lock(id) FROM orders WHERE customer_id = 5;
SELECT pgbraid.shard_table('a', 'b') FROM orders WHERE customer_id = 5;
SELECT * FROM order_totals WHERE customer_id = 5;
SELECT * FROM order_totals_again;
UPDATE trig_safe SET v = 1 WHERE id = 5;
INSERT INTO trig_bad (id) VALUES (5);
SELECT * FROM trig_bad WHERE id = 5;
DELETE FROM trig_bad WHERE id = 5;
INSERT INTO ruled (id) VALUES (5);
SELECT * FROM rls_good WHERE id = 5;
SELECT * FROM rls_bad WHERE id = 5;
INSERT INTO checked (id, v) VALUES (5, 1);
SELECT * FROM checked WHERE id = 5;
INSERT INTO opaque_default (id) VALUES (5);
INSERT INTO opaque_default (id, v) VALUES (5, 1);
-- P43: a statement-level trigger fires once for a statement, not once for a shard
UPDATE trig_statement SET v = 1 WHERE id = 5;
UPDATE trig_statement SET v = 1;
-- P19: a placement check without a distribution: nobody knows where rows are
SELECT * FROM misplaced WHERE id = 5;

-- nothing is distributed: everything goes home as it is
\catalog plain
SELECT count(*) FROM customers c JOIN nowhere n ON true;
SELECT nextval('x'), reads_anything(1);
INSERT INTO customers VALUES (1, 'a'), (2, 'b');
SELECT 1;
SELECT pg_advisory_lock(1);
\catalog plan
