-- INSERT, UPDATE, DELETE, MERGE on sharded tables.

UPDATE orders SET item = 'x', total = total + 1 WHERE customer_id = 5 AND id = 7;
UPDATE orders SET item = 'x' WHERE customer_id IN (1, 2, 3);
UPDATE orders SET item = 'x';
UPDATE orders SET item = 'x' WHERE id = 5;
UPDATE orders SET item = upper(item) RETURNING customer_id, item;
UPDATE orders o SET item = c.name FROM customers c WHERE c.id = o.customer_id;
UPDATE orders o SET item = c.name FROM customers c WHERE c.id = o.customer_id AND c.id = 5;
UPDATE orders o SET item = c.name FROM customers c WHERE c.name = o.item;
UPDATE orders o SET item = x.name FROM countries x WHERE x.code = o.item;
UPDATE orders SET total = (SELECT sum(qty) FROM lines l WHERE l.customer_id = orders.customer_id);
UPDATE orders SET total = (SELECT sum(qty) FROM lines) WHERE customer_id = 5;
UPDATE orders SET (item, total) = (SELECT name, 1 FROM customers c WHERE c.id = orders.customer_id);
UPDATE orders SET at = now() WHERE customer_id = 5;
UPDATE orders SET at = now() WHERE customer_id IN (1, 2);
UPDATE orders SET total = random();
UPDATE stamped SET made = DEFAULT WHERE customer_id = 5;
UPDATE stamped SET made = DEFAULT;
DELETE FROM orders WHERE customer_id = 5;
DELETE FROM orders;
DELETE FROM orders WHERE id < 10 RETURNING *;
DELETE FROM orders o USING customers c WHERE c.id = o.customer_id AND c.country = 'de';
DELETE FROM orders o USING customers c WHERE c.country = o.item;
DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE country = 'de');
DELETE FROM orders WHERE item IN (SELECT name FROM countries);
DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE id = 5);
DELETE FROM orders WHERE CURRENT OF c;
\bind 5
DELETE FROM orders WHERE customer_id = $1;

-- P44: the sharding key stays
UPDATE orders SET customer_id = 6 WHERE customer_id = 5;
UPDATE orders SET customer_id = customer_id + 1;
UPDATE orders SET customer_id = DEFAULT WHERE customer_id = 5;
UPDATE orders SET (customer_id, item) = (6, 'x') WHERE customer_id = 5;
UPDATE orders SET (customer_id, item) = (SELECT 6, 'x') WHERE customer_id = 5;
UPDATE orders o SET customer_id = c.id FROM customers c WHERE c.id = 5 AND o.customer_id = 5;
UPDATE orders SET customer_id = customer_id, item = 'x' WHERE customer_id = 5;
UPDATE orders SET customer_id = 5, item = 'x' WHERE customer_id = 5;
-- P12(b): of the same shape, but with another literal
UPDATE orders SET customer_id = 6, item = 'x' WHERE customer_id = 7;
UPDATE orders SET customer_id = 8, item = 'x' WHERE customer_id = 8;
\bind 5 x
UPDATE orders SET customer_id = $1, item = $2 WHERE customer_id = $1;
\bind 5 6
UPDATE orders SET customer_id = $1 WHERE customer_id = $2;
UPDATE orders SET customer_id = 5 WHERE customer_id = 5 OR id = 7;
WITH u AS (UPDATE orders SET customer_id = 6 WHERE customer_id = 5 RETURNING 1) SELECT * FROM u;
UPDATE events SET region = 'us' WHERE tenant = 1 AND region = 'eu';

-- INSERT of one row
INSERT INTO orders VALUES (5, 1, 'x');
INSERT INTO orders (id, customer_id) VALUES (1, 5) RETURNING *;
INSERT INTO orders (id, item, customer_id) VALUES (1, 'x', '5'::bigint);
\bind 5 1
INSERT INTO orders (customer_id, id) VALUES ($1, $2);
\types 23 20
\bind 0x00000005 1
INSERT INTO orders (customer_id, id) VALUES ($1, $2);
INSERT INTO orders (customer_id, id) VALUES (2 + 3, 1);
INSERT INTO orders (customer_id, id) VALUES ((SELECT 5), 1);
INSERT INTO orders (customer_id, id) VALUES (DEFAULT, 1);
INSERT INTO orders (customer_id, id) VALUES (NULL, 1);
INSERT INTO orders (id) VALUES (1);
INSERT INTO orders DEFAULT VALUES;
\bind \N 1
INSERT INTO orders (customer_id, id) VALUES ($1, $2);
INSERT INTO keydefault (v) VALUES (1);
INSERT INTO keydefault (id, v) VALUES (DEFAULT, 1);
INSERT INTO orders (customer_id, id, at, total) VALUES (5, 1, now(), random());
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, (SELECT name FROM customers WHERE id = 5));
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, (SELECT name FROM customers WHERE id = 6));
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, (SELECT name FROM customers LIMIT 1));
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, (SELECT max(name) FROM countries));
INSERT INTO events (region, tenant) VALUES ('eu', 1);
INSERT INTO events (region) VALUES ('eu');
INSERT INTO ranged (id) VALUES (-1);
INSERT INTO parts (customer_id, v) VALUES (5, 1);

-- P45: sequences are per shard
INSERT INTO serials (customer_id) VALUES (5);
INSERT INTO serials (customer_id, id) VALUES (5, DEFAULT);
INSERT INTO serials (customer_id, id) VALUES (5, 1);
INSERT INTO serials (customer_id, id) VALUES (5, nextval('serials_id_seq'));
INSERT INTO serials (customer_id, id, made) VALUES (5, 1, now()), (6, 2, now());

