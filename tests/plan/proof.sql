-- One-shard proofs: every sharded table must be bound by its own condition, in its own query level.

-- the plain ones
SELECT * FROM orders WHERE customer_id = 5;
SELECT * FROM orders o WHERE 5 = o.customer_id AND item = 'x';
SELECT * FROM public.orders WHERE public.orders.customer_id = -5;
SELECT * FROM orders WHERE customer_id = - -5;
SELECT * FROM orders WHERE customer_id = -0;
SELECT * FROM orders WHERE customer_id = 5::bigint;
SELECT * FROM orders WHERE customer_id = '5';
SELECT * FROM orders WHERE customer_id = '5'::int;
SELECT * FROM orders WHERE customer_id = bigint '5';
SELECT * FROM orders WHERE customer_id = 9223372036854775807;
\bind 5
SELECT * FROM orders WHERE customer_id = $1;
\types 23
\bind 0x00000005
SELECT * FROM orders WHERE customer_id = $1;
\bind 5
SELECT * FROM orders WHERE customer_id = $1::int;
\bind 5 abc
SELECT * FROM orders WHERE customer_id = $1 AND item = $2;

-- whatever else the statement does, one shard answers it
SELECT country, count(*), sum(1) OVER () FROM customers WHERE id = 5 GROUP BY country HAVING count(*) > 0 ORDER BY 2 DESC LIMIT 3 OFFSET 1;
SELECT DISTINCT ON (item) * FROM orders WHERE customer_id = 5 ORDER BY item FOR UPDATE SKIP LOCKED;
SELECT now(), random(), gen_random_uuid(), clock_timestamp() FROM orders WHERE customer_id = 5;
SELECT coalesce(sum(total), 0) FROM orders WHERE customer_id = 5;

-- IN, = ANY, row values, OR of one column
SELECT * FROM orders WHERE customer_id IN (5);
SELECT count(*) FROM orders WHERE customer_id IN (5, 5, 5);
SELECT * FROM orders WHERE customer_id IN (1, 2, 3);
SELECT count(*) FROM orders WHERE customer_id IN (1, 2, 3);
\bind 1 2
SELECT * FROM orders WHERE customer_id IN ($1, $2);
\bind {5}
SELECT count(*) FROM orders WHERE customer_id = ANY ($1);
\bind {1,2,NULL}
SELECT * FROM orders WHERE customer_id = ANY ($1);
\types 1016
\bind 0x0000000100000000000000140000000200000001000000080000000000000001000000080000000000000005
SELECT * FROM orders WHERE customer_id = ANY ($1);
\bind {5}
SELECT count(*) FROM orders WHERE customer_id = ANY ($1::int[]);
SELECT count(*) FROM orders WHERE customer_id = ANY ('{5}');
SELECT count(*) FROM orders WHERE customer_id = ANY ('{5}'::bigint[]);
SELECT count(*) FROM orders WHERE customer_id = ANY (ARRAY[5]);
SELECT count(*) FROM orders WHERE customer_id = ANY (ARRAY['5']::int[]);
SELECT count(*) FROM orders WHERE (customer_id, id) = (5, 7);
SELECT * FROM orders WHERE (customer_id, id) IN ((5, 7), (6, 8));
SELECT * FROM orders WHERE customer_id = 5 OR customer_id = 6;
SELECT * FROM orders WHERE (customer_id = 5 AND item = 'x') OR (customer_id IN (6, 7) AND item = 'y');

-- contradictory and superfluous conditions
SELECT * FROM orders WHERE customer_id = 5 AND customer_id = 5;
SELECT count(*) FROM orders WHERE customer_id = 1 AND customer_id = 2;
SELECT count(*) FROM orders WHERE customer_id IN (1, 2, 3) AND customer_id IN (2, 9);

-- P22: no shard at all is any one shard, and count(*) still gives a row
SELECT count(*) FROM orders WHERE customer_id = NULL;
SELECT count(*) FROM orders WHERE customer_id IN (NULL, NULL);
SELECT count(*) FROM orders WHERE customer_id = ANY ('{}');
\bind \N
SELECT count(*) FROM orders WHERE customer_id = $1;
\bind {}
UPDATE orders SET item = 'x' WHERE customer_id = ANY ($1);

