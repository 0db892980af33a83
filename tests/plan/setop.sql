-- Set operations whose rows need not meet on one server (planner/setop.h).
SELECT item FROM orders UNION ALL SELECT name FROM customers;
SELECT item AS x, total FROM orders WHERE total > 5 UNION ALL SELECT 'x', 1.5 FROM lines WHERE qty = 3 ORDER BY total DESC, 1 LIMIT 5;
SELECT id, at FROM orders UNION ALL SELECT id, at FROM orders ORDER BY at DESC, 1 OFFSET 2;
(SELECT id FROM orders UNION ALL SELECT id FROM customers) UNION ALL SELECT n FROM lines ORDER BY 1;
SELECT id FROM orders UNION ALL (SELECT id FROM customers UNION ALL SELECT n FROM lines) LIMIT 3;
(SELECT id FROM orders UNION ALL SELECT id FROM customers ORDER BY id LIMIT 3);
SELECT id FROM orders UNION ALL SELECT id FROM customers FETCH FIRST 3 ROWS ONLY;
SELECT item FROM orders UNION ALL SELECT name FROM customers ORDER BY item FETCH FIRST 3 ROWS WITH TIES;
SELECT id FROM orders UNION ALL SELECT id FROM customers ORDER BY 1 LIMIT 1 + 1;
\bind 3 5
SELECT id FROM orders WHERE customer_id = $2 UNION ALL SELECT id FROM customers WHERE id > 3 ORDER BY 1 LIMIT $1;
-- shards of all arms; one if all name the same
SELECT item FROM orders WHERE customer_id = 5 UNION ALL SELECT name FROM customers WHERE id = 7;
SELECT item FROM orders WHERE customer_id = 5 UNION ALL SELECT name FROM customers WHERE id = 5;
SELECT item FROM orders WHERE customer_id = 5 UNION ALL SELECT name FROM customers;
-- an arm that groups by its key, or is a colocated join
SELECT customer_id, count(*) FROM orders GROUP BY customer_id UNION ALL SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY 1;
SELECT item FROM orders UNION ALL SELECT name FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
-- rows that are not an arm's table's, one by one
SELECT item FROM orders UNION ALL SELECT name FROM countries;
SELECT item FROM orders UNION ALL SELECT 'x';
SELECT item FROM orders UNION ALL VALUES ('x');
SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM customers;
(SELECT id FROM orders ORDER BY id LIMIT 3) UNION ALL SELECT id FROM customers;
SELECT id FROM orders UNION ALL SELECT o.id FROM countries LEFT JOIN orders o ON o.item = code;
SELECT item FROM orders UNION ALL SELECT name FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.item = c.name);
SELECT id FROM orders UNION ALL SELECT random()::int FROM customers;
SELECT id FROM orders UNION ALL SELECT v FROM settings;
WITH w AS (SELECT id FROM orders) SELECT id FROM w UNION ALL SELECT 5;
WITH w AS (SELECT id FROM orders) SELECT id FROM w UNION ALL SELECT id FROM customers;
SELECT id FROM customers UNION ALL (WITH w AS (SELECT id FROM orders) SELECT id FROM w);
SELECT id FROM orders UNION ALL SELECT id FROM customers ORDER BY id + 1;
SELECT id FROM orders UNION ALL SELECT id FROM customers FOR UPDATE;
-- duplicates: each shard drops its own; what every shard has counts once
SELECT item FROM orders WHERE total > 3 UNION SELECT name FROM customers ORDER BY 1 DESC LIMIT 3;
SELECT item FROM orders UNION SELECT name FROM countries UNION SELECT 'x' UNION VALUES ('y'), ('z');
SELECT item FROM orders UNION ALL SELECT name FROM customers UNION SELECT code FROM countries WHERE population > 5;
SELECT item FROM orders UNION SELECT name FROM customers UNION ALL SELECT name FROM customers;
\bind x
SELECT item FROM orders WHERE item > $1 UNION SELECT name FROM customers;
\bind x
SELECT item FROM orders UNION SELECT $1;
-- what depends on the order that a copy's rows lie in may differ between shards
SELECT item FROM orders UNION SELECT string_agg(name, ',') FROM countries;
SELECT id FROM orders UNION SELECT row_number() OVER () FROM countries;
SELECT item FROM orders UNION (SELECT name FROM countries LIMIT 1);
SELECT item FROM orders UNION SELECT (SELECT string_agg(name, ',') FROM countries);
SELECT item FROM orders UNION SELECT version();
SELECT item FROM orders UNION SELECT lower(name) || 'x' FROM countries UNION SELECT current_setting('port');
SELECT item FROM orders UNION SELECT lower(name) || generate_series(1, 2)::text FROM countries;
SELECT item FROM orders UNION SELECT s.n FROM (SELECT string_agg(name, ',') AS n FROM countries) s;
-- equal rows are on one shard where the sharding key is in the same columns
SELECT customer_id, id FROM orders UNION SELECT customer_id, n FROM lines;
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders ORDER BY 1 LIMIT 5;
SELECT id FROM customers WHERE name > 'a' INTERSECT ALL SELECT customer_id FROM lines EXCEPT ALL SELECT customer_id FROM orders;
SELECT id, id FROM customers EXCEPT SELECT id, customer_id FROM orders;
SELECT o.id, c.id FROM customers c JOIN orders o ON o.customer_id = c.id INTERSECT SELECT n, customer_id FROM lines;
SELECT o.id, o.customer_id FROM customers c JOIN orders o ON o.customer_id = c.id INTERSECT SELECT n, customer_id FROM lines;
SELECT o.customer_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id EXCEPT SELECT customer_id FROM lines;
SELECT id, name FROM customers EXCEPT SELECT id, item FROM orders;
SELECT key FROM docs EXCEPT SELECT name FROM tags;
SELECT name FROM tags EXCEPT SELECT code FROM codes;
SELECT tenant, region FROM events EXCEPT SELECT tenant, region FROM notes;
SELECT tenant, region FROM events EXCEPT SELECT v, region FROM notes;
SELECT region, tenant FROM events EXCEPT SELECT region, tenant FROM notes ORDER BY tenant;
SELECT customer_id + 0 FROM orders EXCEPT SELECT id FROM customers;
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders UNION ALL SELECT 5;
SELECT id FROM customers EXCEPT (SELECT customer_id FROM orders LIMIT 5);
-- in FROM
SELECT count(*), sum(n) FROM (SELECT id AS n FROM orders WHERE total > 5 UNION ALL SELECT n FROM lines) q;
SELECT count(*), sum(x) FROM (SELECT id AS x FROM orders UNION ALL SELECT id FROM customers) q WHERE x > 3;
SELECT item, count(*), max(total) FROM (SELECT item, total FROM orders UNION ALL SELECT item, total FROM orders) q JOIN countries c ON c.code = q.item GROUP BY item ORDER BY 2;
SELECT * FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) q WHERE id > 5 ORDER BY id DESC LIMIT 3;
SELECT id FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) q, countries c WHERE c.code = 'x';
SELECT count(*) FROM (SELECT id FROM customers EXCEPT SELECT customer_id FROM orders) q;
SELECT count(*) FROM (SELECT item FROM orders UNION SELECT name FROM customers) q;
SELECT count(*) FROM (SELECT id FROM orders UNION ALL SELECT 5) q;
SELECT count(*) FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers LIMIT 3) q;
SELECT c.name FROM countries c LEFT JOIN (SELECT item FROM orders UNION ALL SELECT name FROM customers) q ON q.item = c.code;
SELECT q.id FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) q JOIN lines l ON l.customer_id = q.id;
SELECT q.id FROM (SELECT customer_id AS id FROM orders UNION ALL SELECT id FROM customers) q WHERE q.id = 5;
SELECT c.id, q.n FROM customers c, LATERAL (SELECT n FROM lines l WHERE l.customer_id = c.id UNION ALL SELECT o.id FROM orders o WHERE o.customer_id = c.id) q;
SELECT c.id, q.n FROM customers c, (SELECT 1 AS n UNION ALL SELECT population FROM countries) q;
SELECT (SELECT count(*) FROM (SELECT n FROM lines UNION ALL SELECT id FROM orders) q) FROM customers;
SELECT * FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) q, (SELECT id FROM orders UNION ALL SELECT id FROM customers) r;
SELECT * FROM (SELECT q.id FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) q GROUP BY q.id) r;
WITH w AS (SELECT id FROM orders) SELECT * FROM (SELECT id FROM w UNION ALL SELECT 5) q;
WITH q AS (SELECT id FROM orders UNION ALL SELECT id FROM customers) SELECT count(*) FROM q;
WITH q AS (SELECT id FROM orders UNION ALL SELECT id FROM customers) SELECT count(*) FROM q a, q b;
UPDATE orders SET item = 'x' FROM (SELECT id FROM customers UNION ALL SELECT n FROM lines) q WHERE q.id = orders.id;
DELETE FROM orders USING (SELECT id FROM customers UNION ALL SELECT n FROM lines) q WHERE q.id = orders.customer_id;
EXPLAIN SELECT id FROM orders UNION ALL SELECT id FROM customers ORDER BY 1;
COPY (SELECT id FROM orders UNION ALL SELECT id FROM customers) TO STDOUT;
DECLARE c CURSOR FOR SELECT id FROM orders UNION ALL SELECT id FROM customers;