-- ON CONFLICT
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, 'x') ON CONFLICT DO NOTHING;
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, 'x') ON CONFLICT (customer_id, id) DO UPDATE SET item = excluded.item, total = orders.total + 1 RETURNING *;
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, 'x') ON CONFLICT (customer_id, id) DO UPDATE SET customer_id = excluded.customer_id, item = excluded.item;
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, 'x') ON CONFLICT (customer_id, id) DO UPDATE SET customer_id = 6;
INSERT INTO orders (customer_id, id, item) VALUES (5, 1, 'x') ON CONFLICT (customer_id, id) DO UPDATE SET item = (SELECT name FROM customers WHERE id = 9);

-- several rows: each to its shard (P27: not when rows come back)
INSERT INTO orders (customer_id, id) VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO orders (customer_id, id) VALUES (11, 1), (22, 2), (33333, 3);
INSERT INTO orders (customer_id, id, item) VALUES (1, 1, 'a), (b'), (2, 2, $$(,$$), (3, 3, /* ), ( */ ')') -- )
ON CONFLICT DO NOTHING;
\bind 1 x 2 y
INSERT INTO orders (customer_id, id, item) VALUES ($1, 1, $2), ($3, 2, $4), (NULL, 3, $2);
INSERT INTO orders (customer_id, id) VALUES (1, 1), (2, 2) RETURNING id;
INSERT INTO orders (customer_id, id) VALUES (5, 1), (5, 2) RETURNING id;
INSERT INTO orders (customer_id, id, at) VALUES (1, 1, now()), (2, 2, now());
INSERT INTO orders (customer_id, id, total) VALUES (1, 1, random()), (2, 2, random());
INSERT INTO orders (customer_id, id, at) VALUES (1, 1, 'now'), (2, 2, 'now');
INSERT INTO orders (customer_id, id) VALUES (1, 1), (2 + 0, 2);
INSERT INTO orders (customer_id, id) VALUES (1, 1), (' 2', 2);
INSERT INTO stamped (customer_id) VALUES (1), (2);
INSERT INTO stamped (customer_id, made) VALUES (1, '2024-01-01'), (2, '2024-01-01');
INSERT INTO orders (customer_id, id, item) VALUES (1, 1, (SELECT max(name) FROM countries)), (2, 2, 'x');
INSERT INTO orders (customer_id, id, item) VALUES (1, 1, (SELECT name FROM customers WHERE id = 1)), (2, 2, 'x');
INSERT INTO orders (customer_id, id) VALUES (1, 1), (2, 2) ON CONFLICT (customer_id, id) DO UPDATE SET total = 0;
INSERT INTO events (region, tenant) VALUES ('eu', 1), ('us', 2);
WITH x AS (SELECT 1) INSERT INTO orders (customer_id, id) VALUES (1, 1), (2, 2);

-- INSERT ... SELECT: one shard or nothing
INSERT INTO lines (customer_id, order_id, n) SELECT customer_id, id, 1 FROM orders WHERE customer_id = 5;
INSERT INTO lines (customer_id, order_id, n) SELECT customer_id, id, 1 FROM orders;
INSERT INTO lines (customer_id, order_id, n) SELECT id, customer_id, 1 FROM orders WHERE customer_id = 5;
INSERT INTO orders (customer_id, id, item) SELECT 5, id, name FROM products;
\bind 5
INSERT INTO orders (customer_id, id, item) SELECT $1::bigint, id, name FROM products;
INSERT INTO orders (customer_id, id, item) SELECT id, id, name FROM products;
INSERT INTO orders (customer_id, id) SELECT 5, 1 UNION ALL SELECT 6, 2;
INSERT INTO orders SELECT * FROM orders WHERE customer_id = 5;
INSERT INTO orders (customer_id, id) SELECT 5, g FROM generate_series(1, 3) g;
INSERT INTO orders (customer_id, id) SELECT g, 1 FROM generate_series(1, 3) g;
INSERT INTO orders (customer_id, id) SELECT 5, count(*) FROM settings;
INSERT INTO orders (customer_id) SELECT c.id FROM customers c JOIN lines l ON l.customer_id = c.id WHERE l.customer_id = 5;
WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING customer_id) INSERT INTO lines (customer_id, order_id, n) SELECT customer_id, 1, 1 FROM d;

-- MERGE
MERGE INTO orders o USING (SELECT 5 AS c, 1 AS i) s ON o.customer_id = 5 AND o.id = s.i WHEN MATCHED THEN UPDATE SET item = 'x' WHEN NOT MATCHED THEN INSERT (customer_id, id) VALUES (5, 1);
MERGE INTO orders o USING (SELECT 5 AS c, 1 AS i) s ON o.customer_id = 5 AND o.id = s.i WHEN NOT MATCHED THEN INSERT (customer_id, id) VALUES (6, 1);
MERGE INTO orders o USING lines l ON o.customer_id = l.customer_id AND l.customer_id = 5 WHEN MATCHED THEN DELETE;
MERGE INTO orders o USING (SELECT * FROM lines WHERE customer_id = 5) l ON o.customer_id = l.customer_id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (customer_id, id) VALUES (l.customer_id, 1);
MERGE INTO orders o USING products p ON o.id = p.id WHEN MATCHED THEN DELETE;
MERGE INTO orders o USING products p ON o.customer_id = 5 WHEN MATCHED THEN UPDATE SET customer_id = 6;