-- composite keys need every column
SELECT count(*) FROM events WHERE tenant = 1 AND region = 'eu';
SELECT count(*) FROM events WHERE (tenant, region) = (1, 'eu');
SELECT count(*) FROM events WHERE tenant = 1;
SELECT * FROM events WHERE (tenant, region) IN ((1, 'eu'), (2, 'us'));
SELECT * FROM events WHERE tenant IN (1, 2) AND region IN ('eu', 'us');
SELECT count(*) FROM events WHERE region = ANY ('{eu}') AND tenant = 1;
SELECT count(*) FROM events e JOIN notes n ON n.tenant = e.tenant AND n.region = e.region WHERE e.tenant = 1 AND e.region = 'eu';
SELECT count(*) FROM events e JOIN notes n USING (tenant, region) WHERE tenant = 1 AND region = 'eu';
SELECT count(*) FROM events e JOIN notes n USING (tenant) WHERE tenant = 1 AND n.region = 'eu';

-- an identity vindex: the number is the keyspace id
SELECT * FROM ranged WHERE id = 5;
SELECT * FROM ranged WHERE id = -5;
SELECT * FROM ranged r JOIN customers c ON c.id = r.id;

-- joins through key equality
SELECT count(*) FROM orders o JOIN lines l ON l.customer_id = o.customer_id AND l.order_id = o.id WHERE o.customer_id = 5;
SELECT count(*) FROM orders o JOIN lines l USING (customer_id) WHERE customer_id = 5;
SELECT count(*) FROM orders o JOIN lines l USING (customer_id) WHERE l.customer_id = 5;
SELECT count(*) FROM orders NATURAL JOIN serials WHERE customer_id = 5;
SELECT count(*) FROM orders o, lines l WHERE o.customer_id = l.customer_id AND l.customer_id = 5;
SELECT count(*) FROM orders o, lines l WHERE o.customer_id = 5 AND l.customer_id = 5;
SELECT count(*) FROM orders o, lines l WHERE o.customer_id = 5;
SELECT count(*) FROM orders o, lines l WHERE o.customer_id = 1 AND l.customer_id = 5;
SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN lines l ON l.customer_id = o.customer_id JOIN countries x ON x.code = c.country WHERE c.id = 5;
SELECT count(*) FROM orders o JOIN products p ON p.id = o.customer_id WHERE p.id = 5;
SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.customer_id = 5;
SELECT count(*) FROM (orders o JOIN lines l USING (customer_id)) AS j WHERE j.customer_id = 5;
SELECT count(*) FROM orders AS o (cid) WHERE cid = 5;
SELECT count(*) FROM orders AS o (cid) WHERE customer_id = 5;

-- outer joins: a condition binds the side that it can drop rows of
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5;
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 5;
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5;
SELECT count(*) FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE c.id = 5;
SELECT count(*) FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5;
SELECT count(*) FROM customers c FULL JOIN orders o USING (id) WHERE id = 5;
SELECT count(*) FROM customers c LEFT JOIN (orders o JOIN lines l USING (customer_id)) ON o.customer_id = c.id WHERE c.id = 5;
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = 6 WHERE c.id = 5;
-- the peers' bug: one side bound by the ON clause decides nothing about the other
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = 5;

