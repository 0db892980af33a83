-- What stands above a sum over one table's rows: order, limits, groups, DISTINCT (planner/finish.h).
SELECT id FROM orders ORDER BY id;
SELECT * FROM orders ORDER BY at DESC NULLS LAST, 2 LIMIT 10 OFFSET 5;
-- P29: a bound that no router can read goes to a server: the plan is a merge with a gather behind it
SELECT id FROM orders LIMIT 9223372036854775807 OFFSET 1;
\bind 3 -1
SELECT id FROM orders WHERE total > 5 ORDER BY total LIMIT $1 OFFSET $2;
SELECT id FROM orders ORDER BY id LIMIT 1 + 1;
SELECT id FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES;
SELECT id FROM orders ORDER BY lower(item), id;
SELECT id, item AS total FROM orders ORDER BY total;
SELECT id FROM orders ORDER BY item COLLATE "C";
SELECT key FROM blurred ORDER BY key LIMIT 3;
SELECT id FROM orders ORDER BY id USING >;
SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY c.name, o.id;
-- groups by the sharding key are whole on a shard
SELECT customer_id, count(*), stddev(total) FROM orders GROUP BY customer_id;
SELECT customer_id, count(*) FROM orders GROUP BY 1 ORDER BY count(*) DESC LIMIT 3;
SELECT DISTINCT customer_id, item FROM orders;
SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id;
-- ... but not those of a table that an outer join fills with NULLs
SELECT o.customer_id, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY o.customer_id;
SELECT tenant, count(*) FROM events GROUP BY tenant;
SELECT region, tenant FROM events GROUP BY region, tenant;
-- partial aggregates
SELECT item, count(*), sum(total), avg(qty), min(at) FROM orders JOIN lines USING (customer_id) GROUP BY item HAVING count(*) > 2 ORDER BY 2 DESC, item LIMIT 5;
SELECT coalesce(sum(total), 0) / count(*), count(DISTINCT item) FROM orders WHERE total > 1;
SELECT lower(item), count(*) FILTER (WHERE total > 3) + 1 AS n FROM orders GROUP BY lower(item) ORDER BY lower(item);
SELECT sum(customer_id) FROM orders JOIN lines USING (customer_id);
SELECT sum(length(body)) FROM docs;
SELECT sum(lower(item)::int * 2.5) FROM orders;
SELECT array_agg(id) FROM orders;
SELECT own_sum(id::int) FROM orders;
SELECT count(*) FROM orders HAVING (SELECT count(*) FROM countries) > 1;
SELECT item, name FROM orders, countries GROUP BY item;
SELECT id % 3, count(*) FROM orders GROUP BY id % 3;
SELECT id % 3, count(*) FROM orders GROUP BY id % 4;
SELECT item, count(*) FROM orders GROUP BY ROLLUP (item);
-- DISTINCT
SELECT DISTINCT item, total FROM orders ORDER BY total, 1 LIMIT 3;
SELECT DISTINCT item FROM orders ORDER BY total;
SELECT DISTINCT ON (item) item FROM orders;
-- not for what is cut by keys of one shard, nor beside unsharded tables
SELECT count(*) FROM orders WHERE customer_id = 5;
SELECT count(*) FROM orders o JOIN settings s ON s.name = o.item;
SELECT max(total) FROM orders FOR UPDATE;
-- windows within the sharding key
SELECT customer_id, id, rank() OVER (PARTITION BY customer_id ORDER BY total) FROM orders;
SELECT customer_id, sum(total) OVER (PARTITION BY item, customer_id) AS s FROM orders ORDER BY s LIMIT 3;
SELECT customer_id, sum(total) OVER (PARTITION BY item) FROM orders;
SELECT customer_id, sum(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id);
SELECT customer_id, rank() OVER (PARTITION BY customer_id), rank() OVER () FROM orders;
SELECT customer_id, sum(count(*)) OVER (PARTITION BY customer_id) FROM orders GROUP BY customer_id, item;
SELECT o.id, rank() OVER (PARTITION BY o.customer_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id;
SELECT v, rank() OVER (PARTITION BY tenant) FROM events;
-- sub-queries that group, partition or drop duplicates by the sharding key
SELECT * FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) s WHERE n > 3;
SELECT n, count(*) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) s GROUP BY n ORDER BY n;
SELECT c.name, s.n FROM customers c JOIN (SELECT customer_id AS k, count(*) AS n FROM orders GROUP BY k) s ON s.k = c.id ORDER BY s.n DESC LIMIT 5;
SELECT max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY item) s;
SELECT count(*) FROM (SELECT count(*) AS n FROM orders) s;
SELECT * FROM (SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY at DESC) AS rn FROM orders o) s WHERE rn = 1 ORDER BY total;
SELECT * FROM (SELECT id, row_number() OVER (ORDER BY at DESC) AS rn FROM orders o) s WHERE rn = 1;
SELECT item, count(*) FROM (SELECT DISTINCT customer_id, item FROM orders) s GROUP BY item;
SELECT count(*) FROM (SELECT DISTINCT item FROM orders) s;
WITH w AS (SELECT customer_id, sum(total) AS t FROM orders GROUP BY customer_id) SELECT customer_id FROM w ORDER BY t DESC LIMIT 2;
SELECT k, count(*) FROM (SELECT customer_id AS k, item FROM orders) s GROUP BY k;
SELECT k FROM (SELECT customer_id AS k, count(*) FROM orders GROUP BY customer_id LIMIT 5) s;
SELECT customer_id FROM (SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id)) s;
SELECT s.customer_id, l.n FROM (SELECT customer_id, count(*) FROM orders GROUP BY customer_id) s JOIN lines l ON l.n = s.customer_id;
-- row locks: every shard its own
SELECT * FROM orders o JOIN lines l USING (customer_id) WHERE total > 3 FOR UPDATE OF o NOWAIT;
SELECT id FROM orders ORDER BY total, id FOR NO KEY UPDATE SKIP LOCKED;
SELECT id FROM orders ORDER BY total LIMIT 3 FOR UPDATE;
SELECT id FROM orders FOR UPDATE LIMIT 3;
SELECT * FROM (SELECT id FROM orders FOR SHARE) s;
SELECT * FROM (SELECT id FROM orders) s FOR SHARE;
SELECT * FROM orders o, countries c FOR UPDATE;
SELECT * FROM orders o, countries c FOR UPDATE OF o;
SELECT DISTINCT item FROM orders FOR UPDATE;
SELECT o.id FROM orders o JOIN customers c ON c.id = o.id FOR UPDATE OF o;
WITH w AS (SELECT id FROM orders FOR UPDATE) SELECT * FROM w;
-- CASE over exact numbers has the widest of their types, so its sum has a partial form; other types are not told
SELECT item, sum(CASE WHEN total > 3 THEN 1 ELSE 0 END) FROM orders GROUP BY item;
SELECT avg(CASE item WHEN 'a' THEN total WHEN 'b' THEN 1 END) FROM orders;
SELECT sum(CASE WHEN total > 3 THEN '1' ELSE 0 END) FROM orders;
SELECT sum(CASE WHEN total > 3 THEN 1.5::real ELSE 0 END) FROM orders;
-- a name is a table's row only where the table can be seen
SELECT customers, sum(n) FROM (SELECT c.name AS customers, o.id AS n FROM customers c JOIN orders o ON o.id = c.id) s GROUP BY customers;
SELECT country, count(*) FROM (SELECT customers.country FROM customers, orders WHERE orders.id = customers.id) s GROUP BY country;
SELECT orders, count(*) FROM (SELECT o.item AS orders FROM orders o, customers c WHERE o.id = c.id) s, (SELECT id FROM orders) t GROUP BY orders;
SELECT (SELECT max(orders.id) FROM lines WHERE qty = 1) FROM orders WHERE EXISTS (SELECT orders FROM customers);
-- the star of EXISTS needs no column
SELECT name FROM customers c WHERE EXISTS (SELECT * FROM orders o WHERE o.id = c.id);
SELECT name FROM customers c WHERE NOT EXISTS (SELECT * FROM orders);
SELECT name FROM customers c WHERE EXISTS (SELECT * FROM orders o WHERE o.id = c.id ORDER BY 3);
SELECT name FROM customers c WHERE EXISTS (SELECT *, 1 FROM orders o WHERE o.id = c.id);
-- conditions of joins about one table go with its part, where no row that they refuse has a part in the join
SELECT * FROM customers c JOIN orders o ON o.id = c.id AND o.total > 3 AND c.country = 'de';
SELECT * FROM customers c LEFT JOIN orders o ON o.id = c.id AND o.total > 3 AND c.country = 'de';
SELECT * FROM customers c RIGHT JOIN orders o ON o.id = c.id AND o.total > 3 AND c.country = 'de' WHERE c.name = 'a' AND o.item = 'b';
SELECT * FROM customers c FULL JOIN orders o ON o.id = c.id AND o.total > 3;
SELECT * FROM customers c LEFT JOIN (orders o JOIN lines l ON o.total > 3 AND l.n = o.id) ON l.qty = c.id AND o.item = 'x';
SELECT * FROM (customers c LEFT JOIN orders o ON o.id = c.id) JOIN lines l ON o.total > 3 AND l.n = c.id AND l.qty BETWEEN 1 AND 5 AND c.name < 'x';
SELECT * FROM customers c JOIN orders o JOIN lines l ON l.n = o.id AND l.qty > 3 ON c.id = l.n AND left(c.name, 1) = 'a', products p WHERE p.price > 1 AND c.id = p.id;
SELECT * FROM (customers c JOIN orders o ON c.id = o.id AND name = 'a') AS j JOIN lines l ON l.n = j.total AND qty = 1;
SELECT * FROM customers c JOIN orders o ON (c.name = 'a' AND c.id = o.id) AND o.item = 'x' LEFT JOIN lines l ON l.n = o.id AND (l.qty = 1 OR l.qty = 2);
SELECT * FROM customers JOIN orders USING (id) JOIN lines ON order_id = id AND country = 'de' AND qty IS NULL;
-- DISTINCT ON: each shard's first rows, of those the first
SELECT DISTINCT ON (item) item, total FROM orders ORDER BY item, total DESC;
SELECT DISTINCT ON (total, id) id, item FROM orders ORDER BY id, total, at DESC LIMIT 5 OFFSET 2;
SELECT DISTINCT ON (total) * FROM orders ORDER BY total, 2;
SELECT DISTINCT ON (2, id) id, total FROM orders ORDER BY total;
SELECT DISTINCT ON (id % 3) id FROM orders;
SELECT DISTINCT ON (item COLLATE "C") item FROM orders ORDER BY orders.item COLLATE "C", id FETCH FIRST 3 ROWS WITH TIES;
SELECT DISTINCT ON (total, id) id FROM orders ORDER BY total FETCH FIRST 3 ROWS WITH TIES;
SELECT DISTINCT ON (total) id FROM orders ORDER BY id;
SELECT DISTINCT ON (total) id FROM orders ORDER BY id, total;
SELECT DISTINCT ON (b) total AS a, total AS b FROM orders ORDER BY orders.total;
SELECT DISTINCT ON (customer_id) customer_id, id FROM orders;
SELECT DISTINCT ON (customer_id) id FROM orders ORDER BY customer_id, at DESC LIMIT 3;
SELECT DISTINCT ON (at) item, at, count(*) FROM orders GROUP BY item, at ORDER BY at, count(*) DESC, item;
SELECT DISTINCT ON (customer_id % 2) customer_id, count(*) FROM orders GROUP BY customer_id ORDER BY customer_id % 2, count(*);
SELECT DISTINCT ON (rank() OVER (ORDER BY total)) id FROM orders;
SELECT DISTINCT ON (rank() OVER (PARTITION BY customer_id ORDER BY total)) id, customer_id FROM orders ORDER BY rank() OVER (PARTITION BY customer_id ORDER BY total), id;
SELECT DISTINCT ON (total) id FROM orders ORDER BY total, id FOR UPDATE;
SELECT * FROM (SELECT DISTINCT ON (customer_id) customer_id, item FROM orders ORDER BY customer_id, at DESC) s WHERE item > 'a';
SELECT item, count(*) FROM (SELECT DISTINCT ON (1) customer_id, item FROM orders ORDER BY 1, at DESC) s GROUP BY item;
SELECT * FROM (SELECT DISTINCT ON (customer_id) id AS customer_id FROM orders ORDER BY 1) s;
SELECT * FROM (SELECT DISTINCT ON (item) item FROM orders) s;
-- deviations of exact numbers
SELECT stddev(n), var_pop(qty) FROM lines;
SELECT item, variance(total), stddev(id) FILTER (WHERE total > 3) FROM orders GROUP BY item;
SELECT stddev(total) FROM orders;
SELECT stddev(DISTINCT total) FROM orders;
SELECT stddev(ALL qty) FROM lines;
SELECT variance(total::double precision) FROM orders;
SELECT corr(qty, n) FROM lines;
-- grouping sets
SELECT item, count(*), GROUPING(item) FROM orders GROUP BY ROLLUP (item);
SELECT item, at, sum(total), GROUPING(at, item) AS g FROM orders WHERE total > 3 GROUP BY CUBE (item, at) HAVING GROUPING(item) = 0 ORDER BY g, item LIMIT 3;
SELECT item, at, max(total) FROM orders GROUP BY item, GROUPING SETS ((at), ());
SELECT item, at, id, count(*) FROM orders GROUP BY ROLLUP ((item, at), id);
SELECT item, at, id, count(*) FROM orders GROUP BY GROUPING SETS (ROLLUP (item, at), (id), (2, id));
SELECT extract(year FROM at), extract(month FROM at), count(*) FROM orders GROUP BY ROLLUP (1, 2);
SELECT lower(item) AS i, sum(total) FROM orders GROUP BY ROLLUP (i);
SELECT customer_id, item, count(*) FROM orders GROUP BY GROUPING SETS ((customer_id, item), (customer_id));
SELECT count(*) FROM orders GROUP BY GROUPING SETS ((), item);
-- ... whose rows could not be told apart, that may be one, or that every shard would have to have
SELECT item, count(*) FROM orders GROUP BY GROUPING SETS ((item), (item));
SELECT item, at, count(*) FROM orders GROUP BY ROLLUP (item), ROLLUP (item, at);
SELECT count(*) FROM orders GROUP BY ROLLUP (id + 1, id + 01);
SELECT count(*) FROM orders GROUP BY ROLLUP (item, item::text);
SELECT count(*) FROM orders GROUP BY GROUPING SETS (());
SELECT item, count(DISTINCT total) FROM orders GROUP BY ROLLUP (item);
SELECT item, array_agg(total) FROM orders GROUP BY ROLLUP (item);
SELECT item, sum(count(*)) OVER () FROM orders GROUP BY ROLLUP (item);
SELECT item, GROUPING(item) FROM orders GROUP BY item;
SELECT id, at, GROUPING(item) FROM orders GROUP BY ROLLUP (id, at);
SELECT DISTINCT GROUPING(item) FROM orders GROUP BY DISTINCT ROLLUP (item), ROLLUP (item);
