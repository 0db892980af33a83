-- A query in FROM or WITH that all of the statement's tables are in is finished in its stead (planner/finish.h).
SELECT max(n), count(*) FROM (SELECT item, count(*) AS n FROM orders GROUP BY item) s;
SELECT n, count(*) FROM (SELECT item, count(*) AS n FROM orders WHERE total > 3 GROUP BY item HAVING count(*) > 1) s WHERE n > 5 GROUP BY n ORDER BY 2 DESC LIMIT 3;
SELECT * FROM (SELECT item, sum(total) AS t FROM orders GROUP BY item) s, generate_series(1, 3) g WHERE t > g ORDER BY t;
SELECT rank() OVER (ORDER BY t), item FROM (SELECT item, sum(total) AS t FROM orders GROUP BY item) s;
SELECT count(*) FROM (SELECT DISTINCT item FROM orders) s;
SELECT count(*) FROM (SELECT DISTINCT ON (item) item, total FROM orders ORDER BY item, total DESC) s WHERE total > 5;
SELECT sum(total) FROM (SELECT total FROM orders ORDER BY total DESC LIMIT 10) s;
\bind 5 x
SELECT sum(total) FROM (SELECT total, item FROM orders ORDER BY total DESC LIMIT $1) s WHERE item > $2;
WITH w AS (SELECT item, sum(total) AS t FROM orders GROUP BY item) SELECT avg(t) FROM w WHERE t > 3;
WITH w (a, b) AS (SELECT item, sum(total) FROM orders GROUP BY ROLLUP (item)) SELECT a, b FROM w ORDER BY b;
WITH w AS (SELECT item, count(*) AS n FROM orders GROUP BY item), v AS (SELECT max(n) AS m FROM w) SELECT m FROM v;
SELECT max(m) FROM (SELECT n % 3 AS k, max(n) AS m FROM (SELECT item, count(*) AS n FROM orders GROUP BY item) a GROUP BY n % 3) b;
SELECT count(*) FROM (SELECT o.item, count(*) FROM orders o JOIN customers c ON c.id = o.customer_id JOIN countries n ON n.code = c.country GROUP BY o.item) s;
EXPLAIN SELECT count(*) FROM (SELECT item, count(*) FROM orders GROUP BY item) s;
COPY (SELECT count(*) FROM (SELECT item, count(*) FROM orders GROUP BY item) s) TO STDOUT;
-- not: other tables beside it, one more mention, rows of outer levels, NULLs for want of a match, locks, what no shard prepares
SELECT s.n, name FROM (SELECT item, count(*) AS n FROM orders GROUP BY item) s, countries;
SELECT s.n FROM (SELECT item, count(*) AS n FROM orders GROUP BY item) s WHERE n > (SELECT count(*) FROM countries);
WITH w AS (SELECT item, count(*) AS n FROM orders GROUP BY item) SELECT max(a.n) FROM w a, w b;
SELECT g, s.n FROM generate_series(1, 3) g, LATERAL (SELECT count(*) AS n FROM orders WHERE id > g) s;
SELECT (SELECT max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY item) s);
SELECT v, n FROM (VALUES (1)) t (v) LEFT JOIN (SELECT count(*) AS n FROM orders GROUP BY item) s ON n = v;
SELECT max(a) FROM (SELECT array_agg(total) AS a FROM orders GROUP BY item) s;
SELECT max(n) FROM (SELECT count(*) AS n FROM orders o JOIN lines l ON l.n = o.id GROUP BY o.item) s;
SELECT count(*) FROM (SELECT id FROM orders LIMIT 3 FOR UPDATE) s;
SELECT max(n) FROM (SELECT count(*) AS n, random() FROM orders GROUP BY item) s;
SELECT count(*) FROM (SELECT item FROM orders GROUP BY item) a, (SELECT item FROM orders GROUP BY item) b;
DECLARE c CURSOR FOR SELECT max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY item) s;
INSERT INTO orders (customer_id, id) SELECT max(n), 1 FROM (SELECT count(*) AS n FROM orders GROUP BY item) s;