-- sub-queries
SELECT (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.id = 5;
SELECT * FROM customers c WHERE c.id = 5 AND EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 10);
SELECT count(*) FROM customers c WHERE c.id = 5 AND c.id NOT IN (SELECT o.customer_id FROM orders o WHERE o.customer_id = c.id);
SELECT count(*) FROM customers c WHERE c.id = 5 AND c.id NOT IN (SELECT o.customer_id FROM orders o);
SELECT count(*) FROM customers c WHERE c.id = 5 AND c.id IN (SELECT o.customer_id FROM orders o);
SELECT count(*) FROM customers c WHERE c.id IN (SELECT o.customer_id FROM orders o WHERE o.customer_id = 5);
SELECT count(*) FROM customers c WHERE c.id = 5 AND (c.id IN (SELECT o.customer_id FROM orders o) OR c.name = 'x');
SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND c.id = 5);
SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY total LIMIT 3) t WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT sum(total) FROM orders o WHERE o.customer_id = c.id) t ON true WHERE c.id = 5;
SELECT count(*) FROM (SELECT * FROM orders) s WHERE s.customer_id = 5;
SELECT count(*) FROM (SELECT customer_id AS c, count(*) FROM orders GROUP BY customer_id) s WHERE s.c = 5;
SELECT count(*) FROM (SELECT customer_id AS c, item, count(*) FROM orders GROUP BY item, customer_id) s WHERE c = 5;
SELECT count(*) FROM (SELECT max(customer_id) AS c, item FROM orders GROUP BY item) s WHERE c = 5;
SELECT count(*) FROM (SELECT DISTINCT customer_id, item FROM orders) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT DISTINCT ON (item) customer_id, item FROM orders ORDER BY item) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT customer_id FROM orders LIMIT 10) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT customer_id, row_number() OVER () FROM orders) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT customer_id FROM orders FOR UPDATE) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM lines) s WHERE customer_id = 5;
SELECT count(*) FROM (SELECT customer_id FROM orders WHERE customer_id = 5) s JOIN lines l ON l.customer_id = s.customer_id;
SELECT count(*) FROM (SELECT customer_id FROM orders WHERE customer_id = 5 LIMIT 1) s JOIN lines l ON l.customer_id = s.customer_id;
SELECT count(*) FROM lines l JOIN (SELECT customer_id, count(*) FROM orders GROUP BY 1) s ON l.customer_id = s.customer_id WHERE l.customer_id = 5;
SELECT ARRAY(SELECT item FROM orders WHERE customer_id = 5);
-- the column is renamed away: s.customer_id is another column's value
SELECT count(*) FROM (SELECT customer_id AS x, id AS customer_id FROM orders) s WHERE s.customer_id = 5;
SELECT count(*) FROM (SELECT customer_id + 0 AS customer_id FROM orders) s WHERE s.customer_id = 5;

-- WITH
WITH x AS (SELECT * FROM orders) SELECT count(*) FROM x WHERE customer_id = 5;
WITH x AS (SELECT * FROM orders) SELECT count(*) FROM x a JOIN x b ON a.id = b.id WHERE a.customer_id = 5;
WITH x AS (SELECT * FROM orders WHERE customer_id = 5) SELECT count(*) FROM x a JOIN x b ON a.id = b.id JOIN lines l ON l.customer_id = a.customer_id;
WITH x (c) AS (SELECT customer_id FROM orders) SELECT count(*) FROM x WHERE c = 5;
WITH orders AS (SELECT 1 AS customer_id) SELECT * FROM orders WHERE customer_id = 5;
WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders WHERE customer_id = 5;
WITH RECURSIVE t AS (SELECT id, parent_id FROM customers WHERE id = 5 UNION ALL SELECT c.id, c.parent_id FROM customers c JOIN t ON c.id = t.parent_id) SELECT * FROM t;
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT count(*) FROM t, orders o WHERE o.customer_id = 5;
WITH u AS (UPDATE orders SET item = 'x' WHERE customer_id = 5 RETURNING *) SELECT count(*) FROM u;
WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING customer_id) INSERT INTO lines (customer_id, order_id, n) SELECT customer_id, 1, 1 FROM d;
WITH u AS (UPDATE orders SET item = 'x' WHERE customer_id = 5) SELECT * FROM customers;
-- RETURNING shows the new value: what WHERE says of the old one proves nothing
WITH u AS (UPDATE orders SET id = 6 WHERE customer_id = 5 AND id = 5 RETURNING id) SELECT count(*) FROM u JOIN customers c ON c.id = u.id;

-- set operations: each arm is a level of its own
SELECT item FROM orders WHERE customer_id = 5 UNION SELECT item FROM orders WHERE customer_id = 5;
SELECT item FROM orders WHERE customer_id = 1 UNION SELECT item FROM orders WHERE customer_id = 2;
SELECT item FROM orders WHERE customer_id = 5 UNION ALL SELECT name FROM products;
SELECT item FROM orders WHERE customer_id = 5 EXCEPT SELECT item FROM orders;

-- peers: the first "key = constant" found anywhere must not decide
SELECT customer_id = 1 FROM orders;
SELECT count(*) FILTER (WHERE customer_id = 1) FROM orders;
SELECT CASE WHEN customer_id = 1 THEN 2 END FROM orders ORDER BY 1;
SELECT count(*) FROM orders WHERE customer_id = 1 OR id = 5;
UPDATE orders SET item = 'x' WHERE customer_id = 1 OR id = 5;
DELETE FROM orders WHERE customer_id = 1 OR id = 5;
SELECT count(*) FROM orders WHERE NOT customer_id = 1;
SELECT count(*) FROM orders WHERE customer_id <= 20;
SELECT count(*) FROM orders WHERE customer_id BETWEEN 5 AND 5;
SELECT count(*) FROM orders WHERE customer_id <> 5;
SELECT count(*) FROM orders WHERE customer_id NOT IN (5);
SELECT count(*) FROM orders WHERE customer_id <> ALL ('{5}');
SELECT count(*) FROM orders WHERE customer_id > ANY ('{5}');
SELECT count(*) FROM orders WHERE (customer_id = 5) IS NOT TRUE;
SELECT count(*) FROM orders WHERE customer_id = 5 IS NOT FALSE;
SELECT count(*) FROM orders WHERE customer_id IS NOT DISTINCT FROM 5;
SELECT count(*) FROM orders WHERE customer_id + 0 = 5;
SELECT count(*) FROM orders WHERE customer_id = 5 + 0;
SELECT count(*) FROM orders HAVING count(*) FILTER (WHERE customer_id = 1) > 0;
SELECT count(*) FROM orders GROUP BY customer_id = 5;
SELECT (SELECT 1 FROM orders WHERE customer_id = 1 LIMIT 1) FROM customers;
SELECT * FROM orders WHERE item IN (SELECT name FROM customers WHERE id = 5);

-- name resolution: the inner column wins, an unknown column proves nothing
SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE id = 5);
SELECT count(*) FROM orders, generate_series(1, 3) AS g WHERE customer_id = g;
SELECT count(*) FROM orders, json_to_recordset('[]') AS j (customer_id int) WHERE customer_id = 5;
SELECT count(*) FROM customers c, orders o WHERE id = 5 AND o.customer_id = c.id;
SELECT count(*) FROM orders o WHERE orders.customer_id = 5;
SELECT count(*) FROM hid.orders WHERE customer_id = 5;
\role alice
-- P12(a): the same text, another role's search_path: alice.customers is unsharded
SELECT count(*) FROM customers WHERE id = 5;
SELECT count(*) FROM orders WHERE customer_id = 5;
\path hid, public
-- alice may not use schema hid, so this is public.orders
SELECT count(*) FROM orders WHERE customer_id = 5;
\role postgres
SELECT count(*) FROM orders WHERE customer_id = 5;
\path "$user", public

-- no such table: PostgreSQL says so, unless a sharded table is in the way
SELECT * FROM nowhere;
SELECT * FROM nowhere, orders;
INSERT INTO nowhere VALUES (1);

-- one shard owns everything: nothing can be wrong
\shards 1
SELECT count(*) FROM orders GROUP BY item;
SELECT count(*) FROM orders o, lines l;
\shards 3

-- a column of an outer level that passes through a sub-query: a condition on it there is none on the outer rows
SELECT count(*) FROM customers c WHERE NOT EXISTS (SELECT FROM (SELECT c.id AS k) q WHERE q.k = 5);
SELECT id, (SELECT 1 FROM (SELECT c.id AS k) q WHERE q.k = 5) FROM customers c;
SELECT id FROM customers c WHERE EXISTS (SELECT FROM (SELECT x.id AS k FROM customers x) q WHERE q.k = 5 AND q.k = c.id);

-- Settings: those that are the same on every server; of the others each tells its own.
SELECT id FROM orders WHERE item = current_setting('app.item', true);

SELECT item, current_setting('TimeZone') FROM orders;

SELECT item, current_setting('work_mem') FROM orders;

SELECT item, current_setting($1) FROM orders;

SELECT current_setting('work_mem');

SELECT item, version() FROM orders WHERE customer_id = 4;
